"""A file written into and truncated in place, block by block, as MFS does it (boxo: ipld/unixfs/mod).

What exists is overwritten leaf by leaf and keeps its shape; what goes past the end is appended in the trickle layout,
from a new leaf on, though the last one may have room. So the CID depends on how a file was written, and a file that
was written in one go has another one than `ipfs add` gives it, unless it is a single raw block.

A call stands for one request. Kubo cuts a request of more than 2 MiB as its bytes arrive, so no CID can be foretold
for those; here all of a call's bytes are chunked together.
"""

from collections.abc import Iterable
from itertools import chain, repeat
from typing import TypeAlias

import msgspec

from reconciler.core.unixfs import address, dagpb, message, reading, trickle
from reconciler.core.unixfs.balanced import parent
from reconciler.core.unixfs.blocks import Buffer, Entry, Get, Part, Sink, Writer, load
from reconciler.core.unixfs.dagpb import Link
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.core.unixfs.file import Leaves, is_raw
from reconciler.core.unixfs.params import KUBO, Params

#: A gap before the offset is filled with zeros in leaves of this size, which are all the same block.
_GAP = 4096
#: MFS takes the size of its chunks from the node's configuration, but not this (measured on Kubo 0.44).
_MAX_LINKS = KUBO.max_links

_Store: TypeAlias = dict[bytes, bytes]


def empty(params: Params, sink: Sink | None = None) -> Entry:
    """The file that `files/write --create` begins with: a dag-pb node, for raw leaves too."""
    return parent([], Writer(params.cid_version, sink)).entry


def write(
    root: bytes,
    offset: int,
    data: Buffer,
    get: Get,
    params: Params,
    sink: Sink | None = None,
    *,
    truncate: bool = False,
) -> Entry:
    """The file with `data` at `offset`; what lies between its end and the offset becomes zeros.

    `truncate`: it is emptied first, which is not the same as a `truncate` to 0 before: the shape is another.
    `params`: chunk size and raw leaves of what is appended. New nodes have the CID version of the root,
    which is 1 for a raw block. Raises UnixfsError for what is no file.

    One case is not as in boxo: in a file whose root has bytes of its own and children too (a small dag-pb file that
    was appended to) boxo counts offsets and sizes from the first child and so changes the wrong bytes.
    """
    if offset < 0:
        raise UnixfsError("an offset is 0 or more")
    change = _Change(root, get, params, sink)
    size = reading.size(root, get)
    if truncate and size:
        change.cut(0)
        size = 0
    if offset > size:
        change.append_zeros(offset - size)
        size = offset
    view = memoryview(data)
    change.overwrite(offset, view[: size - offset])
    change.append(view[size - offset :], params.chunk_size)
    return change.finish()


def truncate(root: bytes, size: int, get: Get, params: Params, sink: Sink | None = None) -> Entry:
    """The file cut off after `size` bytes, or grown to it with zeros. Raises UnixfsError for what is no file."""
    if size < 0:
        raise UnixfsError("a size is 0 or more")
    change = _Change(root, get, params, sink)
    now = reading.size(root, get)
    if size < now:
        change.cut(size)
    else:
        change.append_zeros(size - now)
    return change.finish()


