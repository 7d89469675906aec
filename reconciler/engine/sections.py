"""The blocks of a folder in pieces that a node takes one at a time, cut where the content says.

Each is a CAR file of its own. Where one ends depends on the blocks in it alone, so that after a change of one file
most sections are what they were, and those that the node has acknowledged are not sent again. What it acknowledged
is remembered by digest; whether all is there is asked of the node in the end, so that a wrong memory costs time and
nothing else.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

from msgspec import Struct

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
        self._digest = blake2b(digest_size=16)
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


class Acknowledged:
    """The sections of a folder that a node took, in a file that only grows while an import goes on.

    `place` is a directory; None remembers nothing. `what` names the folder, `node` its node: another one has nothing.
    """

    def __init__(self, place: Path | None, *, what: str, node: str) -> None:
        name = blake2b(f"{node}\0{what}".encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        self._file = None if place is None else place / f"{name}.sent"
        self._known = set(self._load())
        self._used: list[bytes] = []

    def __contains__(self, section: Section) -> bool:
        return section.digest in self._known

    def add(self, section: Section) -> None:
        """It was sent, or need not be. A disk that is full costs that it is sent again next time."""
        self._used.append(section.digest)
        if self._file is None or section.digest in self._known:
            return
        self._known.add(section.digest)
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._file.open("ab") as file:
                file.write(section.digest)
        except OSError:
            self._file = None

    def forget(self) -> None:
        """The node has lost some of it."""
        self._known.clear()
        self._used.clear()
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink()

    def settle(self) -> None:
        """The folder is whole at the node: sections of earlier ones are forgotten."""
        if self._file is None or len(self._used) == len(self._known):
            return
        rest = self._file.with_suffix(f".{os.getpid()}")
        try:
            rest.write_bytes(b"".join(self._used))
            rest.replace(self._file)
        except OSError:
            with suppress(OSError):
                rest.unlink()

    def _load(self) -> Iterator[bytes]:
        if self._file is None:
            return
        try:
            told = self._file.read_bytes()
        except OSError:
            return
        # One that was cut off by a kill is half a digest, and so are those after it: they match nothing.
        for at in range(0, len(told) - 15, 16):
            yield told[at : at + 16]
