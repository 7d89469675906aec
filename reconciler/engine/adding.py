"""Large files go to the node as they are (`add`), and the node lays them out, so that their bytes are hashed once.

  a file of one piece     is what the node says that it made of it
  a longer one            its pieces lie at the node side by side, and the nodes above their leaves are made here; the
                          roots of the pieces are left to the garbage collector

What it says is believed: the root of the folder that comes of it is the planned one, or all is laid out here after
all. That happens where settings of the node overrule what `add` asks for, which mostly shows in the first answer.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from typing import Final

from reconciler.core.question import FolderOf
from reconciler.core.unixfs import address, file
from reconciler.core.unixfs.blocks import Entry, Part
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.core.unixfs.params import Params
from reconciler.engine.acknowledged import Acknowledged
from reconciler.engine.disk import mark
from reconciler.engine.large_files import Large, Piece, batches
from reconciler.engine.sections import Cutter, Section
from reconciler.node import upload
from reconciler.node.multipart import Part as Sent
from reconciler.node.protocol import Node

#: Requests at a time: one leaves a core of the node idle, three are no faster.
LANES: Final = 2
#: Bytes of a CID as it is remembered, of a CIDv0 before it is filled up, and of the size before it.
_CID, _CID_V0, _SIZE = 36, 34, 8
#: Of a record in `Acknowledged`.
WIDTH: Final = _SIZE + _CID


class Claims:
    """What a node says that it made of files. Implements `disk.Memory` for those that are still what they were."""

    def __init__(self) -> None:
        self._roots: dict[str, tuple[tuple[int, ...], Entry]] = {}

    def __len__(self) -> int:
        return len(self._roots)

    def add(self, large: Large, root: Entry) -> None:
        self._roots[large.below] = large.seen, root

    def get(self, path: str, seen: os.stat_result) -> Entry | None:
        then, root = self._roots.get(path, ((), None))
        return root if then == mark(seen) else None

    def put(self, path: str, seen: os.stat_result, root: Entry, *, at: int) -> None: ...


async def add_large(
    node: Node,
    question: FolderOf,
    params: Params,
    *,
    known: Acknowledged,
    tell: Callable[[int, int], None],
) -> Claims:
    """Brings the large files of a folder to the node. `known` has records of `WIDTH` bytes.

    `tell` is told of blocks and bytes as they are there. Raises DiskError; NodeError; and UnixfsError where the answers
    of the node make no sense.
    """
    adding = _Adding(node, params, known, tell)
    gone = threading.Event()
    turn = asyncio.Lock()
    found = batches(question, gone)
    lanes = [asyncio.create_task(adding.lane(found, turn)) for _ in range(LANES)]
    try:
        await asyncio.gather(*lanes)
    finally:
        gone.set()
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
    return adding.claims


class _Adding:
    def __init__(
        self, node: Node, params: Params, known: Acknowledged, tell: Callable[[int, int], None]
    ) -> None:
        self.claims = Claims()
        self._node, self._params, self._known, self._tell = node, params, known, tell
        self._layout = upload.Layout(
            cid_version=params.cid_version,
            raw_leaves=params.raw_leaves,
            chunker=f"size-{params.chunk_size}",
            max_links=params.max_links,
        )
        self._longer: dict[str, _Longer] = {}

    async def lane(self, found: Iterator[list[Piece]], turn: asyncio.Lock) -> None:
        while True:
            async with turn:
                batch = await asyncio.to_thread(next, found, None)
            if batch is None:
                return
            new = [piece for piece in batch if not await self._there(piece)]
            if new:
                await self._send(new)
            self._tell(
                sum(-(-p.length // self._params.chunk_size) for p in batch), sum(p.length for p in batch)
            )

    async def _there(self, piece: Piece) -> bool:
        """Whether the node has it from an import that was cut short, as far as is known."""
        record = self._known.get(piece.key)
        if record is None:
            return False
        padded = record[_SIZE:]
        cid = padded[:_CID_V0] if padded.startswith(address.V0_PREFIX) else padded
        root = Entry(cid, int.from_bytes(record[:_SIZE], "big"))
        if not await self._node.has(address.to_text(root.cid)):
            return False
        await self._take(piece, root)
        return True

    async def _send(self, pieces: list[Piece]) -> None:
        parts = (Sent(str(n), piece.read()) for n, piece in enumerate(pieces))
        told = {a.name: a for a in await self._node.add(parts, layout=self._layout)}
        longest = max(pieces, key=lambda piece: piece.length)
        for n, piece in enumerate(pieces):
            if (added := told.get(str(n))) is None:
                raise UnixfsError("the node does not tell of a file that it was sent")
            root = Entry(address.from_text(added.cid), added.size)
            # One of each request shows whether the rest is worth sending.
            if piece.whole and piece is longest:
                await self._leaves(piece, root)
            await self._take(piece, root)

    async def _take(self, piece: Piece, root: Entry) -> None:
        if len(root.cid) > _CID:
            raise UnixfsError("the node hashes otherwise than it was asked to")
        self._known.add(piece.key, root.tsize.to_bytes(_SIZE, "big") + root.cid.ljust(_CID, b"\0"))
        if piece.whole:
            self.claims.add(piece.file, root)
            return
        leaves = await self._leaves(piece, root)
        longer = self._longer.setdefault(piece.file.below, _Longer(self._params))
        if longer.put(piece.offset, leaves) < piece.file.size:
            return
        del self._longer[piece.file.below]
        entry, sections = longer.finish()
        for section in sections:
            await self._node.import_car(section.car())
        self.claims.add(piece.file, entry)

    async def _leaves(self, piece: Piece, root: Entry) -> tuple[Part, ...]:
        """Those of a piece, which its root links: no layout has so many of them that there is something between."""
        block = await self._node.block_get(address.to_text(root.cid), offline=True)
        leaves = file.leaves(root.cid, block)
        chunks = -(-piece.length // self._params.chunk_size)
        if len(leaves) != chunks or sum(leaf.size for leaf in leaves) != piece.length:
            raise UnixfsError("the node made something else of the file than what it was asked to")
        return leaves


class _Longer:
    """A file of several pieces, which come in any order."""

    def __init__(self, params: Params) -> None:
        self._sections: list[Section] = []
        self._cutter = Cutter(self._sections.append)
        self._builder = file.FileBuilder(params, self._cutter.sink)
        self._early: dict[int, tuple[Part, ...]] = {}

    def put(self, offset: int, leaves: tuple[Part, ...]) -> int:
        """How many bytes there are now without a gap."""
        self._early[offset] = leaves
        while leaves := self._early.pop(self._builder.size, ()):
            for leaf in leaves:
                self._builder.take(leaf)
        return self._builder.size

    def finish(self) -> tuple[Entry, list[Section]]:
        """The file, and the nodes above its leaves."""
        entry = self._builder.finish()
        self._cutter.finish()
        return entry, self._sections
