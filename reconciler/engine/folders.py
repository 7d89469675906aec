"""Local folders as UnixFS: the CID that one would have if it were imported, found out without any node.

    layout            equal to, with Kubo 0.44
    kubo-v1           ipfs add -r -H --cid-version=1 --dereference-args
    kubo-v0           ipfs add -r -H --dereference-args
    unixfs-v1-2025    the same on a node with the profile of that name
    wrap: true        … -w

Kubo without `-H` leaves hidden files out; here they are what the build made, and `ignore` leaves out what is not
meant.
"""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from reconciler.core.question import Folder, FolderOf, NotKnown
from reconciler.core.unixfs import address, params, tree
from reconciler.core.unixfs.blocks import Sink
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.core.unixfs.params import Params
from reconciler.engine.context import Context
from reconciler.engine.disk import Cancelled, Disk, DiskError, Memory
from reconciler.engine.folder_memo import FolderMemo

LAYOUTS: Final[dict[str, Params]] = {
    "kubo-v0": params.KUBO,
    "kubo-v1": params.KUBO_V1,
    "unixfs-v1-2025": params.UNIXFS_V1_2025,
}


async def folder(question: FolderOf, *, place: Path | None = None) -> Folder | NotKnown:
    """The answer, found out in a thread; if nobody waits for it any more, the thread ends.

    `place` is a directory to remember the roots of large files in.
    """
    gone = threading.Event()
    try:
        return await asyncio.to_thread(_answer, question, place, gone)
    finally:
        gone.set()


def place_of(ctx: Context) -> Path | None:
    """Where folders are remembered: beside the journal, if there is one."""
    return ctx.journal.place / "folders" if ctx.journal is not None else None


def build(
    question: FolderOf,
    *,
    sink: Sink | None = None,
    memory: Memory | None = None,
    gone: threading.Event | None = None,
    tell: Callable[[int], None] = lambda _size: None,
) -> Folder:
    """The folder, read now. Its blocks go to `sink`, children first. Raises DiskError and Cancelled."""
    layout = LAYOUTS.get(question.layout)
    if layout is None:
        raise DiskError(f"there is no layout {question.layout!r}; known: {', '.join(LAYOUTS)}")
    path = Path(question.path)
    disk = Disk(path, layout, ignore=question.ignore, sink=sink, memory=memory, gone=gone, tell=tell)
    item = disk.item()
    inner = item
    if question.wrap:
        item = tree.Folder(lambda: [(path.name or "root", inner)])
    try:
        built = tree.build(item, layout, sink)
    except UnixfsError as error:
        raise DiskError(f"it cannot be imported: {error}") from None
    return Folder(
        cid=address.to_cid(built.entry.cid),
        size=built.entry.tsize,
        files=built.files,
        empty=not built.files or (isinstance(inner, tree.Made) and not built.size),
    )


def _answer(question: FolderOf, place: Path | None, gone: threading.Event) -> Folder | NotKnown:
    memo = FolderMemo(place, question.path, question.layout)
    try:
        found = build(question, memory=memo, gone=gone)
    except DiskError as error:
        return NotKnown(why=error.why, hint=error.hint)
    except Cancelled:
        return NotKnown(why="it was not read to its end")
    memo.save()
    return found
