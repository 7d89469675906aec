"""The trickle layout: leaves first, then trees that grow deeper (MFS, and `ipfs add --trickle`).

A node of depth d holds `max_links` leaves, then four nodes of depth 1, four of depth 2, … up to d - 1; the root has
no bound. `Trickle` builds one from its leaves as they come, `append` goes on with one that exists.

boxo: ipld/unixfs/importer/trickle.
"""

from collections.abc import Iterable

from reconciler.core.unixfs import dagpb, message
from reconciler.core.unixfs.balanced import parent
from reconciler.core.unixfs.blocks import Get, Part, Writer, load

#: Subtrees of one depth beside each other (`depthRepeat`).
REPEAT = 4


class Trickle:
    __slots__ = ("_frames", "_max_links", "_writer")

    def __init__(self, max_links: int, writer: Writer) -> None:
        self._max_links = max_links
        self._writer = writer
        #: The nodes that are being filled, root first: what each holds, and how deep trees in it may not be.
        self._frames: list[tuple[list[Part], int | None]] = [([], None)]

    def add(self, leaf: Part) -> None:
        while True:
            parts, limit = self._frames[-1]
            if len(parts) < self._max_links:
                parts.append(leaf)
                return
            depth = (len(parts) - self._max_links) // REPEAT + 1
            if limit is None or depth < limit:
                self._frames.append(([], depth))
            else:
                self._close()

    def finish(self) -> Part:
        """The root: a node even over a single leaf, or none."""
        while len(self._frames) > 1:
            self._close()
        return parent(self._frames[0][0], self._writer)

    def _close(self) -> None:
        parts, _ = self._frames.pop()
        self._frames[-1][0].append(parent(parts, self._writer))


def append(root: bytes, leaves: Iterable[Part], get: Get, max_links: int, writer: Writer) -> Part:
    """The dag-pb file `root`, whatever its layout, with these leaves after what it has.

    Where the root is full it goes on as boxo does, step by step: that is not always where building it at once would
    have gone on, since boxo begins with trees of depth 2 there. Raises UnixfsError for what is no file.
    """
    return _Append(leaves, get, max_links, writer).to_root(root)


class _Node:
    """A node of a file that is being added to, and content of its own that comes before its children's."""

    __slots__ = ("data", "parts")

    def __init__(self, parts: list[Part], data: bytes | None = None) -> None:
        self.parts = parts
        self.data = data


class _Append:
    __slots__ = ("_get", "_leaves", "_max_links", "_next", "_writer")

    def __init__(self, leaves: Iterable[Part], get: Get, max_links: int, writer: Writer) -> None:
        self._leaves = iter(leaves)
        self._next = next(self._leaves, None)
        self._get = get
        self._max_links = max_links
        self._writer = writer

    def to_root(self, root: bytes) -> Part:
        node = self._open(root)
        depth, beside = self._standing(node)
        if depth == 0:
            self._fill_leaves(node)
            depth = 1
        if self._next is not None:
            self._fill_last(node, depth - 1, beside)
            if self._next is not None:
                depth += 1
            while self._next is not None:
                self._fill_beside(node, depth, 0)
                depth += 1
        return self._written(node)

    def _to_child(self, node: _Node, limit: int) -> None:
        if limit == 0 or self._next is None:
            return
        depth, beside = self._standing(node)
        if depth == 0:
            self._fill_leaves(node)
            depth = 1
        if depth == limit:
            return
        self._fill_last(node, depth, beside)
        if self._next is not None:
            depth += 1
        for deeper in range(depth, limit):
            self._fill_beside(node, deeper, 0)

    def _fill_last(self, node: _Node, depth: int, beside: int) -> None:
        """Fills the last subtree, which may have room, and then the places left beside it."""
        if len(node.parts) <= self._max_links:
            return
        last = self._open(node.parts.pop().cid)
        self._to_child(last, depth - 1)
        node.parts.append(self._written(last))
        if beside:
            self._fill_beside(node, depth, beside)

    def _fill_beside(self, node: _Node, depth: int, beside: int) -> None:
        for _ in range(beside, REPEAT):
            if self._next is None:
                return
            node.parts.append(self._new(depth))

    def _new(self, limit: int) -> Part:
        node = _Node([])
        self._fill_leaves(node)
        for depth in range(1, limit):
            self._fill_beside(node, depth, 0)
        return self._written(node)

    def _fill_leaves(self, node: _Node) -> None:
        while self._next is not None and len(node.parts) < self._max_links:
            node.parts.append(self._next)
            self._next = next(self._leaves, None)

    def _standing(self, node: _Node) -> tuple[int, int]:
        """The depth of the next subtree, 0 while leaves are missing, and how many of that depth are there."""
        trees = len(node.parts) - self._max_links
        return (0, 0) if trees < 0 else (trees // REPEAT + 1, trees % REPEAT)

    def _open(self, cid: bytes) -> _Node:
        node = dagpb.decode(load(cid, self._get))
        told = message.decode(node.data)
        links = zip(node.links, message.file_sizes(told, len(node.links)), strict=True)
        return _Node([Part(link.cid, link.tsize, size) for link, size in links], told.data)

    def _written(self, node: _Node) -> Part:
        return parent(node.parts, self._writer, node.data)
