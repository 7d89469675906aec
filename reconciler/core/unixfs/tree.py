"""A whole folder, streamed: files as they are read, directories as they are done, links and names of one path held.

A source says what is there only when it is asked, so that a folder of any size costs the memory of its largest
directory's entries. What reads the disk lives elsewhere and gives these sources.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from msgspec import Struct

from reconciler.core.unixfs import directory, file
from reconciler.core.unixfs.blocks import Buffer, Entry, Sink
from reconciler.core.unixfs.params import Params


class File(Struct, frozen=True):
    """`chunks` is called once, when the file's turn has come, and gives its bytes in pieces of any size.

    1 MiB a piece is good; the same buffer may be given again and again.
    """

    chunks: Callable[[], Iterable[Buffer]]


class Symlink(Struct, frozen=True):
    target: str


class Made(Struct, frozen=True):
    """A file that the source has built itself, or knows. `size`: bytes of its content."""

    entry: Entry
    size: int


class Folder(Struct, frozen=True):
    """`items` is called once, and read to its end while what it names is built. The order does not matter."""

    items: Callable[[], Iterable[tuple[str, "Item"]]]


Item: TypeAlias = File | Symlink | Made | Folder


class Built(Struct, frozen=True, kw_only=True):
    """`files`: files and symlinks; `folders`: with the outermost; `size`: bytes of the files' content."""

    entry: Entry
    files: int
    folders: int
    size: int


def build(item: Item, params: Params, sink: Sink | None = None) -> Built:
    """The root of a folder, a file or a symlink, as `ipfs add -r` makes it.

    Names are taken as they come: what is hidden or ignored is the source's affair. Raises UnixfsError for a name that
    no directory can hold, and whatever a source raises.
    """
    # A stack of its own: a path may be deeper than Python's recursion.
    open_folders: list[_Open] = []
    files = folders = size = 0
    name, current = "", item
    while True:
        if isinstance(current, Folder):
            folders += 1
            open_folders.append(_Open(name, iter(current.items())))
        else:
            files += 1
            entry, content = _leaf(current, params, sink)
            size += content
            if not open_folders:
                return Built(entry=entry, files=files, folders=folders, size=size)
            open_folders[-1].entries[name] = entry
        while (following := next(open_folders[-1].items, None)) is None:
            done = open_folders.pop()
            entry = directory.build(done.entries, params, sink).entry
            if not open_folders:
                return Built(entry=entry, files=files, folders=folders, size=size)
            open_folders[-1].entries[done.name] = entry
        name, current = following


class _Open:
    """A folder that is being built."""

    __slots__ = ("entries", "items", "name")

    def __init__(self, name: str, items: Iterator[tuple[str, Item]]) -> None:
        self.name = name
        self.items = items
        self.entries: dict[str, Entry] = {}


def _leaf(item: File | Symlink | Made, params: Params, sink: Sink | None) -> tuple[Entry, int]:
    if isinstance(item, Made):
        return item.entry, item.size
    if isinstance(item, Symlink):
        return file.symlink(item.target, params, sink), 0
    builder = file.FileBuilder(params, sink)
    for chunk in item.chunks():
        builder.update(chunk)
    return builder.finish(), builder.size
