"""The pins of a Kubo node as those of a pinning service, so that the rules for services hold for it, too.

Kubo has one recursive pin and one name for each CID as it is written (`Qm…` and `bafy…` of one block are two), and
no time of its making. So the requestid is the CID as it is pinned, and a pin that is there is never named anew:
`pin/add` with another name would rename it (measured on 0.44). `created` is made from the CID: the same in every
run, and no statement about age.

A direct pin holds its root alone, and a recursive one of the same CID takes its place and its name (measured on
0.44). So it is told of as a pin that is queued, without a mark of anybody: it is in the way.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from hashlib import blake2b
from typing import Final

from reconciler.core.cid import CidError, parse, spellings
from reconciler.core.errors import (
    LostAnswerError,
    NodeError,
    NotFoundError,
    ServerFaultError,
    ServiceError,
    UnreachableError,
)
from reconciler.core.instant import MILLISECOND, format_instant, parse_instant
from reconciler.core.local import LOCAL
from reconciler.core.model import FAILED, PINNED, PINNING, PREFIX_ROOT, QUEUED, PinBody, PinRequest, PinStatus
from reconciler.node.protocol import LocalPin, Node, PinProgress
from reconciler.services.protocol import Page, Query

_EPOCH: Final = parse_instant("2000-01-01T00:00:00.000Z")

#: Told of each pin while it is fetched: its CID and how far it is.
Listener = Callable[[str, PinProgress], None]


class LocalPins:
    """Implements `services.protocol.PinningService` over a node.

    `stall`: seconds without any progress after which a pin counts as failed. `patience`: seconds that one add may
    take before it is left as pinning; the node drops it then, and the next run goes on where it was. `stop`: set
    when the run is to end.
    """

    name = LOCAL

    def __init__(
        self,
        node: Node,
        *,
        stop: asyncio.Event,
        patience: float,
        stall: float = 60.0,
        listener: Listener = lambda _cid, _progress: None,
    ) -> None:
        self._node, self._stop, self._patience, self._stall = node, stop, patience, stall
        self._listener = listener
        self._listed: list[PinStatus] = []
        #: pins that did not end in this run: their last status and what was said
        self._unfinished: dict[str, PinStatus] = {}

    @property
    def requests(self) -> int:
        return self._node.requests

    async def pins(self, query: Query) -> Page:
        if query.cid:
            found = [p for c in dict.fromkeys(query.cid) if (p := await self.get(c)) is not None]
            return Page(count=len(found), results=[p for p in found if _matches(p, query)], skew=0.0)
        if query.before is None and query.after is None:
            self._listed = await self._read()
        found = [p for p in self._listed if _matches(p, query)]
        return Page(count=len(found), results=found[: query.limit or 10], skew=0.0)

    async def _read(self) -> list[PinStatus]:
        try:
            async with aclosing(self._node.pins(kind="recursive")) as pins:  # type: ignore[type-var]  # a generator
                found = [_status(pin) async for pin in pins]
            async with aclosing(self._node.pins(kind="direct")) as pins:  # type: ignore[type-var]  # a generator
                found += [_direct(pin) async for pin in pins]
        except NodeError as error:
            raise self._failure(error) from None
        seen = {p.requestid for p in found}
        found += [p for rid, p in self._unfinished.items() if rid not in seen]
        found.sort(key=lambda p: (p.created, p.requestid), reverse=True)
        return found

    async def add(self, pin: PinRequest) -> PinStatus:
        """`pin/add`, once it is certain that the CID is not pinned; what is there keeps its name."""
        for cid in _spellings(pin.cid):
            if (there := await self.get(cid)) is not None and there.status == PINNED:
                return there
        name = pin.name if isinstance(pin.name, str) else ""
        status, why = await self._pinned_in_time(pin.cid, name)
        made = _status(LocalPin(cid=pin.cid, kind="recursive", name=name), status=status, why=why)
        self._unfinished.pop(pin.cid, None)
        if status != PINNED:
            self._unfinished[pin.cid] = made
        return made

    async def _pinned_in_time(self, cid: str, name: str) -> tuple[str, str]:
        """What came of it: pinned, failed with a reason, or still pinning when time was up."""
        work = asyncio.create_task(self._follow(cid, name))
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((work, stop), timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not work.done():
                work.cancel()
        try:
            await work
        except asyncio.CancelledError:
            return PINNING, "it goes on with the next apply"
        except NodeError as error:
            if error.unreachable:
                raise self._failure(error) from None
            return FAILED, error.message
        return PINNED, ""

    async def _follow(self, cid: str, name: str) -> None:
        async with aclosing(self._node.pinning(cid, name=name, stall=self._stall)) as lines:  # type: ignore[type-var]  # a generator
            async for progress in lines:
                self._listener(cid, progress)

    async def get(self, requestid: str) -> PinStatus | None:
        try:
            pin = await self._node.pinned(requestid)
            direct = None if pin is not None else await self._node.pinned(requestid, kind="direct")
        except NodeError as error:
            raise self._failure(error) from None
        if pin is not None:
            self._unfinished.pop(requestid, None)
            return _status(pin)
        if direct is not None:
            return _direct(direct)
        return self._unfinished.get(requestid)

    async def replace(self, requestid: str, pin: PinRequest) -> PinStatus | None:
        raise NotFoundError(
            f"{self.name}: a node replaces no pins, {requestid} by {pin.cid} neither", service=self.name
        )

    async def delete(self, requestid: str) -> bool:
        unfinished = self._unfinished.pop(requestid, None)
        try:
            return await self._node.unpin(requestid) or unfinished is not None
        except NodeError as error:
            raise self._failure(error) from None

    def _failure(self, error: NodeError) -> ServiceError:
        kind = (
            UnreachableError
            if error.unreachable
            else LostAnswerError
            if error.late or error.lost
            else ServerFaultError
        )
        return kind(f"{self.name}: {error.message}", service=self.name, status=error.status, hint=error.hint)


def _status(pin: LocalPin, *, status: str = PINNED, why: str = "") -> PinStatus:
    return PinStatus(
        requestid=pin.cid,
        status=status,
        created=_created(_spellings(pin.cid)[-1]),
        pin=PinBody(cid=pin.cid, name=pin.name or None),
        delegates=[],
        info={"status_details": why} if why else None,
    )


def _direct(pin: LocalPin) -> PinStatus:
    name = "" if pin.name.startswith(PREFIX_ROOT) else pin.name
    return _status(LocalPin(cid=pin.cid, kind=pin.kind, name=name), status=QUEUED)


def _spellings(text: str) -> tuple[str, ...]:
    """Every way to write the CID: the one that it is pinned by is not always the one that is asked for."""
    try:
        return tuple(sorted(spellings(parse(text))))
    except CidError:
        return (text,)


def _created(cid: str) -> str:
    number = int.from_bytes(blake2b(cid.encode(), digest_size=5).digest()) >> 1
    return format_instant(_EPOCH + number * MILLISECOND)


def _matches(pin: PinStatus, query: Query) -> bool:
    if query.name is not None and pin.pin.name != query.name:
        return False
    if query.status and pin.status not in query.status:
        return False
    if query.before is not None and parse_instant(pin.created) >= parse_instant(query.before):
        return False
    return query.after is None or parse_instant(pin.created) > parse_instant(query.after)
