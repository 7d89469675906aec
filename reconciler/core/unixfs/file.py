"""A file from its bytes, which are pushed piece by piece, in pieces of any size.

What is held is one chunk that came in part, and one path of the tree. Without a sink no block is put together: a leaf
is hashed where it lies.
"""

from collections.abc import Iterable

from reconciler.core.unixfs import address, dagpb, message, varint
from reconciler.core.unixfs.balanced import Balanced
from reconciler.core.unixfs.blocks import Buffer, Entry, Part, Sink, Writer
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.core.unixfs.params import Params
from reconciler.core.unixfs.trickle import Trickle


class FileBuilder:
    """`update` with the file's bytes in order, then `finish`, like a hash. `size`: bytes so far.

    The CID does not depend on how the bytes are cut into updates. Updates of whole chunks, or of a multiple, are not
    copied; what is given may be overwritten once `update` has returned.
    """

    __slots__ = ("_chunk", "_finished", "_layout", "_leaves", "_pending", "size")

    def __init__(self, params: Params, sink: Sink | None = None) -> None:
        writer = Writer(params.cid_version, sink)
        self._chunk = params.chunk_size
        self._pending = bytearray()
        self._leaves = Leaves(params, writer)
        self._layout = layout(params, writer)
        self._finished = False
        self.size = 0

    def update(self, data: Buffer) -> None:
        view = memoryview(data)
        if view.ndim != 1 or view.itemsize != 1:
            view = view.cast("B")
        self.size += len(view)
        chunk, pending, at = self._chunk, self._pending, 0
        if pending:
            at = min(chunk - len(pending), len(view))
            pending += view[:at]
            if len(pending) < chunk:
                return
            self._layout.add(self._leaves.leaf(pending))
            # A new one, since the sink and views of the old one may live on.
            pending = self._pending = bytearray()
        whole = at + (len(view) - at) // chunk * chunk
        while at < whole:
            self._layout.add(self._leaves.leaf(view[at : at + chunk]))
            at += chunk
        if at < len(view):
            pending += view[at:]

    def take(self, part: Part) -> None:
        """A leaf that somebody else has made of the next bytes: a whole chunk, or the end of the file."""
        self.size += part.size
        self._layout.add(part)

    def finish(self) -> Entry:
        """The file's root. The builder is of no more use then."""
        if self._finished:
            raise UnixfsError("this file is finished already")
        self._finished = True
        if self._pending:
            self._layout.add(self._leaves.leaf(self._pending))
        elif not self.size and isinstance(self._layout, Balanced):
            # An empty file has one empty leaf, in the trickle layout none.
            self._layout.add(self._leaves.leaf(b""))
        return self._layout.finish().entry


class Leaves:
    """Makes leaves: raw blocks, or dag-pb nodes whose message holds the bytes."""

    __slots__ = ("_kind", "_raw", "_writer")

    def __init__(self, params: Params, writer: Writer) -> None:
        self._raw = params.raw_leaves
        # boxo marks the leaves of the two layouts differently, which only the CID shows.
        self._kind = message.RAW if params.trickle else message.FILE
        self._writer = writer

    def leaf(self, content: Buffer) -> Part:
        size = len(content)
        if self._raw:
            return Part(self._writer.raw(content), size, size)
        head, tail = frame(self._kind, size)
        return Part(self._writer.framed(head, content, tail), len(head) + size + len(tail), size)


def frame(kind: int, size: int) -> tuple[bytes, bytes]:
    """What stands before and after `size` bytes of content in the block of a dag-pb leaf."""
    tail = b"\x18" + varint.encode(size)
    inner = [b"\x08", varint.encode(kind)]
    if size:
        inner += (b"\x12", varint.encode(size))
    told = b"".join(inner)
    return b"\n" + varint.encode(len(told) + size + len(tail)) + told, tail


def layout(params: Params, writer: Writer) -> Balanced | Trickle:
    return (Trickle if params.trickle else Balanced)(params.max_links, writer)


def build(chunks: Iterable[Buffer], params: Params, sink: Sink | None = None) -> Entry:
    """The root of the file of these bytes, in pieces of any size."""
    builder = FileBuilder(params, sink)
    for chunk in chunks:
        builder.update(chunk)
    return builder.finish()


def leaves(root: bytes, block: bytes) -> tuple[Part, ...]:
    """The parts that the root of a file links, or the root itself if it links none.

    `block` is that of `root`. Raises UnixfsError for what is no file.
    """
    if is_raw(root):
        return (Part(root, len(block), len(block)),)
    node = dagpb.decode(block)
    told = message.decode(node.data)
    sizes = message.file_sizes(told, len(node.links))
    if not node.links:
        return (Part(root, len(block), told.size),)
    return tuple(Part(link.cid, link.tsize, size) for link, size in zip(node.links, sizes, strict=True))


def symlink(target: str, params: Params, sink: Sink | None = None) -> Entry:
    """The root of a symbolic link. Kubo writes no size into it, and never a raw block."""
    told = message.Message(kind=message.SYMLINK, data=dagpb.name_bytes(target))
    block = dagpb.encode((), message.encode(told))
    return Entry(Writer(params.cid_version, sink).node(block), len(block))


def is_raw(cid: bytes) -> bool:
    """Whether `cid` is that of a raw block, which is a file or a leaf of one."""
    return address.codec(cid) == address.RAW
