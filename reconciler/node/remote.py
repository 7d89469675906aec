"""What Kubo's own remote pinning tells of services whose keys only Kubo has: for an import, and nothing else.

`pin/remote/ls` reads ten pins at a time, each page before the `created` of the last pin of the one before, so it loses
pins of one instant, tells some twice where a service includes the edge, and goes in circles where it answers in no
order (boxo pinning/remote/client, measured on 0.44). `pin/remote/service/ls?stat=true` asks each service for its
counts, so that what is missing can at least be told.

Of these two neither shows a key, nor does either change anything.
"""

from collections.abc import AsyncGenerator
from typing import Final

from msgspec import Struct, field

from reconciler.node.kubo import Kubo, args

_STATUSES: Final = ("queued", "pinning", "pinned", "failed")
#: Pins in a row that had all been told before: more than a page repeats is a circle.
_CIRCLE: Final = 1000


class RemotePin(Struct, frozen=True, kw_only=True):
    """A pin at a service, as Kubo tells of it: without requestid, meta and `created`."""

    cid: str
    name: str
    status: str


class _Pin(Struct, rename="pascal"):
    status: str = ""
    cid: str = ""
    name: str = ""


class _Counts(Struct, rename="pascal"):
    queued: int = 0
    pinning: int = 0
    pinned: int = 0
    failed: int = 0


class _Stat(Struct, rename="pascal"):
    pin_count: _Counts | None = None


class _Service(Struct, rename="pascal"):
    service: str = ""
    stat: _Stat | None = None


class _Services(Struct):
    services: list[_Service] | None = field(name="RemoteServices", default=None)


async def remote_pins(kubo: Kubo, service: str, *, stall: float) -> AsyncGenerator[RemotePin, None]:
    """`pin/remote/ls` of all statuses, newest first: not always all pins, see above."""
    query = [*args(service=service), *(("status", status) for status in _STATUSES)]
    told: set[tuple[str, str, str]] = set()
    again = 0
    async for pin in kubo.records("pin/remote/ls", query, _Pin, stall=stall):
        key = (pin.cid, pin.name, pin.status)
        again = again + 1 if key in told else 0
        told.add(key)
        if again > _CIRCLE:
            raise kubo.error("pin/remote/ls", f"Kubo goes in circles after {len(told):,} pins")
        yield RemotePin(cid=pin.cid, name=pin.name, status=pin.status)


async def remote_counts(kubo: Kubo, *, deadline: float | None = None) -> dict[str, int]:
    """How many pins each service says that it holds; without those that did not say."""
    said = await kubo.json("pin/remote/service/ls", args(stat=True), _Services, deadline=deadline)
    counts = {s.service: s.stat.pin_count for s in said.services or () if s.stat is not None}
    return {
        name: count.queued + count.pinning + count.pinned + count.failed
        for name, count in counts.items()
        if count is not None
    }
