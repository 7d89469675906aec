"""The loop: what `pinrec run` does until it is told to stop.

1. the lease is taken by whoever calls it, so that there is one loop for an owner
2. open the services and the node, start a worker for each service and the watch on the node
3. every second: are the files, the pause, the clock and the window as they were? Then say how things stand
4. asked to stop: requests in flight end, everything else is left to the next run, which finds it in the listings

A manifest that changes is read and found valid first. Workers of services that are reached as before go on; one whose
endpoint, key or limits changed ends what it is doing and begins anew.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from reconciler import __version__
from reconciler.core.errors import LockedError, PinrecError, UsageError, worst_exit
from reconciler.core.local import LOCAL
from reconciler.core.manifest import Loop as Settings
from reconciler.core.manifest import Manifest
from reconciler.core.question import StatOf
from reconciler.daemon.crew import Crew, OpenServices
from reconciler.daemon.files import Files, Kept
from reconciler.daemon.nodeside import NodeSide, OpenNode
from reconciler.daemon.schedule import Calendar, CronError, Schedule, check_cron
from reconciler.daemon.shared import Given, Shared
from reconciler.daemon.state import LoopState, StateFiles
from reconciler.daemon.verifying import Verifying
from reconciler.daemon.webhook import Hook, Send, sender
from reconciler.daemon.window import is_open, next_change

#: Seconds between two looks at files, pause, clock and window.
TICK = 1.0
#: Seconds between two writes of an unchanged state.
SIGN_OF_LIFE = 60.0
#: A difference between the two clocks that grows by more than this is a clock that was set.
JUMP = 5.0
#: Seconds that a webhook gets at the end: when somebody waits for that, and when nobody does.
LAST_WORDS, ALL_WORDS = 5.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """How the loop reaches the world. `override` puts what the command line says over the manifest's `loop`."""

    load: Callable[[], Manifest]
    open_services: OpenServices
    open_node: OpenNode
    state_dir: Path
    override: Callable[[Settings], Settings] = lambda settings: settings
    schedule: Callable[[], Schedule] = Calendar


