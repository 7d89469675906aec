"""The blocks of a folder in pieces that a node takes one at a time, cut where the content says.

Each is a CAR file of its own. Where one ends depends on the blocks in it alone, so that after a change of one file
most sections are what they were, and those that the node has acknowledged are not sent again.
"""

from collections.abc import AsyncIterator, Callable
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from reconciler.engine.acknowledged import KEY
from reconciler.node import car

#: Bytes of blocks in a section: at least, and at most. Three of them are held at a time.
LEAST: Final = 16 * 1024 * 1024
MOST: Final = 32 * 1024 * 1024
#: One block in so many ends a section that is long enough.
_ENDS: Final = 8
_PIECE: Final = 512 * 1024


class Section(Struct, frozen=True):
    """A CAR file that fills the first `length` bytes of a buffer, which is not its own. `digest` is that of its CIDs.

    `blocks` and `size`: how many, and how many bytes they have.
    """

    buffer: bytearray
    length: int
    digest: bytes
    blocks: int
    size: int

    async def car(self) -> AsyncIterator[bytes]:
        """The file, in pieces that are worth a packet."""
        with memoryview(self.buffer) as whole:
            for at in range(0, self.length, _PIECE):
                yield bytes(whole[at : min(at + _PIECE, self.length)])


class Cutter:
    """A sink that hands on sections, each as soon as it is whole. Call `finish` in the end.

    Buffers are used again once they are given back with `spare`: fresh memory for each block would take as long as
    all the hashing.
    """

    def __init__(self, hand: Callable[[Section], None]) -> None:
        self._hand = hand
        self._spare: list[bytearray] = []
        self._begin()

    def spare(self, section: Section) -> None:
        """What is in it is not needed any more. From any thread."""
        self._spare.append(section.buffer)

    def _begin(self) -> None:
        self._buffer = self._spare.pop() if self._spare else bytearray()
        self._at = 0
        self._digest = blake2b(digest_size=KEY)
        self._blocks = self._size = 0

    def sink(self, cid: bytes, block: bytes) -> None:
        if not self._blocks:
            # A CAR has a root; which one is of no concern where nothing is pinned by it.
            self._put(car.header(cid))
        self._put(car.before(cid, len(block)))
        self._put(block)
        self._digest.update(cid)
        self._blocks += 1
        self._size += len(block)
        if self._size >= MOST or (self._size >= LEAST and cid[-1] % _ENDS == 0):
            self.finish()

    def _put(self, data: bytes) -> None:
        end = self._at + len(data)
        self._buffer[self._at : end] = data
        self._at = end

    def finish(self) -> None:
        if self._blocks:
            self._hand(Section(self._buffer, self._at, self._digest.digest(), self._blocks, self._size))
            self._begin()
