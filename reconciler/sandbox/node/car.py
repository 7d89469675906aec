"""CAR version 1: a header that names roots, then blocks with their CIDs, each with its length before it."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from reconciler.core.unixfs import varint
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.sandbox.node.reply import RpcError

_TEXT_ROOTS = b"\x65roots"
_TEXT_VERSION = b"\x67version"
#: A CBOR tag 42 (a CID), then a byte string that begins with 0: the multibase prefix of bytes as they are.
_CID_TAG = b"\xd8\x2a"


class Car(Struct, frozen=True):
    roots: list[bytes]
    blocks: list[tuple[bytes, bytes]]


def header(roots: Iterable[bytes]) -> bytes:
    links = [_CID_TAG + _head(2, len(cid) + 1) + b"\0" + cid for cid in roots]
    body = b"\xa2" + _TEXT_ROOTS + _head(4, len(links)) + b"".join(links) + _TEXT_VERSION + b"\x01"
    return varint.encode(len(body)) + body


def section(cid: bytes, block: bytes) -> bytes:
    return varint.encode(len(cid) + len(block)) + cid + block


def read(data: bytes) -> Car:
    """Raises RpcError for what is no CAR, or is cut off."""
    try:
        size, at = varint.decode(data, 0)
        if at + size > len(data):
            raise RpcError("unexpected EOF")
        roots = _roots(data[at : at + size])
    except UnixfsError:
        raise RpcError("unexpected EOF") from None
    try:
        return Car(roots, list(_sections(data, at + size)))
    except UnixfsError:
        raise RpcError("import failed: unexpected EOF") from None


def _sections(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    while at < len(data):
        size, at = varint.decode(data, at)
        if at + size > len(data):
            raise UnixfsError("the section is cut off")
        start = _cid_end(data, at)
        yield data[at:start], data[start : at + size]
        at += size


def _cid_end(data: bytes, at: int) -> int:
    if data.startswith(b"\x12\x20", at):
        return at + 34
    for _ in ("version", "codec", "hash function"):
        _, at = varint.decode(data, at)
    size, at = varint.decode(data, at)
    return at + size


def _roots(body: bytes) -> list[bytes]:
    """The roots of a header as `header` writes it; other writers order the two members the same way (DAG-CBOR)."""
    if not body.startswith(b"\xa2" + _TEXT_ROOTS):
        raise RpcError("invalid car version: 0")
    at = 1 + len(_TEXT_ROOTS)
    count, at = _length(body, at)
    roots: list[bytes] = []
    for _ in range(count):
        size, start = _length(body, at + len(_CID_TAG))
        roots.append(body[start + 1 : start + size])
        at = start + size
    return roots


def _head(major: int, size: int) -> bytes:
    if size < 24:
        return bytes((major << 5 | size,))
    if size < 256:
        return bytes((major << 5 | 24, size))
    return bytes((major << 5 | 25,)) + size.to_bytes(2, "big")


def _length(body: bytes, at: int) -> tuple[int, int]:
    short = body[at] & 31
    if short < 24:
        return short, at + 1
    width = 1 << (short - 24)
    return int.from_bytes(body[at + 1 : at + 1 + width], "big"), at + 1 + width
