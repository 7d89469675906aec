"""All blocks below a root, each once, parents before children: the order of a CAR."""

from collections.abc import Iterator

from reconciler.core.unixfs import address, dagpb
from reconciler.core.unixfs.blocks import Get


def children(cid: bytes, block: bytes) -> list[bytes]:
    """The CIDs that a block links. Raises UnixfsError for a dag-pb block that is none."""
    if address.codec(cid) != address.DAG_PB:
        return []
    return [link.cid for link in dagpb.decode(block).links]


def walk(root: bytes, get: Get) -> Iterator[tuple[bytes, bytes]]:
    """(CID, block) of the root and everything below it, depth first. What is inside a CID is no block.

    Holds the multihashes that it has seen. Raises UnixfsError, and what `get` raises.
    """
    seen: set[bytes] = set()
    stack = [root]
    while stack:
        cid = stack.pop()
        key = address.multihash(cid)
        if key in seen:
            continue
        seen.add(key)
        inline = address.identity(cid)
        block = get(cid) if inline is None else inline
        if inline is None:
            yield cid, block
        stack += reversed(children(cid, block))
