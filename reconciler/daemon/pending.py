"""Pins that were accepted and are not pinned yet, followed at intervals that grow.

Few are read one by one; of many, one page of what still waits is read, and then some of those that it does not show.
A failure is believed after a second look: ipfs-cluster says `failed` for a moment.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct

from reconciler.core.model import FAILED, PINNED, PINNING, QUEUED, PinStatus
from reconciler.services.protocol import PinningService, Query

#: Seconds between two looks: the first, the longest, and how much longer each is than the one before.
FIRST, LONGEST, GROWS = 1.0, 60.0, 1.5
#: Seconds between two looks at a pin that seems to have failed.
SECOND_LOOK = 5.0
#: Pins read one by one in a look.
ONE_BY_ONE = 10
PAGE = 1000
#: Where more than so many are decided, the account is better read as a whole.
MANY = 100


class Waiting(Struct, frozen=True, kw_only=True):
    """A pin that is waited for. `matters`: when it is pinned, there is something left to do."""

    requestid: str
    name: str
    matters: bool = True


class Decided(Struct, frozen=True, kw_only=True):
    """What became of one: `status` is None if it is gone."""

    waiting: Waiting
    status: PinStatus | None


class Pending:
    """The waiting pins of one service."""

    def __init__(self, monotonic: Callable[[], float], seen: Callable[[PinStatus], None]) -> None:
        self._monotonic = monotonic
        #: Told of every pin that was read while it waits, for the sake of its delegates.
        self._seen = seen
        self._items: dict[str, Waiting] = {}
        self._suspects: dict[str, float] = {}
        self._interval = FIRST
        #: So many wait no more that the account should be listed to see what became of them.
        self.crowd = False
        #: When to look again.
        self.due = float("inf")

    def __len__(self) -> int:
        return len(self._items)

    def names(self) -> Iterable[str]:
        return (w.name for w in self._items.values())

    def add(self, items: Iterable[Waiting]) -> None:
        """More to wait for. Anything new brings the first look near."""
        new = False
        for item in items:
            new = new or item.requestid not in self._items
            self._items[item.requestid] = item
        if new:
            self._interval = FIRST
            self._schedule()

    def only(self, items: Iterable[Waiting]) -> None:
        """Exactly these, as a listing showed them."""
        there = {item.requestid: item for item in items}
        for requestid in self._items.keys() - there.keys():
            del self._items[requestid]
            self._suspects.pop(requestid, None)
        self.add(there.values())
        if not self._items:
            self.due = float("inf")

    def drop(self, requestid: str) -> None:
        self._items.pop(requestid, None)
        self._suspects.pop(requestid, None)
        if not self._items:
            self.due = float("inf")

    async def look(self, service: PinningService) -> list[Decided]:
        """What has been decided. Raises ServiceError; then the next look is due later."""
        self._interval = min(self._interval * GROWS, LONGEST)
        self._schedule()
        self.crowd = False
        read = await self._read(service)
        now = self._monotonic()
        decided: list[Decided] = []
        for requestid, status in read.items():
            waiting = self._items.get(requestid)
            if waiting is None:
                continue
            if status is not None and status.status == FAILED:
                first = self._suspects.setdefault(requestid, now)
                if now - first < SECOND_LOOK:
                    self.due = min(self.due, now + SECOND_LOOK)
                    continue
            elif status is not None and status.status != PINNED:
                self._suspects.pop(requestid, None)
                self._seen(status)
                continue
            self.drop(requestid)
            decided.append(Decided(waiting=waiting, status=status))
        return decided

    def _schedule(self) -> None:
        self.due = self._monotonic() + self._interval if self._items else float("inf")

    async def _read(self, service: PinningService) -> dict[str, PinStatus | None]:
        ids = list(self._items)
        if len(ids) > ONE_BY_ONE:
            page = await service.pins(Query(status=(QUEUED, PINNING), limit=PAGE))
            waits = {p.requestid: p for p in page.results if p.status in (QUEUED, PINNING)}
            for status in list(waits.values())[:ONE_BY_ONE]:
                self._seen(status)
            ids = [i for i in ids if i not in waits]
            # A page that holds all that waits tells of all others that they wait no more.
            told = len(waits) == len(page.results) < PAGE and page.count <= len(page.results)
            self.crowd = told and len(ids) > MANY
            ids = ids[:ONE_BY_ONE]
            for requestid in ids:
                self._items[requestid] = self._items.pop(requestid)  # to the end: others are next
        return {i: await service.get(i) for i in ids}
