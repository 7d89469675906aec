"""Time that also passes when somebody sleeps, for a service and its clients: nobody waits for real."""

import asyncio
import time


class Hurry:
    """The clocks of one history. Sleeps of several at once add up: time only ever passes sooner."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def now(self) -> float:
        return time.time() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.ahead += max(0.0, seconds)
        await asyncio.sleep(0)
