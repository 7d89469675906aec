"""The `Pin` object: what a client may send, what is kept of it, and the text it is echoed as."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from reconciler.core import cid as cids
from reconciler.sandbox.failure import FailureError, bad_request
from reconciler.sandbox.personality import Personality, Shape

#: Largest body that is read. The API bounds names and origins, not the values of `meta`.
MAX_BODY = 1 << 20
MAX_NAME = 255
MAX_ORIGINS = 20
STATUSES = ("queued", "pinning", "pinned", "failed")
QUEUED, PINNING, PINNED, FAILED = range(4)

# "All multiaddrs MUST end with /p2p/{peerID}" (API v1.0.0, Provider hints).
_ORIGIN = re.compile(r"(/[^/\s]+)*/p2p/[^/\s]+")

_Name = Annotated[str, Meta(max_length=MAX_NAME)]
_Origins = Annotated[list[str], Meta(max_length=MAX_ORIGINS)]
_Meta = Annotated[dict[str, str], Meta(max_length=1000)]


class Pin(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A `Pin` with its CID as it was sent, "" where none was. None and absent are one: the API has no null."""

    cid: str = ""
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


def parse(body: bytes, habits: Personality) -> Pin | None:
    """The body of a POST; None where it has no `cid` and that has no effect. Raises FailureError 400 with what is
    wrong."""
    if habits.body_check != "strict" or (habits.no_cid != "400" and _lacks_cid(body)):
        return _parse_loosely(body, habits)
    try:
        sent = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise bad_request(f"The body is not a Pin: {e}") from None
    _checked(sent.cid, f"cid: {sent.cid[:120]!r} is no CID", habits)
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


def _lacks_cid(body: bytes) -> bool:
    try:
        sent = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return not isinstance(sent, dict) or "cid" not in sent


def _checked(cid: str, wrong: str, habits: Personality) -> None:
    try:
        cids.canonical(cid)
    except ValueError as e:
        raise bad_request(f"{wrong}: {e}", shape=habits.bad_cid_errors) from None


def _parse_loosely(body: bytes, habits: Personality) -> Pin | None:
    """As services in Go and JavaScript take it: null is absent, and what has no bound may be anything."""
    check = habits.body_check
    without_cid = habits.no_cid == "pins" or check == "none"
    try:
        sent = msgspec.json.decode(body or b"{}" if without_cid else body)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        shape: Shape | None = "html" if check == "none" else None
        raise FailureError(400, "BAD_REQUEST", f"error decoding request body: {e}", shape=shape) from None
    if check == "coerced":
        sent = _coerced(sent)
    if not isinstance(sent, dict):
        sent = {}
    cid, name, meta, origins = sent.get("cid"), sent.get("name"), sent.get("meta"), sent.get("origins")
    if not isinstance(cid, str) or (not cid and check != "coerced"):
        if not without_cid:
            return None
        cid = ""
    elif check != "none":
        _checked(cid, "error decoding request body: invalid cid", habits)
    pairs = {str(k): _text(v) for k, v in meta.items()} if isinstance(meta, dict) else None
    if check in ("strict", "loose"):
        if isinstance(name, str) and len(name) > MAX_NAME:
            raise bad_request("error decoding request body: pin name is over 255 chars")
        if isinstance(meta, dict) and pairs != meta:
            raise bad_request("error decoding request body: meta: a value is not of type string")
        for origin in origins or ():
            if not str(origin).startswith("/"):
                raise bad_request(f'error decoding request body: failed to parse multiaddr "{origin}"')
    return Pin(
        cid=cid,
        name=name if isinstance(name, str) else None,
        origins=[str(o) for o in origins] if isinstance(origins, list) else None,
        meta=pairs,
    )


def _coerced(sent: object) -> dict[str, object]:
    """As ajv, the validator of JavaScript servers, makes what was sent fit the types that are wanted."""
    if not isinstance(sent, dict):
        raise bad_request("body must be object")
    if not isinstance(sent.get("meta", {}), dict):
        raise bad_request("body/meta must be object")
    fitting = dict(sent)
    for key in ("cid", "name"):
        if isinstance(sent.get(key), dict | list):
            raise bad_request(f"body/{key} must be string")
        if key in sent:
            fitting[key] = _text(sent[key])
    if "origins" in sent:
        origins = sent["origins"] if isinstance(sent["origins"], list) else [sent["origins"]]
        if len(origins) > MAX_ORIGINS:
            raise bad_request(f"body/origins must NOT have more than {MAX_ORIGINS} items")
        fitting["origins"] = [_text(origin) for origin in origins]
    return fitting


def _text(value: object) -> str:
    """A text as it is, null as none, and anything else as JSON writes it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def canonical(cid: str) -> str:
    """What CIDs are compared by. Raises FailureError 400 if it is none."""
    try:
        return cids.canonical(cid)
    except ValueError as e:
        raise bad_request(f"cid: {cid[:120]!r} is no CID: {e}") from None


def compared(cid: str) -> str:
    """`canonical`, or the text itself where it is no CID: there are services that take anything."""
    try:
        return cids.canonical(cid)
    except ValueError:
        return cid


def spelled(cid: str, echo: str) -> str:
    """A CID as a service writes it that keeps it as given ("sent"), in base32 but v0, or always as v1."""
    if echo == "sent" or (echo == "base32" and cid.startswith("Qm")):
        return cid
    return compared(cid)


def fold(name: str) -> str:
    """What names are compared by where case does not count: Unicode case folding, so that `ß` equals `SS`."""
    return name.casefold()
