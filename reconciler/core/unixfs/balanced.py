"""The balanced layout: all leaves at one depth, each node filled before the next (`ipfs add`).

    175 leaves, 174 links a node          root
                                        /      \
                              174 leaves        1 leaf

Built from below: a level that is full becomes one part of the level above. So one path of the tree is all that is
held, and nothing needs to be known of how much is to come.
"""

from reconciler.core.unixfs import dagpb, message
from reconciler.core.unixfs.blocks import Part, Writer
from reconciler.core.unixfs.dagpb import Link
from reconciler.core.unixfs.message import Message


class Balanced:
    __slots__ = ("_levels", "_max_links", "_writer")

    def __init__(self, max_links: int, writer: Writer) -> None:
        self._levels: list[list[Part]] = [[]]
        self._max_links = max_links
        self._writer = writer

    def add(self, leaf: Part) -> None:
        self._push(0, leaf)

    def finish(self) -> Part:
        """The root. A single leaf is the root itself; a single part on any lower level gets a node of its own."""
        at = 0
        while at + 1 < len(self._levels) or len(self._levels[at]) > 1:
            self._push(at + 1, parent(self._levels[at], self._writer))
            at += 1
        return self._levels[at][0]

    def _push(self, at: int, part: Part) -> None:
        if at == len(self._levels):
            self._levels.append([])
        level = self._levels[at]
        if len(level) < self._max_links:
            level.append(part)
        else:
            # A full level moves up only when more comes: alone, its node is the root.
            self._levels[at] = [part]
            self._push(at + 1, parent(level, self._writer))


def parent(parts: list[Part], writer: Writer, data: bytes | None = None) -> Part:
    """The node of a file over these parts. `data`: content of its own that comes before theirs."""
    size = sum(part.size for part in parts) + len(data or b"")
    told = Message(kind=message.FILE, data=data, filesize=size, blocksizes=tuple(part.size for part in parts))
    links = [Link("", part.cid, part.tsize) for part in parts]
    block = dagpb.encode(links, message.encode(told))
    return Part(writer.node(block), len(block) + sum(part.tsize for part in parts), size)