class Loop:
    """One run of the loop, that begins with `kept`. `given.stop` ends it."""

    def __init__(self, kept: Kept, given: Given, doors: Doors) -> None:
        self._given = given
        self._doors = doors
        self._log = given.log
        self._files = Files(doors.load, kept, environ=given.environ, monotonic=given.monotonic)
        self._shared = Shared(given, kept, doors.override(kept.head.loop))
        self._crew = Crew(self._shared, doors.open_services)
        self._node = NodeSide(self._shared, doors.open_node, self._root_changed)
        self._verifying = Verifying(self._shared)
        self._states = StateFiles(doors.state_dir, kept.head.owner)
        self._schedule = doors.schedule()
        self._telling: asyncio.Task[None] | None = None
        self._since = given.now()
        self._offset = self._clocks()
        self._was_open = self._is_open()
        #: When the window opens or shuts next, None if never; and whether that was found out since it may be another.
        self._edge: datetime | None = None
        self._edge_known = False
        self._written: tuple[bytes, float] = (b"", float("-inf"))
        self._unwritten = ""

    async def run(self) -> None:
        """Until somebody asks it to stop. Raises PinrecError if it cannot begin, LockedError if the lease is lost."""
        try:
            await self._begin()
            self._cadences()
            self._schedule.start()
            while not self._given.stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._given.stop.wait(), TICK)
                if not self._given.stop.is_set():
                    await self._tick()
        finally:
            await self._end()

    async def once(self) -> int:
        """One plan of everything at every service, applied as always; the exit code of them all together."""
        try:
            await self._begin()
            stop = asyncio.create_task(self._given.stop.wait())
            asked = {n: w for n, w in self._crew.workers.items() if not self._shared.paused.covers(n)}
            for name in self._crew.workers.keys() - asked.keys():
                self._log("info", "pause", service=name)
            turns = [asyncio.create_task(w.settled.wait()) for w in asked.values()]
            everybody = asyncio.create_task(_all(turns))
            await asyncio.wait((everybody, stop), return_when=asyncio.FIRST_COMPLETED)
            for task in (stop, everybody, *turns):
                task.cancel()
            return worst_exit(*(w.chronicle.exit_code for w in self._crew.workers.values()))
        finally:
            await self._end()

    def poke(self) -> None:
        """Read the files again, and look at everything now."""
        self._files.forget()
        self._crew.ask("all", "asked for")

    # --- beginning and end ------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        shared = self._shared
        head = shared.kept.head
        check(shared.loop)
        shared.paused = self._states.read_paused()
        await self._hook(self._sender(shared.loop))
        await self._node.take(head, await self._node.open(head))
        before = self._states.read_loop()
        await self._crew.begin(head.services, before.services if before is not None else ())
        self._log(
            "info",
            "start",
            owner=head.owner,
            manifest=head.path,
            pins=shared.kept.packed.count,
            services=len(head.services.keys() - {LOCAL}),
            policies=sum(bool(p.uses) for p in head.policies.values()) or None,
            interval=shared.loop.cron or f"{shared.loop.interval:g}s",
            plan_only=shared.loop.plan_only or None,
            pid=os.getpid(),
        )
        shared.tidy()

    async def _end(self) -> None:
        """Requests in flight end; nothing new begins."""
        patience = LAST_WORDS if self._given.stop.is_set() else ALL_WORDS
        self._schedule.stop()
        self._given.stop.set()
        await self._verifying.end()
        await self._crew.end()
        await self._node.end()
        if self._shared.hook is not None:
            await self._shared.hook.drain(patience)
        self._write(force=True)
        await self._hook(None)
        self._log("info", "stop", seconds=round((self._given.now() - self._since).total_seconds(), 1))

    def _cadences(self) -> None:
        loop = self._shared.loop
        news = self._asker("news", "incremental")
        if loop.cron:
            self._schedule.cron("tick", loop.cron, self._interval, timezone=loop.timezone, jitter=loop.jitter)
        else:
            self._schedule.every("tick", loop.interval, self._interval, jitter=loop.jitter)
        self._schedule.every("news", loop.incremental, news, jitter=loop.jitter)
        self._verifying.take(loop.verify)
        self._schedule.every("all", loop.full_sweep, self._asker("all", "full sweep"), jitter=loop.jitter)

    def _interval(self) -> None:
        if self._shared.watch is not None:
            # What is not watched, such as a name that leads elsewhere by now, is asked again.
            self._shared.watch.doubt()
        self._crew.ask("tick", "interval")

    def _asker(self, kind: str, why: str) -> Callable[[], None]:
        return lambda: self._crew.ask(kind, why)

    # --- every second -------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        given, shared = self._given, self._shared
        if not given.lease.is_ours():
            if not given.lease.again():
                holder = given.lease.holder() or "nobody"
                raise LockedError(
                    f"this loop of {shared.kept.head.owner} has lost its lease; it is held by {holder}"
                )
            self._log("warning", "lease", text="its file was removed, and it is taken again")
        if abs(moved := self._clocks() - self._offset) > JUMP:
            self._log("warning", "clock", moved=f"{moved:+.0f}s")
            self._offset += moved
            self._edge_known = False
            self._schedule.jumped()
        self._look_at_pause()
        if self._is_open() != self._was_open:
            self._was_open, self._edge_known = not self._was_open, False
            self._log("info", "window", open=self._was_open)
            if self._was_open:
                self._crew.ask("all", "the window opens")
        if self._files.changed():
            await self._reload()
        await self._node.tick()
        self._write()

    def _look_at_pause(self) -> None:
        shared, paused = self._shared, self._states.read_paused()
        if paused == shared.paused:
            return
        before, shared.paused = shared.paused, paused
        for name in self._crew.workers:
            now = paused.covers(name)
            if now != before.covers(name):
                self._log("info", "pause" if now else "resume", service=name)
                if not now:
                    self._crew.ask("all", "resumed", (name,))
        self._crew.wake()

    def _clocks(self) -> float:
        return self._given.now().timestamp() - self._given.monotonic()

    def _is_open(self) -> bool:
        loop = self._shared.loop
        return is_open(loop.windows, self._given.now(), loop.timezone)

    def _root_changed(self, paths: frozenset[StatOf]) -> None:
        text = ", ".join(sorted(q.path for q in paths))
        self._log("debug", "root", path=text)
        used = {s for policy in self._shared.kept.head.policies.values() for s in policy.uses}
        self._crew.ask("roots", f"root of {text}", used)

    # --- the manifest changes -----------------------------------------------------------------------------------

    async def _reload(self) -> None:
        before = self._files.invalid
        new = await self._files.read(self._shared.kept)
        if new is not None:
            try:
                await self._take(new)
            except PinrecError as error:
                self._files.refuse(error)
        refused = self._files.invalid
        if refused is None and new is not None:
            head = new.head
            self._log(
                "info",
                "manifest",
                manifest=head.path,
                pins=new.packed.count,
                services=len(head.services.keys() - {LOCAL}),
            )
        elif refused is not None and str(refused) != str(before):
            path = self._shared.kept.head.path
            self._log("error", "manifest", manifest=path, error=str(refused), in_force="the one before")

    async def _take(self, new: Kept) -> None:
        """A valid manifest comes into force. Raises PinrecError, and then the one before is still in force."""
        shared, head = self._shared, new.head
        owner = shared.kept.head.owner
        if head.owner != owner:
            raise PinrecError(
                f"its name is {head.owner} now and was {owner}: a running loop does not change its owner",
                hint="start it anew",
            )
        settings = self._doors.override(head.loop)
        check(settings)
        send = self._sender(settings)
        opened = await self._node.open(head, self._files.altered)
        try:
            start = await self._crew.change(head.services, self._files.altered)
        except BaseException:
            if opened is not None:
                await opened.stack.aclose()
            raise
        self._files.taken()
        recurs = settings != shared.loop
        shared.loop = settings
        self._edge_known = False
        shared.take(new)
        await self._node.take(head, opened)
        await self._hook(send)
        if recurs:
            self._cadences()
        start()
        shared.tidy()

    # --- telling ------------------------------------------------------------------------------------------------

    def _sender(self, settings: Settings) -> Send | None:
        return None if settings.webhook is None else sender(settings.webhook, environ=self._given.environ)

    async def _hook(self, send: Send | None) -> None:
        """Whom to tell from now on. What waits to be told, and what is being sent, is not lost by it."""
        if self._shared.hook is not None and send is not None:
            self._shared.hook.use(send)
            return
        task, self._telling, self._shared.hook = self._telling, None, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if send is not None:
            self._shared.hook = Hook(send, log=self._log, sleep=self._given.sleep)
            self._telling = asyncio.create_task(self._shared.hook.run(), name="webhook")

    def state(self) -> LoopState:
        """How things stand."""
        shared, now = self._shared, self._given.now()
        head, loop, invalid = shared.kept.head, shared.loop, self._files.invalid
        if loop.windows and not (self._edge_known and (self._edge is None or now < self._edge)):
            self._edge, self._edge_known = next_change(loop.windows, now, loop.timezone), True
        return LoopState(
            pinrec=__version__,
            owner=head.owner,
            manifest=head.path,
            pid=os.getpid(),
            host=socket.gethostname(),
            since=self._since,
            written=now,
            next=self._schedule.next("tick"),
            plan_only=loop.plan_only,
            window_open=self._was_open,
            window_changes=self._edge if loop.windows else None,
            manifest_error="" if invalid is None else str(invalid),
            webhook_error=shared.hook.error if shared.hook is not None else "",
            services=[worker.chronicle.state() for worker in self._crew.workers.values()],
            watch=shared.watch.state() if shared.watch is not None else None,
        )

    def _write(self, *, force: bool = False) -> None:
        """The state when it has changed, and now and then as a sign of life. A full disk stops no loop."""
        state, at = self.state(), self._given.monotonic()
        # What a look at MFS costs is another number each time, and no change.
        watch = state.watch and msgspec.structs.replace(state.watch, stat=0.0, interval=0.0)
        content = msgspec.json.encode(msgspec.structs.replace(state, written=self._since, watch=watch))
        if not force and content == self._written[0] and at - self._written[1] < SIGN_OF_LIFE:
            return
        self._written = (content, at)
        try:
            self._states.write_loop(state)
        except OSError as error:
            # Tried again at the next tick, and told once.
            why, self._written = error.strerror or type(error).__name__, (b"", at)
            if why != self._unwritten:
                self._log("warning", "state", error=why)
            self._unwritten = why
        else:
            self._unwritten = ""


async def _all(tasks: list[asyncio.Task[Literal[True]]]) -> None:
    if tasks:
        await asyncio.wait(tasks)


def check(settings: Settings) -> None:
    """Raises UsageError for a cron expression that is none. The manifest's own is checked when it is read."""
    if settings.cron:
        try:
            check_cron(settings.cron, settings.timezone)
        except CronError as error:
            raise UsageError(
                f"{settings.cron!r} is no cron expression: {error}", hint='five fields, e.g. "*/10 * * * *"'
            ) from None
