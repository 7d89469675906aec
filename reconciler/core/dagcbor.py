"""DAG-CBOR, read strictly: the subset of CBOR in which one value has one spelling (DAG-CBOR specification).

Refused: indefinite lengths, lengths and numbers in more bytes than needed, floats that are not 64 bits wide, tags
other than 42 (a CID), keys that are no texts, that repeat, or that are out of order (shorter first, then bytewise),
and anything behind the value.
"""

import struct
from math import isfinite
from typing import Final, TypeAlias

from msgspec import Struct

#: Deeper values are refused: nothing that is read here has more than two levels.
MAX_DEPTH: Final = 32
_NUMBER, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG, _SIMPLE = range(8)
_CID: Final = 42


class DagCborError(ValueError):
    """The bytes are no DAG-CBOR."""


class Link(Struct, frozen=True):
    """Tag 42: the bytes of a CID."""

    cid: bytes


Value: TypeAlias = "int | bytes | str | float | bool | Link | list[Value] | dict[str, Value] | None"


def decode(data: bytes) -> Value:
    """The one value that `data` holds. Raises DagCborError."""
    value, at = _value(data, 0, MAX_DEPTH)
    if at != len(data):
        raise DagCborError("something follows the value")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if not depth:
        raise DagCborError("values are nested too deeply")
    if at >= len(data):
        raise DagCborError("it is cut off")
    kind = data[at] >> 5
    if kind == _SIMPLE:
        return _simple(data, at)
    number, at = _number(data, at)
    match kind:
        case 0:
            return number, at
        case 1:
            return -1 - number, at
        case 2:
            return _span(data, at, number), at + number
        case 3:
            return _text(_span(data, at, number)), at + number
        case 4:
            return _list(data, at, number, depth)
        case 5:
            return _map(data, at, number, depth)
    return _link(data, at, number, depth)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The number in the head of a value, which for most kinds is a length."""
    short = data[at] & 31
    if short < 24:
        return short, at + 1
    if short > 27:
        raise DagCborError("lengths are given, never left open")
    width = 1 << short - 24
    number = int.from_bytes(_span(data, at + 1, width), "big")
    if number < (24 if width == 1 else 1 << 4 * width):
        raise DagCborError("a number takes more bytes than it needs")
    return number, at + 1 + width


def _span(data: bytes, at: int, size: int) -> bytes:
    if size > len(data) - at:
        raise DagCborError("it is cut off")
    return data[at : at + size]


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise DagCborError("a text is no UTF-8") from None


def _list(data: bytes, at: int, size: int, depth: int) -> tuple[Value, int]:
    out: list[Value] = []
    for _ in range(size):
        value, at = _value(data, at, depth - 1)
        out.append(value)
    return out, at


def _map(data: bytes, at: int, size: int, depth: int) -> tuple[Value, int]:
    out: dict[str, Value] = {}
    last = (-1, b"")
    for _ in range(size):
        key, at = _value(data, at, depth - 1)
        if not isinstance(key, str):
            raise DagCborError("a key is no text")
        encoded = key.encode()
        if (len(encoded), encoded) <= last:
            raise DagCborError("keys are out of order, or one is there twice")
        last = len(encoded), encoded
        out[key], at = _value(data, at, depth - 1)
    return out, at


def _link(data: bytes, at: int, tag: int, depth: int) -> tuple[Value, int]:
    content, at = _value(data, at, depth - 1)
    # The multibase prefix of identity, a zero byte, comes before the CID.
    if tag != _CID or not isinstance(content, bytes) or content[:1] != b"\0":
        raise DagCborError("a tag is none that stands for a CID")
    return Link(content[1:]), at


def _simple(data: bytes, at: int) -> tuple[Value, int]:
    match data[at] & 31:
        case 20:
            return False, at + 1
        case 21:
            return True, at + 1
        case 22:
            return None, at + 1
        case 27:
            [value] = struct.unpack(">d", _span(data, at + 1, 8))
            if not isfinite(value):
                raise DagCborError("a float is no number")
            return float(value), at + 9
    raise DagCborError("there is a value of a kind that DAG-CBOR does not have")
