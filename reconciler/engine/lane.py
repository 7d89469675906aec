"""One service's part of an apply, isolated from all others.

1. adds, retries, modify requests and first halves of safe replaces, as many at once as the service allows
2. wait until they are pinned
3. second halves, then deletes, each only if what it depends on is true
4. read what was touched once more
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta

from reconciler.core.cid import Cid
from reconciler.core.errors import RateLimitedError, ServiceError
from reconciler.core.listed import ref
from reconciler.core.manifest import Service
from reconciler.core.model import FAILED, PINNED, Desired, PinRequest, Remote
from reconciler.core.ownership import listed_cid, request_for
from reconciler.core.plan import Add, Change, Delete, Keep, PinRef, Replace, Retry, Victim
from reconciler.core.report import Result, ServiceReport
from reconciler.engine.follow import follow
from reconciler.engine.newer import wait_to_be_newer
from reconciler.engine.renew import add_again
from reconciler.engine.retire import Moved, retire
from reconciler.engine.run import Run, why
from reconciler.engine.send import in_the_way, marks_kept, send_add, send_replace
from reconciler.engine.verify import verify

First = Add | Replace | Retry
#: What is followed until it is pinned: what this run sends, and what an earlier one left waiting.
Followed = First | Keep


class Lane:
    """Works off the changes of one service. `stopped` says why it ended early, or ""."""

    def __init__(
        self, run: Run, service: Service, changes: Sequence[Change], waiting: Sequence[Keep] = ()
    ) -> None:
        self.run = run
        self.service = service
        self.diff = run.planned.diffs[service.name]
        self.wanted = run.planned.desire.by_service[service.name]
        self.firsts: list[First] = [a for a in changes if not isinstance(a, Delete)]
        self.deletes: list[Delete] = [a for a in changes if isinstance(a, Delete)]
        self.stopped = ""
        self.notes: list[str] = []
        #: whether a read-back of this run showed our mark
        self.mark_proven = False
        #: what was accepted and is not yet pinned, by requestid
        self.pending: dict[str, Followed] = {k.requestid: k for k in waiting}
        #: what is true at the service, with the pin that makes it so
        self.true: list[tuple[Followed, Remote | None]] = []

    @property
    def asking(self) -> Iterable[Followed]:
        """What needs somebody to have the content: what is to be sent, and what an earlier run left waiting."""
        return (*self.firsts, *self.pending.values())

    async def work(self) -> None:
        client = self.run.ctx.services[self.service.name]
        before = client.requests
        try:
            await self._guarded(self._begin())
            await self._guarded(self._wait())
        finally:
            self.run.settled[self.service.name].set()
        await self._guarded(self._second_halves())
        await self._guarded(self._deletes())
        await self._guarded(self._verify())
        self.run.reports[self.service.name] = ServiceReport(
            service=self.service.name,
            requests=client.requests - before,
            stopped=self.stopped,
            notes=tuple(self.notes),
        )

    async def _guarded(self, step: Awaitable[None]) -> None:
        """A step that fails as a whole ends the lane, not the run: the steps after it tell what they skip."""
        try:
            await step
        except ServiceError as error:
            self._end(error)

    def _end(self, error: ServiceError) -> None:
        if not self.stopped:
            self.stopped = str(error)
            self.run.ctx.progress.note(self.service.name, self.stopped)

    async def _each(self, work: Iterable[Change], do: Callable[[Change], Awaitable[None]]) -> None:
        """A pool of workers over one iterator: a queue of all tasks would cost more than the requests."""
        todo = iter(work)

        async def worker() -> None:
            for action in todo:
                if self.stopped or self.run.stopped:
                    reason = self.stopped or "interrupted"
                    self.run.finish(action, "skipped", why=reason)
                    continue
                try:
                    await do(action)
                except ServiceError as error:
                    self.run.finish(action, "failed", why=why(error))
                    if error.ends_lane or isinstance(error, RateLimitedError):
                        self._end(error)

        async with asyncio.TaskGroup() as group:
            for _ in range(self.service.limits.concurrency):
                group.create_task(worker())

    # --- 1. first halves ----------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        # What has to be imported first keeps nothing else waiting.
        firsts = sorted(self.firsts, key=self.run.imports.concerns)
        while firsts and self._mark_unproven and not self.stopped:
            # Each goes alone and is read back, until one shows that our mark is kept.
            action = firsts.pop(0)
            await self._each([action], self._first)
            await self._guarded(self._prove_mark(action))
        await self._each(firsts, self._first)

    @property
    def _mark_unproven(self) -> bool:
        kept = self.service.profile.meta == "kept" or self.diff.listing.mark_seen
        return self.service.ownership == "meta" and not kept and not self.mark_proven

    async def _prove_mark(self, action: First) -> None:
        """Without its mark a pin is nobody's: take it back, and say how ownership works here."""
        new = next((i for i, a in self.pending.items() if a is action), None)
        new = new or next((p.requestid for a, p in self.true if a is action and p is not None), None)
        if new is None:
            return
        pin = await self.run.read(self.service.name, new)
        sent = request_for(self.wanted[action.name], self.service, self.run.planned.manifest.owner)
        if pin is None or marks_kept(pin, sent):
            self.mark_proven = pin is not None
            return
        self.pending.pop(new, None)
        self.true = [(a, p) for a, p in self.true if a is not action]
        listed_before = any(r.requestid == new for r in self.diff.listing.remotes)
        same = pin.cid == self.wanted[action.name].cid and pin.listed_name == sent.name
        if not listed_before and self.diff.listing.complete and same:
            await self.run.ctx.services[self.service.name].delete(new)
            self.run.evidence.forget(self.service.name, new)
            new = ""
        reason = f"{self.service.name} does not keep meta, so nothing there could be told to be ours"
        self.run.finish(action, "failed", requestid=new, why=reason)
        raise ServiceError(
            reason,
            service=self.service.name,
            hint=f"set `ownership: prefix` for {self.service.name} in the manifest",
        )

    async def _first(self, action: Change) -> None:
        assert not isinstance(action, Delete)
        if isinstance(action, Replace) and action.how == "shared":
            self.true.append((action, None))
            return
        if not await self.run.content_for(action):
            return
        wanted = self.wanted[action.name]
        request = request_for(wanted, self.service, self.run.planned.manifest.owner)
        # What the node has to say is found out here: a slow one must not come between the last look and the POST.
        await self.run.hints.request(self.service, request)
        if isinstance(action, Retry) and not await self._really_failed(action):
            return
        if isinstance(action, Replace):
            await wait_to_be_newer(self.run, self.service, action)
        if self.diff.one or not self.diff.listing.complete:
            there, why_not = await in_the_way(self.run, self.service, wanted, request)
            if why_not:
                self.run.finish(action, "moved", why=why_not)
                return
            if there is not None and isinstance(action, Add | Retry):
                self._accepted(action, there)
                return
        if isinstance(action, Replace) and action.target is not None:
            if not await self._replace(action, action.target, wanted):
                return
        elif isinstance(action, Retry):
            await self._retry(action, request)
        else:
            self._accepted(action, await send_add(self.run, self.service, action, request))

    async def _retry(self, action: Retry, request: PinRequest) -> None:
        try:
            self._accepted(action, await add_again(self.run, self.service, action, request))
        except Moved as moved:
            self.run.finish(action, "moved", why=moved.reason)

    async def _really_failed(self, action: Retry) -> bool:
        """A failure is believed after a second look; a retry waits its turn where a journal remembers the last."""
        run, settings = self.run, self.run.ctx.settings
        if (until := _resting(run, action)) is not None:
            run.finish(action, "skipped", why=f"failed and retried before, not again before {until}")
            return False
        await run.ctx.pause(run.started + settings.second_look - run.ctx.monotonic())
        newest = action.failed[0]
        pin = await run.read(self.service.name, newest.requestid)
        if pin is not None and pin.status != FAILED:
            self._accepted(action, pin)
            return False
        return True

    async def _replace(self, action: Replace, target: Victim, wanted: Desired) -> bool:
        """The service's own replace. It deletes the old CID at once, so the pin is read again right before.

        Nothing else needs reading: a plan does not use it where another key or service has to hold that CID.
        """
        run, name = self.run, self.service.name
        if moved := await run.moved(name, target.ref):
            run.finish(action, "moved", why=moved)
            return False
        request = request_for(wanted, self.service, run.planned.manifest.owner)
        pin = await send_replace(run, self.service, action, target.ref, request)
        if pin.requestid != target.ref.requestid and await run.read(name, target.ref.requestid) is not None:
            self.notes.append(
                f"the replaced pin {target.ref.requestid} is still there; the next run deletes it"
            )
        self._accepted(action, pin)
        return True

    def _accepted(self, action: First, pin: Remote) -> None:
        self.run.ctx.progress.accepted(self.service.name, action.name, action.__class__.__name__.lower())
        if pin.status == PINNED:
            self.true.append((action, pin))
        else:
            self.pending[pin.requestid] = action

    # --- 2. wait ------------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        run = self.run
        if self.pending and run.ctx.settings.wait == "pinned" and not self.stopped:
            await self._guarded(self._follow())
        for requestid, action in self.pending.items():
            if run.ctx.settings.wait == "none":
                run.finish(action, "done", requestid=requestid, why="accepted, not yet pinned")
            else:
                run.finish(action, "waiting", requestid=requestid, why="accepted, not yet pinned")

    async def _follow(self) -> None:
        run = self.run
        async for requestid, pin in follow(run, self.service, set(self.pending)):
            action = self.pending.pop(requestid)
            if pin is None:
                run.finish(action, "failed", why="gone again")
            elif pin.status == PINNED:
                self.true.append((action, pin))
            else:
                run.finish(action, "failed", requestid=requestid, why=_why_failed(pin))

    # --- 3. what goes -------------------------------------------------------------------------------------------

    async def _second_halves(self) -> None:
        """What yields to a new pin goes once that is true: old pins of a replace, failures that were retried."""
        yields = {id(a): _yielding(a) for a, _ in self.true}
        pins = {id(a): p for a, p in self.true}
        for action, pin in self.true:
            if not yields[id(action)]:
                self._done(action, pin)

        async def second_half(action: Change) -> None:
            assert not isinstance(action, Delete)
            new = pins[id(action)]
            for old in yields[id(action)]:
                if new is not None and old.ref.requestid == new.requestid:
                    continue
                try:
                    await self._elsewhere(old)
                    if new is None:
                        await retire(self.run, action, old, carried=self.wanted[action.name].cid)
                    else:
                        await retire(self.run, action, old, stand=ref(new))
                except Moved as moved:
                    if not moved.gone:
                        result: Result = "skipped" if self.run.ctx.settings.wait == "pinned" else "done"
                        reason = f"the old pin stays: {moved.reason}"
                        self.run.finish(action, result, requestid=new.requestid if new else "", why=reason)
                        return
            self._done(action, new)

        await self._each([a for a, _ in self.true if not isinstance(a, Keep) and yields[id(a)]], second_half)

    def _done(self, action: Followed, pin: Remote | None) -> None:
        self.run.finish(action, "done", requestid=pin.requestid if pin else "")

    async def _deletes(self) -> None:
        renewed = self._renewed()

        async def delete(action: Change) -> None:
            assert isinstance(action, Delete)
            stand = action.stand
            if stand is not None:
                stand = renewed.get((stand.requestid, listed_cid(stand.cid)), stand)
            try:
                await self._elsewhere(action.victim)
                await retire(self.run, action, action.victim, stand=stand)
            except Moved as moved:
                result: Result = "done" if moved.gone else "moved"
                self.run.finish(action, result, requestid=action.victim.ref.requestid, why=moved.reason)
                return
            self.run.finish(action, "done", requestid=action.victim.ref.requestid)

        await self._each(self.deletes, delete)

    def _renewed(self) -> dict[tuple[str, Cid], PinRef]:
        """Pins to which this run itself gave another name or meta, as they are since then: by their ids and CIDs."""
        found: dict[tuple[str, Cid], PinRef] = {}
        for action, pin in self.true:
            if pin is not None and isinstance(action, Replace):
                for requestid in {pin.requestid, *(old.ref.requestid for old in action.olds)}:
                    found.setdefault((requestid, pin.cid), ref(pin))
        return found

    # --- 4. the last look -----------------------------------------------------------------------------------------

    async def _verify(self) -> None:
        made = [(a, p) for a, p in self.true if p is not None and not isinstance(a, Keep)]
        if await verify(self.run, self.service, made):
            self.notes.append("meta came back other than it was sent; it is no longer compared here")

    async def _elsewhere(self, victim: Victim) -> None:
        """What other services are to hold first is waited for; nothing else makes one lane wait for another."""
        for service in {*(s for s, _ in victim.elsewhere), *victim.all_of}:
            if service != self.service.name:
                await self.run.settled[service].wait()


def _yielding(action: Followed) -> tuple[Victim, ...]:
    if isinstance(action, Replace):
        return action.olds
    return tuple(Victim(ref=f) for f in action.failed) if isinstance(action, Retry) else ()


def _resting(run: Run, action: Retry) -> str | None:
    """When a failed pin may be tried again, if that is not yet."""
    journal = run.ctx.journal
    if journal is None:
        return None
    last = journal.last_try(run.planned.manifest.owner, action.service, action.name)
    if last is None or last.cid != action.cid:
        return None
    due = last.at + timedelta(seconds=min(run.ctx.settings.retry_after * 2 ** (last.attempts - 1), 6 * 3600))
    return f"{due:%Y-%m-%d %H:%M:%SZ}" if due > run.ctx.now else None


def _why_failed(pin: Remote) -> str:
    """Services say why in fields of their own; all of `info` is untrusted text."""
    details = "; ".join(f"{k}: {v}" for k, v in sorted(pin.info.items()) if v)[:200]
    return f"the service could not pin it ({details})" if details else "the service could not pin it"
