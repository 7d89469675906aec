"""PinStatus as JSON text, cut where it varies: a page is joined from stored texts, none is decoded or encoded."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from reconciler.sandbox.instants import show
from reconciler.sandbox.pin import FAILED, STATUSES, Pin

Status = Literal["queued", "pinning", "pinned", "failed"]
#: What is stored of a pin: JSON text, status, and its info if it has one of its own.
Row = tuple[bytes, int, bytes | None]

DELEGATES = ("/ip4/203.0.113.1/tcp/4001/p2p/12D3KooWDcsZcmWMhDcEjeqR9qYqYkrjwH9tnSM4PDk6XW4UBVgW",)
_encode = msgspec.json.encode


def delegates(addresses: Sequence[str]) -> bytes:
    """The member as it stands in an answer."""
    return b',"delegates":' + _encode(addresses)


MADE_UP = delegates(DELEGATES)
_DELEGATES = MADE_UP + b',"info":'
_USUAL_INFO = {FAILED: b'{"status_details":"The content could not be found"}'}
_HEADS = tuple(b'{"status":"%s",' % name.encode() for name in STATUSES)
_TAILS = tuple(_DELEGATES + _USUAL_INFO.get(status, b"{}") + b"}" for status in range(len(STATUSES)))


class Stored(Struct, frozen=True, kw_only=True):
    """A pin as the service would answer it, flat. Absent origins, meta and info are empty."""

    requestid: str
    status: Status
    created: str
    cid: str
    name: str | None
    origins: tuple[str, ...]
    meta: dict[str, str]
    info: dict[str, str]


class _Lasting(Struct):
    """The members that never change."""

    requestid: str
    created: str
    pin: Pin


class _Full(_Lasting):
    status: Status
    info: dict[str, str]


_lasting = msgspec.json.Decoder(_Lasting)
_full = msgspec.json.Decoder(_Full)


def lasting(requestid: str, created: int, step: int, pin: Pin) -> bytes:
    """The stored text: members requestid, created and pin, without braces."""
    return _encode(_Lasting(requestid, show(created, step), pin))[1:-1]


def spelling(cid: str) -> str:
    """What a stored text has only if it is of this CID, spelled so. A pin without one is found by that alone."""
    return f'"pin":{{"cid":{_encode(cid).decode()}' if cid else '"pin":{'


def read_lasting(text: bytes) -> tuple[str, Pin]:
    """requestid and pin of a stored text."""
    parsed = _lasting.decode(b"{" + text + b"}")
    return parsed.requestid, parsed.pin


def encode_info(info: Mapping[str, str] | None) -> bytes | None:
    return None if info is None else _encode(info)


def answer(text: bytes, status: int, info: bytes | None) -> bytes:
    """One PinStatus."""
    return _HEADS[status] + text + (_TAILS[status] if info is None else _DELEGATES + info + b"}")


def page(count: int, rows: Sequence[Row]) -> bytes:
    """A PinResults. Joined in one go: at this size every further copy costs as much as reading the rows."""
    heads, tails = _HEADS, _TAILS
    parts = [b'{"count":%d,"results":[' % count]
    for text, status, info in rows:
        if info is None:
            parts += (heads[status], text, tails[status], b",")
        else:
            parts += (answer(text, status, info), b",")
    if rows:
        parts.pop()
    parts.append(b"]}")
    return b"".join(parts)


def flat(text: bytes, status: int, info: bytes | None) -> Stored:
    parsed = _full.decode(answer(text, status, info))
    pin = parsed.pin
    return Stored(
        requestid=parsed.requestid,
        status=parsed.status,
        created=parsed.created,
        cid=pin.cid,
        name=pin.name,
        origins=tuple(pin.origins or ()),
        meta=dict(pin.meta or {}),
        info=parsed.info,
    )
