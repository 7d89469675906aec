"""What the workers of one loop share: the manifest in force, what each service holds, the node, and a way to tell."""

import asyncio
import ctypes
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from reconciler.core.focus import policy_names, without_entries
from reconciler.core.globs import Globs
from reconciler.core.manifest import Loop, Manifest
from reconciler.core.model import Listing
from reconciler.core.question import Facts
from reconciler.daemon.files import Kept
from reconciler.daemon.holding import Holding
from reconciler.daemon.lease import Lease
from reconciler.daemon.log import Log
from reconciler.daemon.packed import FEW
from reconciler.daemon.state import Paused
from reconciler.daemon.watch import Watch
from reconciler.daemon.webhook import Hook
from reconciler.daemon.window import is_open
from reconciler.engine.context import Context, Settings
from reconciler.engine.journal import Journal
from reconciler.names.memory import Memory
from reconciler.node.protocol import Node
from reconciler.services.protocol import PinningService


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the loop is given from outside."""

    new_id: Callable[[], str]
    log: Log
    lease: Lease
    environ: Mapping[str, str] = field(default_factory=dict)
    journal: Journal | None = None
    settings: Settings = field(default_factory=lambda: Settings(wait="none"))
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    signal_exit: Callable[[], int] = lambda: 0
    now: Callable[[], datetime] = _utc
    monotonic: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


class Shared:
    """Workers read here; the loop writes, and each worker its own holding."""

    def __init__(self, given: Given, kept: Kept, loop: Loop) -> None:
        self.given = given
        self.loop = loop
        self.services: dict[str, PinningService] = {}
        self.holdings: dict[str, Holding] = {}
        self.node: Node | None = None
        self.watch: Watch | None = None
        self.hook: Hook | None = None
        self.paused = Paused()
        #: What names led to, so that no older record is believed.
        self._names_seen = Memory()
        #: What is said once in the life of the loop.
        self._told: set[str] = set()
        self._lent: Manifest | None = None
        self._borrowers = 0
        self.take(kept)

    def take(self, kept: Kept) -> None:
        """A manifest comes into force."""
        self.kept = kept
        self.policies_only = without_entries(kept.head)
        self.names: Globs = policy_names(kept.head)
        self._lent = None

    @asynccontextmanager
    async def manifest(self) -> AsyncIterator[Manifest]:
        """The whole manifest, unpacked once for all who want it at a time."""
        self._borrowers += 1
        try:
            if self._lent is None:
                self._lent = self.kept.packed.unpacked()
            yield self._lent
        finally:
            self._borrowers -= 1
            if not self._borrowers:
                self._lent = None

    async def facts(self) -> Facts:
        from reconciler.engine.facts import gather, unseen

        if self.watch is not None:
            facts = await self.watch.facts()
        else:
            facts = await gather(self.kept.head, self.context())
        for text in unseen(facts):
            if text not in self._told:
                self._told.add(text)
                self.given.log("warning", "note", text=text)
        return facts

    def context(self, stop: asyncio.Event | None = None) -> Context:
        given = self.given
        return Context(
            now=given.now(),
            services=self.services,
            new_id=given.new_id,
            environ=given.environ,
            node=self.node,
            journal=given.journal,
            progress=Notes(given.log),
            settings=given.settings,
            stop=stop or given.stop,
            signal_exit=given.signal_exit,
            names=self._names_seen,
            sleep=given.sleep,
            monotonic=given.monotonic,
        )

    def others(self, service: str, *, whole: bool) -> dict[str, Listing]:
        """What the other services were last seen to hold."""
        listings: dict[str, Listing] = {}
        for name in self.kept.head.services:
            if name == service:
                continue
            holding = self.holdings.get(name)
            if holding is None:
                listings[name] = Listing(service=name, reachable=False, why="it has not been listed yet")
            else:
                listings[name] = holding.whole() if whole else holding.nearby()
        return listings

    def tidy(self) -> None:
        """After a plan of everything: what it was made of is given back, or it would stay until there is as much
        garbage again. Of a few pins it is not worth the time that it takes."""
        if self.kept.packed.count + sum(h.summary.seen for h in self.holdings.values()) > FEW:
            gc.collect()
            _trim()

    def may_apply(self) -> str:
        """ "" if changes may be made now, or why not."""
        if self.loop.plan_only:
            return "plan only"
        if not is_open(self.loop.windows, self.given.now(), self.loop.timezone):
            return "outside of the windows"
        return ""


def _trim() -> None:
    """Has the C library give back what is free, where it is glibc.

    It keeps what lies below anything that is still used: 60 MB after a plan of 100,000 pins, measured, which would
    stay until the next one.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Notes:
    """Listens to the engine: what a person should know goes to the log, everything else is in its report."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def note(self, service: str, text: str) -> None:
        self._log("warning", "note", service=service, text=text)

    def listing(self, service: str, pins: int, *, done: bool) -> None: ...
    def fetching(self, *arguments: object) -> None: ...
    def applying(self, total: int) -> None: ...
    def accepted(self, service: str, name: str, action: str) -> None: ...
    def waiting(self, pending: int, seconds_left: float) -> None: ...
    def outcome(self, outcome: object) -> None: ...
