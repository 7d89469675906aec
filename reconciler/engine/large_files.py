"""Large files of a folder on this disk, in pieces that are sent one at a time, as they are."""

import asyncio
import os
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

from msgspec import Struct

from reconciler.core.question import FolderOf
from reconciler.engine.acknowledged import KEY
from reconciler.engine.disk import FLAGS, Ignore, changed, mark, unreadable, vanished

#: Bytes from which on a file is large: below it, to have the node hash costs more than to do it here.
LEAST: Final = 512 * 1024
#: Whole chunks of all layouts, and fewer of them than any of these gives links to a node.
PIECE: Final = 32 * 1024 * 1024
_READ: Final = 512 * 1024


class Large(Struct, frozen=True):
    """`below`: its path below the folder, "" if it is in the folder's place. `seen`: its mark, with the size first."""

    path: str
    below: str
    seen: tuple[int, ...]

    @property
    def size(self) -> int:
        return self.seen[0]


class Piece(Struct, frozen=True):
    """Some bytes of a file."""

    file: Large
    offset: int
    length: int

    @property
    def whole(self) -> bool:
        return self.length == self.file.size

    @property
    def key(self) -> bytes:
        """What it is remembered by, for as long as the file stays what it is."""
        told = repr((self.file.below, self.file.seen, self.offset, self.length))
        return blake2b(told.encode("utf-8", "surrogateescape"), digest_size=KEY).digest()

    async def read(self) -> AsyncIterator[bytes]:
        """Raises DiskError for a file that is not what it was when it was found."""
        file = await asyncio.to_thread(_open, self.file)
        try:
            at, end = self.offset, self.offset + self.length
            while at < end:
                data = await asyncio.to_thread(_pread, file, min(_READ, end - at), at, self.file.below)
                at += len(data)
                yield data
            _check(file, self.file)
        finally:
            os.close(file)


def batches(question: FolderOf, gone: threading.Event) -> Iterator[list[Piece]]:
    """Pieces that together are worth a request. `gone` ends it early.

    What cannot be read is left out: who reads the folder as a whole says so.
    """
    together: list[Piece] = []
    size = 0
    for large in _large(question, gone):
        if large.size > PIECE:
            for at in range(0, large.size, PIECE):
                yield [Piece(large, at, min(PIECE, large.size - at))]
            continue
        if size + large.size > PIECE:
            yield together
            together, size = [], 0
        together.append(Piece(large, 0, large.size))
        size += large.size
    if together:
        yield together


def _large(question: FolderOf, gone: threading.Event) -> Iterator[Large]:
    ignore = Ignore(question.ignore)
    with suppress(OSError):
        # A link in this place is followed, as `disk` does.
        seen = Path(question.path).stat()
        if stat.S_ISREG(seen.st_mode) and seen.st_size >= LEAST:
            yield Large(os.path.realpath(question.path), "", mark(seen))
    folders = [(question.path, "")]
    while folders and not gone.is_set():
        folder, below = folders.pop()
        with suppress(OSError), os.scandir(folder) as found:
            for entry in sorted(found, key=lambda e: os.fsencode(e.name)):
                path = f"{below}/{entry.name}" if below else entry.name
                inner = entry.is_dir(follow_symlinks=False)
                if ignore.match(path, entry.name, folder=inner):
                    continue
                if inner:
                    folders.append((entry.path, path))
                elif entry.is_file(follow_symlinks=False):
                    seen = entry.stat(follow_symlinks=False)
                    if seen.st_size >= LEAST:
                        yield Large(entry.path, path, mark(seen))


def _open(large: Large) -> int:
    try:
        file = os.open(large.path, FLAGS)
    except OSError as error:
        raise vanished(large.below, error) from None
    try:
        _check(file, large)
    except BaseException:
        os.close(file)
        raise
    return file


def _check(file: int, large: Large) -> None:
    if mark(os.fstat(file)) != large.seen:
        raise changed(large.below)


def _pread(file: int, length: int, at: int, below: str) -> bytes:
    try:
        data = os.pread(file, length, at)
    except OSError as error:
        raise unreadable(below, error) from None
    if not data:
        raise changed(below)
    return data
