"""What a worker reads of its service beside listings: what waits, what is new, and what an apply has changed."""

import asyncio
from collections.abc import Collection
from typing import Literal

from reconciler.core.local import LOCAL
from reconciler.core.manifest import Service
from reconciler.core.model import FAILED, PINNED, PINNING, QUEUED, PinStatus
from reconciler.core.ownership import Rules, record
from reconciler.core.plan import Change, Delete, PinRef, Replace
from reconciler.core.planning import Planned
from reconciler.daemon.holding import Holding
from reconciler.daemon.news import News
from reconciler.daemon.pending import Pending, Waiting
from reconciler.daemon.shared import Shared
from reconciler.daemon.turn import Turned
from reconciler.engine.dial import Dialler

#: Pins read one by one after an apply, and at a light look.
READ_AGAIN = 50

#: What follows from something that was read: a plan of the policies, or of everything.
Follows = Literal["roots", "all"]


class Reading:
    """Of one service. Keeps its holding true. Every method that asks raises ServiceError."""

    def __init__(self, shared: Shared, service: Service) -> None:
        self._shared = shared
        self._service = service
        self._rules = Rules.of(shared.kept.head)
        self._dialler, self._node = Dialler(shared.context()), shared.node
        self._closing: asyncio.Task[None] | None = None
        # A node knows no time of its pins.
        self.news = News(service.profile, works=service.name != LOCAL)
        self.pending = Pending(shared.given.monotonic, self._waits)

    @property
    def _holding(self) -> Holding:
        return self._shared.holdings[self._service.name]

    def listed(self, planned: Planned) -> None:
        """All of the account was listed, for this plan."""
        self._rules = Rules.of(planned.manifest)
        remotes = planned.snapshot.listings[self._service.name].remotes
        self.news.listed(remotes)
        mine = [p for p in remotes if p.mine]
        several: dict[str, int] = {}
        for pin in mine:
            several[pin.name] = several.get(pin.name, 0) + 1
        self.pending.only(
            Waiting(requestid=p.requestid, name=p.name, matters=several[p.name] > 1)
            for p in mine
            if p.status in (QUEUED, PINNING)
        )

    async def near(self) -> bool:
        """Read the policies' pins again; whether one is not as it was."""
        moved = False
        for pin in list(self._holding.near.values())[:READ_AGAIN]:
            moved = await self._again(pin.requestid) or moved
        return moved

    async def waiting(self) -> set[Follows]:
        """Look at what waits."""
        decided = await self.pending.look(self._shared.services[self._service.name])
        follows: set[Follows] = {"all"} if self.pending.crowd else set()
        for item in decided:
            self._take(item.waiting.requestid, item.status)
            if self._shared.names.match(item.waiting.name) is not None:
                follows.add("roots")
            elif item.status is None or item.status.status == FAILED or item.waiting.matters:
                follows.add("all")
        return follows

    async def fresh(self) -> bool:
        """Whether something new concerns us that we did not make."""
        found = await self.news.look(self._shared.services[self._service.name])
        return not found.all_seen or any(self._concerns(pin) for pin in found.pins)

    async def take_in(self, turned: Turned) -> bool:
        """Read what an apply has changed; False if that is too much, so that the account is better listed anew."""
        report = turned.report
        assert report is not None
        changed = {ref.requestid for change in turned.planned.plan.changes for ref in _victims(change)}
        made = [
            Waiting(requestid=o.requestid, name=o.name, matters=o.action != "add")
            for o in report.outcomes
            if o.requestid and o.action != "delete"
        ]
        changed.update(w.requestid for w in made)
        if len(changed) > READ_AGAIN:
            self.pending.add(made)
            prefix = f"pinrec/{turned.planned.plan.owner}/" if self._service.ownership == "prefix" else ""
            for waiting in made:
                self.news.made(waiting.requestid, prefix + waiting.name)
            return False
        for requestid in sorted(changed):
            await self._again(requestid)
        now = self._holding.recent
        self.pending.add(
            w for w in made if (pin := now.get(w.requestid)) and pin.status not in (PINNED, FAILED)
        )
        return True

    async def close(self) -> None:
        await self._dialler.close(grace=0)

    async def _again(self, requestid: str) -> bool:
        return self._take(requestid, await self._shared.services[self._service.name].get(requestid))

    def _take(self, requestid: str, status: PinStatus | None) -> bool:
        """A pin was read; whether it is another than it was known to be, if it was."""
        holding, pin = self._holding, None if status is None else record(self._rules, status)
        before = holding.near.get(requestid)
        holding.update(requestid, pin)
        if pin is None:
            self.pending.drop(requestid)
        else:
            self.news.made(requestid, pin.listed_name)
        if before is None or pin is None:
            return before is not pin
        return (before.cid, before.name, before.status) != (pin.cid, pin.name, pin.status)

    def _concerns(self, pin: PinStatus) -> bool:
        kept, found = self._shared.kept, record(self._rules, pin)
        return (
            found.mine
            or found.name in kept.names
            or found.cid.canonical in kept.cids
            or self._shared.names.match(found.name) is not None
        )

    def _waits(self, pin: PinStatus) -> None:
        """A pin was seen that waits: its delegates are dialled once more, by the node that is there now."""
        if self._shared.node is not self._node:
            self._closing = asyncio.create_task(self._dialler.close(grace=0))
            self._dialler, self._node = Dialler(self._shared.context()), self._shared.node
        self._dialler.seen(self._service.name, pin)


def _victims(change: Change) -> Collection[PinRef]:
    """The pins that a change may have deleted."""
    if isinstance(change, Delete):
        return (change.victim.ref,)
    if isinstance(change, Replace):
        return [v.ref for v in (*change.olds, *([change.target] if change.target is not None else []))]
    return ()
