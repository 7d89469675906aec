"""A pinning service in memory, taking turns request by request, with lost answers and statuses that turn.

It stands behind the same seam as the real client, so that the real planner and the real engine play on it. Every
change is checked when it happens: no foreign pin is touched, and no wanted name loses its last pinned copy.
"""

import asyncio
import datetime
import random
from collections.abc import Callable

from reconciler.core.cid import canonical
from reconciler.core.errors import LostAnswerError
from reconciler.core.instant import MILLISECOND, SECOND, format_instant, parse_instant
from reconciler.core.model import META_OWNER, PinBody, PinRequest, PinStatus
from reconciler.services.protocol import Page, Query

OURS, THEIRS = "me", "they"
#: What every applier's clock says; the service says how far it is ahead.
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Turns:
    """Everybody who wants to send a request waits here; a conductor lets one through at a time."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[None]] = []
        self.open = True

    async def turn(self) -> None:
        if self.open:
            return
        gate = asyncio.get_running_loop().create_future()
        self.waiting.append(gate)
        await gate


class Clock:
    """One applier's time, which passes only when it sleeps; that of the world passes with it."""

    def __init__(self, world: "World | None" = None) -> None:
        self.now = 0.0
        self.world = world

    async def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)
        if self.world is not None:
            self.world.slept += max(0.0, seconds)
        await asyncio.sleep(0)

    def __call__(self) -> float:
        return self.now


class World:
    """`one`: one pin per CID, where the requestid is the CID and an add of a CID that is there overwrites it.

    `coarse`: `created` is in whole seconds, and nearly all that is not slept for happens within one of them.
    """

    def __init__(self, rnd: random.Random, *, one: bool, coarse: bool = False) -> None:
        self.rnd, self.one, self.coarse = rnd, one, coarse
        self.slept = 0.0
        self.skew = 0.0
        self.pins: dict[str, PinStatus] = {}
        self.clock = 0
        self.lose = 0.0
        self.wanted: list[dict[str, str]] = [{}]
        self.touched: list[tuple[str, PinStatus]] = []
        self.lost: list[str] = []
        self.turns = Turns()

    @property
    def instant(self) -> int:
        return (1_700_000_000_000 + self.clock) * MILLISECOND + int(self.slept * SECOND)

    # --- what happens -------------------------------------------------------------------------------------------

    def put(
        self, name: str, cid: str, owner: str, status: str = "queued", meta: dict[str, str] | None = None
    ) -> str:
        self.clock += 1
        # Ids say nothing about age: what has one instant is in any order.
        rid = (
            cid
            if self.one
            else f"r{self.rnd.randrange(10**6):06d}.{self.clock}"
            if self.coarse
            else f"r{self.clock}"
        )
        old = self.pins.get(rid)
        if old is not None and owner_of(old) == THEIRS and owner == OURS:
            self.touched.append(("overwritten", old))
        if old is not None and old.status != "failed":
            status = old.status
        mark = {META_OWNER: owner, **(meta or {})}
        created = format_instant(self.instant - self.instant % SECOND if self.coarse else self.instant)
        self.pins[rid] = PinStatus(
            rid, status, created, PinBody(cid, name, None, mark), ["/ip4/203.0.113.1"], {}
        )
        return rid

    def tick(self, p_fail: float = 0.0) -> None:
        for rid, p in list(self.pins.items()):
            if p.status == "queued" and self.rnd.random() < 0.5:
                status = "failed" if self.rnd.random() < p_fail else "pinned"
                self.pins[rid] = PinStatus(rid, status, p.created, p.pin, p.delegates, p.info)

    def stands(self, name: str, cids: set[str]) -> set[str]:
        return {
            p.pin.cid
            for p in self.pins.values()
            if owner_of(p) == OURS and p.status == "pinned" and (p.pin.name == name or p.pin.cid in cids)
        }

    def _checked(self, change: Callable[[], None]) -> None:
        names = {n for w in self.wanted for n in w if all(n in v for v in self.wanted)}
        wants = {n: {w[n] for w in self.wanted} for n in names}
        several = any(len(w) > 1 for w in wants.values())
        # Of what only another version of the manifest wants nobody here knows.
        had = {n: self.stands(n, set() if several else wants[n]) for n in names}
        change()
        pinned = {p.pin.cid for p in self.pins.values() if owner_of(p) == OURS and p.status == "pinned"}
        self.lost += [n for n in names if had[n] and not pinned & (had[n] | wants[n])]

    def _fault(self, change: Callable[[], None]) -> None:
        f = self.rnd.random()
        if f < self.lose / 2:
            raise LostAnswerError("lost before it happened")
        self._checked(change)
        if f < self.lose:
            raise LostAnswerError("lost after it happened")


class Client:
    """One applier's view of the world: the PinningService seam."""

    def __init__(self, world: World) -> None:
        self.world, self.name, self.requests = world, "s", 0

    async def _turn(self) -> None:
        self.requests += 1
        await self.world.turns.turn()

    async def pins(self, query: Query) -> Page:
        await self._turn()
        found = [p for p in self.world.pins.values() if _matches(p, query)]
        found.sort(key=lambda p: p.created, reverse=True)
        # Where whole seconds have to be waited for, the service's clock is what says so.
        ahead = self.world.instant / SECOND - NOW.timestamp() if self.world.coarse else self.world.skew
        return Page(count=len(found), results=found[: query.limit or 10], skew=ahead)

    async def add(self, pin: PinRequest) -> PinStatus:
        await self._turn()
        made: list[str] = []
        meta = dict(pin.meta) if isinstance(pin.meta, dict) else {}
        owner = meta.pop(META_OWNER, "nobody")
        self.world._fault(lambda: made.append(self.world.put(str(pin.name), pin.cid, owner, meta=meta)))
        return self.world.pins[made[0]]

    async def get(self, requestid: str) -> PinStatus | None:
        await self._turn()
        return self.world.pins.get(requestid)

    async def replace(self, requestid: str, pin: PinRequest) -> PinStatus | None:
        raise AssertionError("a service's own replace is not to be used here")

    async def delete(self, requestid: str) -> bool:
        await self._turn()

        def change() -> None:
            old = self.world.pins.pop(requestid, None)
            if old is not None and owner_of(old) == THEIRS:
                self.world.touched.append(("deleted", old))

        self.world._fault(change)
        return True


def owner_of(pin: PinStatus) -> str:
    return (pin.pin.meta or {}).get(META_OWNER, "")


def _matches(pin: PinStatus, query: Query) -> bool:
    instant = parse_instant(pin.created)
    return (
        (not query.cid or canonical(pin.pin.cid) in {canonical(c) for c in query.cid})
        and (query.name is None or pin.pin.name == query.name)
        and pin.status in (query.status or ("pinned",))
        and (query.before is None or instant < parse_instant(query.before))
        and (query.after is None or instant > parse_instant(query.after))
    )
