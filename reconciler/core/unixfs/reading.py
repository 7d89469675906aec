"""A file's bytes from its blocks, from any offset: only the blocks that hold them, and those above, are asked for."""

from collections.abc import Iterator

from reconciler.core.unixfs import address, dagpb, message
from reconciler.core.unixfs.blocks import Get, load
from reconciler.core.unixfs.failure import UnixfsError


def read(root: bytes, get: Get, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
    """The bytes from `offset` on, at most `length` of them, a piece a leaf. Past the end there are none.

    Raises UnixfsError for what is no file, or whose nodes contradict each other, and what `get` raises.
    """
    if offset < 0 or (length is not None and length < 0):
        raise UnixfsError("an offset and a length are 0 or more")
    # A root tells its own size; anything below it is held to what its parent says.
    stack: list[tuple[bytes, int | None]] = [(root, None)]
    skip, left = offset, length
    while stack and left != 0:
        cid, size = stack.pop()
        if size is not None and size <= skip:
            skip -= size
            continue
        content, children = _node(cid, size, get)
        stack += reversed(children)
        piece = content[skip:] if left is None else content[skip : skip + left]
        skip = max(0, skip - len(content))
        if piece:
            left = None if left is None else left - len(piece)
            yield piece


def read_all(root: bytes, get: Get) -> bytes:
    """The whole file."""
    return b"".join(read(root, get))


def size(root: bytes, get: Get) -> int:
    """Bytes of the file. Raises UnixfsError for what is no file."""
    block = load(root, get)
    if address.codec(root) == address.RAW:
        return len(block)
    node = dagpb.decode(block)
    told = message.decode(node.data)
    message.file_sizes(told, len(node.links))
    return told.size


def _node(cid: bytes, size: int | None, get: Get) -> tuple[bytes, list[tuple[bytes, int | None]]]:
    """The content of the node itself, and what follows below it."""
    block = load(cid, get)
    codec = address.codec(cid)
    if codec == address.RAW:
        content, children, whole = block, [], len(block)
    elif codec == address.DAG_PB:
        node = dagpb.decode(block)
        told = message.decode(node.data)
        sizes: tuple[int | None, ...] = message.file_sizes(told, len(node.links))
        content = told.data or b""
        children = [(link.cid, below) for link, below in zip(node.links, sizes, strict=True)]
        whole = len(content) + sum(told.blocksizes)
    else:
        raise UnixfsError(f"a block of a file has the codec 0x{codec:x}; files are raw or dag-pb")
    if size is not None and whole != size:
        raise UnixfsError(f"a block of a file holds {whole} bytes where its parent counts {size}")
    return content, children
