"""The CID of a folder, against sha256 over the same bytes, one after the other in one process."""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import task

from reconciler.core.unixfs import params, tree

PIECE = 1 << 20
FILES = 1000


def write(folder: Path, size: int) -> None:
    """A thousand files of `size` bytes together, in ten folders. They are sparse: a hash takes as long for zeros."""
    for n in range(FILES):
        path = folder / str(n % 10) / f"{n:04}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as opened:
            opened.truncate(size // FILES)


def pieces(path: str, buffer: memoryview) -> Iterator[memoryview]:
    with Path(path).open("rb", buffering=0) as opened:
        while count := opened.readinto(buffer):
            yield buffer[:count]


def source(path: str, buffer: memoryview) -> tree.Folder:
    def items() -> Iterator[tuple[str, tree.Item]]:
        with os.scandir(path) as found:
            for entry in found:
                if entry.is_dir():
                    yield entry.name, source(entry.path, buffer)
                else:
                    yield entry.name, tree.File(partial(pieces, entry.path, buffer))

    return tree.Folder(items)


def ours(path: str) -> int:
    return tree.build(source(path, memoryview(bytearray(PIECE))), params.KUBO_V1).size


def bare(path: str) -> int:
    buffer, digest, size = memoryview(bytearray(PIECE)), hashlib.sha256(), 0
    for folder, _, names in os.walk(path):
        for name in names:
            for piece in pieces(f"{folder}/{name}", buffer):
                digest.update(piece)
                size += len(piece)
    digest.digest()
    return size


def timed(function: Callable[[str], int], path: str) -> tuple[float, int]:
    start = time.perf_counter()
    size = function(path)
    return time.perf_counter() - start, size


def compare(path: str) -> task.Done:
    """Twice in turn: the first pass of each warms the cache of pages and is thrown away."""
    for _ in range(2):
        reference, theirs = timed(bare, path)
        seconds, size = timed(ours, path)
    assert size == theirs
    return task.Done(seconds=seconds, bare=reference, count=size)


if __name__ == "__main__":
    task.run([compare], sys.argv[1:])
