"""The JSON of API v1.0.0: fast for what is as it should be, tolerant of what services make of it."""

from collections.abc import Sequence
from typing import cast

import msgspec
from msgspec import Struct

from reconciler.core.model import QUEUED, STATUSES, PinBody, PinRequest, PinStatus

_KNOWN = frozenset(STATUSES)


class _Results(Struct, frozen=True, gc=False):
    count: int
    results: list[PinStatus] | None


_results = msgspec.json.Decoder(_Results)
_status = msgspec.json.Decoder(PinStatus)
_anything = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()

#: What a body that is no answer of this API raises: broken JSON, or JSON of another shape.
WireError = msgspec.DecodeError


def encode(pin: PinRequest) -> bytes:
    return _encoder.encode(pin)


def decode_results(body: bytes) -> tuple[int, Sequence[PinStatus]]:
    """`count` and `results` of a page. Raises WireError."""
    try:
        page = _results.decode(body)
    except msgspec.ValidationError:
        return _tolerant_results(_anything.decode(body))
    results = page.results or []
    if not _KNOWN.issuperset({pin.status for pin in results}):
        return page.count, [_known(pin) for pin in results]
    return page.count, results


def decode_status(body: bytes) -> PinStatus:
    """One PinStatus. Raises WireError."""
    try:
        return _known(_status.decode(body))
    except msgspec.ValidationError:
        return _tolerant_status(_anything.decode(body))


def _known(pin: PinStatus) -> PinStatus:
    """A status that nobody knows is neither a success nor a failure: it waits."""
    if pin.status in _KNOWN:
        return pin
    lower = pin.status.lower()
    return msgspec.structs.replace(pin, status=lower if lower in _KNOWN else QUEUED)


def _tolerant_results(page: object) -> tuple[int, Sequence[PinStatus]]:
    if not isinstance(page, dict):
        raise msgspec.ValidationError("not a page of results")
    raw = page.get("results")
    if "results" not in page or not isinstance(raw, list | None):
        raise msgspec.ValidationError("not a page of results")
    results = [_tolerant_status(entry) for entry in raw or ()]
    count = page.get("count")
    if isinstance(count, str) and count.isdecimal():
        count = int(count)
    return (count if isinstance(count, int) and not isinstance(count, bool) else len(results)), results


def _tolerant_status(entry: object) -> PinStatus:
    """What can be read of a PinStatus. Without an id or a CID it is none, and a listing with it is not whole."""
    if not isinstance(entry, dict):
        raise msgspec.ValidationError("not a pin status")
    # web3.storage spelled it requestId; Estuary sent integers.
    requestid = entry.get("requestid", entry.get("requestId", entry.get("requestID")))
    pin = entry.get("pin")
    cid = pin.get("cid") if isinstance(pin, dict) else entry.get("cid")
    if isinstance(requestid, bool) or not isinstance(requestid, str | int) or requestid == "":
        raise msgspec.ValidationError("a pin status without a requestid")
    if not isinstance(cid, str):
        raise msgspec.ValidationError("a pin status without a CID")
    fields = pin if isinstance(pin, dict) else entry
    status, created = entry.get("status"), entry.get("created")
    return _known(
        PinStatus(
            requestid=str(requestid),
            status=status if isinstance(status, str) else "",
            created=created if isinstance(created, str) else "",
            pin=PinBody(
                cid=cid,
                name=_text(fields.get("name")),
                origins=_texts(fields.get("origins")),
                meta=_text_map(fields.get("meta")),
            ),
            delegates=_texts(entry.get("delegates")),
            info=_text_map(entry.get("info")),
        )
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> list[str] | None:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else None


def _text_map(value: object) -> dict[str, str] | None:
    """The pairs of texts. What is no text cannot be compared with what a manifest says, and is dropped."""
    if not isinstance(value, dict):
        return None
    pairs = cast("dict[str, object]", value)
    return {key: text for key, text in pairs.items() if isinstance(text, str)}