class _Change:
    """One change under way. Blocks are held until it is known which of them the new file needs."""

    def __init__(self, root: bytes, get: Get, params: Params, sink: Sink | None) -> None:
        self._root = root
        self._below = get
        self._params = msgspec.structs.replace(params, trickle=True)
        self._sink = sink
        self._new: _Store = {}
        self._writer = Writer(address.version(root), self._new.__setitem__)

    def append(self, data: Buffer, chunk: int) -> None:
        view = memoryview(data)
        if view:
            leaves = self._leaves()
            self._add(leaves.leaf(view[at : at + chunk]) for at in range(0, len(view), chunk))

    def append_zeros(self, count: int) -> None:
        if count:
            leaves = self._leaves()
            whole, rest = divmod(count, _GAP)
            zeros = leaves.leaf(bytes(_GAP))
            self._add(chain(repeat(zeros, whole), [leaves.leaf(bytes(rest))] if rest else []))

    def _leaves(self) -> Leaves:
        # A raw block cannot grow: it becomes the first leaf of a file whose leaves are raw.
        raw = is_raw(self._root) or self._params.raw_leaves
        return Leaves(msgspec.structs.replace(self._params, raw_leaves=raw), self._writer)

    def _add(self, leaves: Iterable[Part]) -> None:
        if is_raw(self._root):
            size = len(load(self._root, self._get))
            self._root = parent([Part(self._root, size, size)], self._writer).cid
        self._root = trickle.append(self._root, leaves, self._get, _MAX_LINKS, self._writer).cid

    def overwrite(self, offset: int, data: memoryview) -> None:
        if len(data):
            self._root = self._overwritten(self._root, offset, data)

    def cut(self, size: int) -> None:
        self._root = self._cut(self._root, size).cid

    def finish(self) -> Entry:
        """Hands the new blocks that the root needs to the sink, children first."""
        self._root = self._collapsed(self._root)
        if self._sink is not None:
            self._emit(self._root, self._sink, set())
        block = load(self._root, self._get)
        if is_raw(self._root):
            return Entry(self._root, len(block))
        return Entry(self._root, len(block) + sum(link.tsize for link in dagpb.decode(block).links))

    def _get(self, cid: bytes) -> bytes:
        block = self._new.get(cid)
        return self._below(cid) if block is None else block

    def _emit(self, cid: bytes, sink: Sink, told: set[bytes]) -> None:
        block = self._new.get(cid)
        if block is None or cid in told:
            return
        told.add(cid)
        if not is_raw(cid):
            for link in dagpb.decode(block).links:
                self._emit(link.cid, sink, told)
        sink(cid, block)

    def _overwritten(self, cid: bytes, offset: int, data: memoryview) -> bytes:
        """`data` lies within the file at `cid`. A link keeps the size it had: as many bytes come as go."""
        block = load(cid, self._get)
        if is_raw(cid):
            return self._writer.raw(_spliced(block, offset, data))
        node = dagpb.decode(block)
        told = message.decode(node.data)
        links = list(node.links)
        own = told.data or b""
        if offset < len(own):
            told = msgspec.structs.replace(told, data=_spliced(own, offset, data[: len(own) - offset]))
        at = len(own)
        for i, size in enumerate(message.file_sizes(told, len(links))):
            start, end = max(at, offset), min(at + size, offset + len(data))
            if start < end:
                child = self._overwritten(links[i].cid, start - at, data[start - offset : end - offset])
                links[i] = Link(links[i].name, child, links[i].tsize)
            at += size
        return Writer(address.version(cid), self._writer.sink).node(dagpb.encode(links, message.encode(told)))

    def _cut(self, cid: bytes, size: int) -> Entry:
        """The first `size` bytes of what is longer. The child that is cut stays, though nothing may be left of it."""
        block = load(cid, self._get)
        if is_raw(cid):
            return Entry(self._writer.raw(block[:size]), size)
        node = dagpb.decode(block)
        told = message.decode(node.data)
        own = told.data or b""
        if not node.links or size < len(own):
            kept = msgspec.structs.replace(told, data=own[:size], filesize=size, blocksizes=())
            cut = dagpb.encode((), message.encode(kept))
            # boxo makes the leaf that is cut anew and forgets its version: it has a CIDv0 in any file.
            return Entry(Writer(0, self._writer.sink).node(cut), len(cut))
        links: list[Link] = []
        sizes: list[int] = []
        at = len(own)
        for link, below in zip(node.links, message.file_sizes(told, len(node.links)), strict=True):
            if size < at + below:
                child = self._cut(link.cid, size - at)
                links.append(Link("", child.cid, child.tsize))
                sizes.append(size - at)
                break
            links.append(link)
            sizes.append(below)
            at += below
        told = msgspec.structs.replace(told, filesize=len(own) + sum(sizes), blocksizes=tuple(sizes))
        out = dagpb.encode(links, message.encode(told))
        name = Writer(address.version(cid), self._writer.sink).node(out)
        return Entry(name, len(out) + sum(link.tsize for link in links))

    def _collapsed(self, root: bytes) -> bytes:
        """With raw leaves a file of one leaf is that leaf, unless it tells a mode or a time."""
        if not self._params.raw_leaves or is_raw(root):
            return root
        node = dagpb.decode(load(root, self._get))
        told = message.decode(node.data)
        if len(node.links) != 1 or not is_raw(node.links[0].cid) or told.mode or told.mtime:
            return root
        return node.links[0].cid


def _spliced(old: bytes, offset: int, data: memoryview) -> bytes:
    return b"".join((old[:offset], data, old[offset + len(data) :]))
