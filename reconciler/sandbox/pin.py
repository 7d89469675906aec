"""The `Pin` object: what a client may send, what is kept of it, and the text it is echoed as."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from reconciler.core import cid as cids
from reconciler.sandbox.failure import bad_request

#: Largest body that is read. The API bounds names and origins, not the values of `meta`.
MAX_BODY = 1 << 20
MAX_NAME = 255
STATUSES = ("queued", "pinning", "pinned", "failed")
QUEUED, PINNING, PINNED, FAILED = range(4)

# "All multiaddrs MUST end with /p2p/{peerID}" (API v1.0.0, Provider hints).
_ORIGIN = re.compile(r"(/[^/\s]+)*/p2p/[^/\s]+")

_Name = Annotated[str, Meta(max_length=MAX_NAME)]
_Origins = Annotated[list[str], Meta(max_length=20)]
_Meta = Annotated[dict[str, str], Meta(max_length=1000)]


class Pin(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A `Pin` with its CID as it was sent. None and absent are one: the API has no null."""

    cid: str
    name: str | None = None
    origins: Sequence[str] | None = None
    meta: Mapping[str, str] | None = None


class _Sent(Struct, frozen=True):
    """As it must come: null is refused, keys that the API does not know are skipped."""

    cid: str
    name: _Name | msgspec.UnsetType = msgspec.UNSET
    origins: _Origins | msgspec.UnsetType = msgspec.UNSET
    meta: _Meta | msgspec.UnsetType = msgspec.UNSET


_decoder = msgspec.json.Decoder(_Sent)


def parse(body: bytes) -> Pin:
    """The body of a POST. Raises FailureError 400 with what is wrong."""
    try:
        sent = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise bad_request(f"The body is not a Pin: {e}") from None
    canonical(sent.cid)
    origins = None if sent.origins is msgspec.UNSET else sent.origins
    if origins and len(set(origins)) < len(origins):
        raise bad_request("origins: an address is listed twice")
    for origin in origins or ():
        if not _ORIGIN.fullmatch(origin):
            raise bad_request(f"origins: {origin!r} is no multiaddr that ends in /p2p/<peer id>")
    return Pin(
        cid=sent.cid,
        name=None if sent.name is msgspec.UNSET else sent.name,
        origins=origins,
        meta=None if sent.meta is msgspec.UNSET else sent.meta,
    )


def canonical(cid: str) -> str:
    """What CIDs are compared by. Raises FailureError 400 if it is none."""
    try:
        return cids.canonical(cid)
    except ValueError as e:
        raise bad_request(f"cid: {cid[:120]!r} is no CID: {e}") from None


def fold(name: str) -> str:
    """What names are compared by where case does not count: Unicode case folding, so that `ß` equals `SS`."""
    return name.casefold()
