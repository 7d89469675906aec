"""Roots of files that were read before, so that a plan in a loop does not read ten gigabytes each time.

A file is known by its path, size, inode and the times of its last change, of the content and of the inode. One that
was changed within two seconds of when it was read is not remembered: it may have been changed again since, within
the same tick of a coarse clock ("racy git"). Small files are not remembered either: to read one costs no more than
to look it up. What is remembered is no evidence of anything that is destroyed for it: an import reads all of it.
"""

import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from reconciler.core.unixfs.blocks import Entry

#: Bytes from which on a file is remembered.
LEAST: Final = 256 * 1024
#: Nanoseconds between the last change of a file and the look at it.
RACY: Final = 2_000_000_000
#: Larger files of memory are none of ours.
_MOST: Final = 256 * 1024 * 1024


class _File(Struct, frozen=True, array_like=True, gc=False):
    size: int
    mtime: int
    ctime: int
    inode: int
    device: int
    cid: bytes
    tsize: int


class FolderMemo:
    """Implements `disk.Memory`. `place` is a directory, which is made; None remembers nothing."""

    def __init__(self, place: Path | None, path: str, layout: str) -> None:
        name = blake2b(f"{layout}\0{path}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        self._file = None if place is None else place / f"{name}.memo"
        self._known: dict[str, _File] = {}
        self._now: dict[str, _File] = {}
        if self._file is not None:
            self._known = _load(self._file)

    def get(self, path: str, seen: os.stat_result) -> Entry | None:
        known = self._known.get(_key(path))
        if known is None or (known.size, known.mtime, known.ctime, known.inode, known.device) != _mark(seen):
            return None
        self._now[_key(path)] = known
        return Entry(known.cid, known.tsize)

    def put(self, path: str, seen: os.stat_result, root: Entry, *, at: int) -> None:
        if seen.st_size < LEAST or max(seen.st_mtime_ns, seen.st_ctime_ns) > at - RACY:
            return
        self._now[_key(path)] = _File(*_mark(seen), root.cid, root.tsize)

    def save(self) -> None:
        """What was there this time, in the place of what was known. A disk that is full is none of our business."""
        if self._file is None or self._now == self._known:
            return
        rest = self._file.with_suffix(f".{os.getpid()}")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            rest.write_bytes(msgspec.msgpack.encode(self._now))
            rest.replace(self._file)
        except OSError:
            _remove(rest)

    def forget(self) -> None:
        """What is known turned out wrong."""
        if self._file is not None:
            _remove(self._file)


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink()


def _load(file: Path) -> dict[str, _File]:
    try:
        if file.stat().st_size > _MOST:
            return {}
        return msgspec.msgpack.decode(file.read_bytes(), type=dict[str, _File])
    except (OSError, msgspec.DecodeError):
        return {}


def _mark(seen: os.stat_result) -> tuple[int, int, int, int, int]:
    return seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_dev


def _key(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
