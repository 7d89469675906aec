"""A dag-pb node: links, then data (dag-pb specification).

    message PBNode { repeated PBLink Links = 2; optional bytes Data = 1; }     // on the wire Links come first
    message PBLink { optional bytes Hash = 1; optional string Name = 2; optional uint64 Tsize = 3; }

Names are bytes on the wire. What of them is no UTF-8 is carried in `str` as surrogates, as Python does with file
names, and comes out as the same bytes.
"""

from collections.abc import Iterable

from msgspec import Struct

from reconciler.core.unixfs import varint
from reconciler.core.unixfs.failure import UnixfsError


class Link(Struct, frozen=True, gc=False):
    """`tsize`: bytes of all blocks below the link, and of the one it points to."""

    name: str
    cid: bytes
    tsize: int


class Node(Struct, frozen=True):
    """Links in the order of the block; `data` is None where the block has none."""

    links: tuple[Link, ...] = ()
    data: bytes | None = None


def encode(links: Iterable[Link], data: bytes | None) -> bytes:
    """The block. Links are written in the order given: sort those that have names by `name_bytes`.

    Raises UnixfsError for a name that no bytes stand for.
    """
    out = [encoded_link(name_bytes(link.name), link.cid, link.tsize) for link in links]
    if data is not None:
        out.append(field(b"\n", data))
    return b"".join(out)


def encoded_link(name: bytes, cid: bytes, tsize: int) -> bytes:
    """One link as it stands in the block; the name and the size are written even if empty or 0, as Kubo does."""
    inner = b"".join((field(b"\n", cid), field(b"\x12", name), b"\x18", varint.encode(tsize)))
    return field(b"\x12", inner)


def link_length(name: bytes, cid: bytes, tsize: int) -> int:
    """How many bytes `encoded_link` has."""
    inner = _field_length(len(cid)) + _field_length(len(name)) + 1 + varint.length(tsize)
    return _field_length(inner)


def decode(block: bytes) -> Node:
    """Raises UnixfsError for what is no dag-pb node. Links and data may stand in either order."""
    links: list[Link] = []
    data: bytes | None = None
    at, end = 0, len(block)
    while at < end:
        tag = block[at]
        if tag == 0x12:
            start, at = _span(block, at + 1, end)
            links.append(_link(block, start, at))
        elif tag == 0x0A and data is None:
            start, at = _span(block, at + 1, end)
            data = block[start:at]
        else:
            raise UnixfsError("the block is no dag-pb node")
    return Node(tuple(links), data)


def name_bytes(name: str) -> bytes:
    """A name as it stands in the block; directories are sorted by it. Raises UnixfsError."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UnixfsError(f"the name {name!a} holds a surrogate that stands for no byte") from None


def field(tag: bytes, content: bytes) -> bytes:
    """A protobuf field of bytes."""
    return b"".join((tag, varint.encode(len(content)), content))


def _field_length(content: int) -> int:
    return 1 + varint.length(content) + content


def _link(block: bytes, at: int, end: int) -> Link:
    cid, name, tsize = b"", b"", 0
    while at < end:
        tag = block[at]
        if tag == 0x0A:
            start, at = _span(block, at + 1, end)
            cid = block[start:at]
        elif tag == 0x12:
            start, at = _span(block, at + 1, end)
            name = block[start:at]
        elif tag == 0x18:
            tsize, at = varint.decode(block, at + 1)
        else:
            raise UnixfsError("a link of the block is no dag-pb link")
    if at != end or not cid:
        raise UnixfsError("a link of the block is cut off or points nowhere")
    return Link(name.decode("utf-8", "surrogateescape"), cid, tsize)


def _span(block: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the content of a field of bytes starts and ends."""
    size, start = (block[at], at + 1) if at < end and block[at] < 0x80 else varint.decode(block, at)
    if start + size > end:
        raise UnixfsError("the block is cut off")
    return start, start + size
