"""How fast a service may be asked: a token bucket from the manifest, and pauses that the service asks for."""

import asyncio
import email.utils
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiolimiter import AsyncLimiter

from reconciler.core.manifest import Rate

#: A service that asks for more than this is believed, but not waited for.
MAX_PAUSE: Final = 300.0
MIN_PAUSE: Final = 1.0
_EPOCH_SECONDS: Final = 1_000_000_000

Sleep = Callable[[float], Awaitable[None]]


def bucket(rate: Rate) -> AsyncLimiter:
    """A bucket that lets at most `rate.count` out within any `rate.seconds`, and at least 95 % of it.

    A bucket of capacity b, filled at r a second, lets fewer than b + r·T + 1 out in any half-open window T.
    So b is kept near 1 and paid for out of r: what exceeds 1 only makes up for timers that fire late.
    """
    count, seconds = rate.count, rate.seconds
    if count < 1:
        count, seconds = 1.0, seconds / count
    extra = min(0.03 * count, 0.05 * count / seconds)
    per_second = (count - extra) * 0.995 / seconds
    return AsyncLimiter(1 + extra, (1 + extra) / per_second)


class Pace:
    """One stream of requests: waits for its bucket, and for a pause that the service asked for."""

    __slots__ = ("_bucket", "_clock", "_sleep", "_until")

    def __init__(
        self,
        rate: Rate | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._bucket = bucket(rate) if rate else None
        self._clock = clock
        self._sleep = sleep
        self._until = 0.0

    async def turn(self) -> None:
        """Returns when the next request may go out."""
        while True:
            while (wait := self._until - self._clock()) > 0:
                await self._sleep(wait)
            if self._bucket is None:
                return
            await self._bucket.acquire()
            if self._until <= self._clock():
                return

    def pause(self, seconds: float) -> None:
        """Nothing goes out for `seconds` from now; a longer pause that is on stays."""
        self._until = max(self._until, self._clock() + min(seconds, MAX_PAUSE))

    @property
    def paused(self) -> float:
        """Seconds that the pause still lasts."""
        return max(0.0, self._until - self._clock())


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that an answer asks to wait, by `Retry-After`, else `X-RateLimit-Reset`, else None.

    `now` is the Unix time by our clock, for answers without `Date`: both headers are in the service's time.
    A reset too small to be an instant is a number of seconds.
    """
    said = headers.get("retry-after", "").strip()
    date = http_date(headers.get("date", ""))
    here = now if date is None else date
    if said:
        seconds = _number(said)
        if seconds is None:
            until = http_date(said)
            seconds = None if until is None else until - here
        if seconds is not None:
            return max(0.0, seconds)
    return _reset(headers, here)


def exhausted(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the next request, if this answer says that the allowance is used up."""
    if _number(headers.get("x-ratelimit-remaining", "")) != 0:
        return None
    date = http_date(headers.get("date", ""))
    return _reset(headers, now if date is None else date)


def _reset(headers: Mapping[str, str], here: float) -> float | None:
    reset = _number(headers.get("x-ratelimit-reset", ""))
    if reset is None:
        return None
    seconds = reset - here if reset >= _EPOCH_SECONDS else reset
    return min(max(seconds, MIN_PAUSE), MAX_PAUSE)


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if text.replace(".", "", 1).isdecimal() and text.isascii() else None


def http_date(text: str) -> float | None:
    """Unix time of an HTTP date, or None."""
    if not text:
        return None
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
