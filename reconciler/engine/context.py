"""What a run is given from outside: time, services, a journal, somebody who listens. Nothing here is global."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from reconciler.engine.progress import Progress, Silent
from reconciler.names.memory import Memory
from reconciler.services.protocol import PinningService

if TYPE_CHECKING:
    from reconciler.engine.journal import Journal
    from reconciler.node.protocol import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an apply waits. All times in seconds."""

    wait: Literal["pinned", "none"] = "pinned"
    #: How long pins are followed before they are left waiting.
    timeout: float = 600.0
    #: A failure is believed after a second look this much later (ipfs-cluster says `failed` for a moment).
    second_look: float = 5.0
    #: After a lost answer: how long to wait before each look for what may have happened.
    visibility: tuple[float, ...] = (0.0, 1.0, 3.0, 10.0)
    #: First and longest interval between two looks at what is pending.
    poll: tuple[float, float] = (0.5, 30.0)
    #: Least time between two retries of a failed pin; doubles with each, where a journal remembers.
    retry_after: float = 30.0
    #: So long a node may keep the requests of one run waiting, in all, before they go without its hints.
    node_patience: float = 2.0
    #: How long a dial of a delegate may take, and the least time between two dials of one.
    dial_deadline: float = 10.0
    dial_again: float = 60.0
    #: So long dials that go on may hold up the end of a run that leaves pins waiting; a quarter of it if it does not.
    dial_grace: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One run's surroundings. `now` is UTC; `monotonic` and `sleep` are the clock that waits go by."""

    now: datetime
    services: Mapping[str, PinningService]
    new_id: Callable[[], str]
    environ: Mapping[str, str] = field(default_factory=dict)
    #: The Kubo node of the manifest, if it names one.
    node: "Node | None" = None
    journal: "Journal | None" = None
    #: The newest IPNS records seen: a loop hands the same to each cycle, so that no name leads back to an older one.
    names: Memory = field(default_factory=Memory)
    progress: Progress = field(default_factory=Silent)
    settings: Settings = field(default_factory=Settings)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    #: The exit code of the signal that set `stop`, for the journal; 0 if none did.
    signal_exit: Callable[[], int] = lambda: 0
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    monotonic: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)

    async def pause(self, seconds: float) -> None:
        """Sleep, but no longer than until somebody asks to stop."""
        if seconds <= 0 or self.stop.is_set():
            return
        waiter = asyncio.ensure_future(self.stop.wait())
        sleeper = asyncio.ensure_future(self.sleep(seconds))
        try:
            await asyncio.wait((waiter, sleeper), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            sleeper.cancel()
