"""A folder on this disk as something to build a DAG from: read in order, a piece at a time, and whole or not at all.

  files, folders            as they are; empty ones too, and hidden ones: what a build made is what is published
  symbolic links            as links, wherever they lead; the path itself is followed, since `dist` may be a link
  modes, times, owners      left out, as `ipfs add` does
  pipes, sockets, devices   an error
  what `ignore` matches     left out, and what is below it: a glob with a `/` in it is held against the path below
                            the folder, one without against the name; with a `/` at its end it is for folders alone

A file is looked at before and after it is read, a folder before and after all that is in it: whatever changed
meanwhile (size, time of change, another file in its place), or cannot be read, ends it with a DiskError. What is
written within the same tick of the file system's clock as the look before it (some 4 ms) cannot be told.
"""

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from reconciler.core.globs import Globs
from reconciler.core.unixfs.blocks import Entry, Sink
from reconciler.core.unixfs.file import FileBuilder
from reconciler.core.unixfs.params import Params
from reconciler.core.unixfs.tree import Folder, Item, Made, Symlink

#: A multiple of the chunks of all layouts, so that none is copied to be hashed.
_PIECE: Final = 1024 * 1024
FLAGS: Final = (
    os.O_RDONLY
    | os.O_CLOEXEC
    | os.O_NOFOLLOW
    # A pipe that came into the file's place would keep us waiting for a writer.
    | os.O_NONBLOCK
)
#: Characters of each end of a path that is longer.
_SHOWN: Final = 100
CHANGED: Final = "changed while it was read"


class DiskError(Exception):
    """The folder cannot be read as a whole. `why` begins with the path below it, and holds none of the machine's."""

    def __init__(self, why: str, *, hint: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


class Cancelled(Exception):  # noqa: N818  # it is no error
    """Nobody waits for the result any more."""


class Memory(Protocol):
    """What is remembered of files: see `engine.folder_memo`."""

    def get(self, path: str, seen: os.stat_result) -> Entry | None:
        """The root of a file that has not changed since."""
        ...

    def put(self, path: str, seen: os.stat_result, root: Entry, *, at: int) -> None:
        """`at`: nanoseconds since the epoch, before the file was looked at."""
        ...


class Forgetful:
    """Remembers nothing."""

    def get(self, path: str, seen: os.stat_result) -> Entry | None: ...
    def put(self, path: str, seen: os.stat_result, root: Entry, *, at: int) -> None: ...


class Ignore:
    """Globs of what is left out."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._names, self._paths, self._folder_names, self._folder_paths = (
            Globs(
                p.rstrip("/").removeprefix("/")
                for p in patterns
                if p.rstrip("/") and p.endswith("/") is folders and ("/" in p.rstrip("/")) is deep
            )
            for folders in (False, True)
            for deep in (False, True)
        )

    def match(self, path: str, name: str, *, folder: bool) -> bool:
        """`path` is below the folder, with `/`."""
        return (
            self._names.match(name) is not None
            or self._paths.match(path) is not None
            or (
                folder
                and (self._folder_names.match(name) is not None or self._folder_paths.match(path) is not None)
            )
        )


class Disk:
    """Reads one folder or file at `path` (absolute). In a thread of its own: `gone` ends it with `Cancelled`.

    `sink` gets the blocks of files, but for those that the `memory` knows, which are not made. `tell` is told of the
    bytes read.
    """

    def __init__(
        self,
        path: Path,
        params: Params,
        *,
        ignore: Sequence[str] = (),
        sink: Sink | None = None,
        memory: Memory | None = None,
        gone: threading.Event | None = None,
        tell: Callable[[int], None] = lambda _size: None,
    ) -> None:
        self._path, self._params, self._sink, self._tell = path, params, sink, tell
        self._ignore = Ignore(ignore)
        self._memory: Memory = memory or Forgetful()
        self._gone = gone or threading.Event()
        self._buffer = bytearray(_PIECE)

    def item(self) -> Item:
        """What is at the path, to be built by `core.unixfs.tree`. Building it raises DiskError and Cancelled."""
        try:
            seen = self._path.stat()
        except OSError as error:
            raise unreadable("", error) from None
        except ValueError:
            raise DiskError("no file of this system can be called so") from None
        if stat.S_ISDIR(seen.st_mode):
            return Folder(lambda: self._entries(str(self._path), ""))
        if stat.S_ISREG(seen.st_mode):
            # Of a link, what it leads to is read.
            return self._file(os.path.realpath(self._path), "")
        raise DiskError("it is neither a folder nor a file")

    # --- folders ------------------------------------------------------------------------------------------------

    def _entries(self, folder: str, below: str) -> Iterator[tuple[str, Item]]:
        try:
            before = Path(folder).stat()
            with os.scandir(folder) as scanned:
                names = sorted((e.name for e in scanned), key=os.fsencode)
        except OSError as error:
            raise unreadable(below, error) from None
        for name in names:
            self._check()
            item = self._item(f"{folder}/{name}", f"{below}/{name}" if below else name, name)
            if item is not None:
                yield name, item
        try:
            after = Path(folder).stat()
        except OSError:
            raise changed(below) from None
        if mark(before) != mark(after):
            raise changed(below)

    def _item(self, path: str, below: str, name: str) -> Item | None:
        try:
            seen = os.lstat(path)
            folder = stat.S_ISDIR(seen.st_mode)
            if self._ignore.match(below, name, folder=folder):
                return None
            if folder:
                return Folder(lambda: self._entries(path, below))
            if stat.S_ISLNK(seen.st_mode):
                return Symlink(os.readlink(path))  # noqa: PTH115  # a Path would tidy up what it says
        except OSError as error:
            raise vanished(below, error) from None
        if stat.S_ISREG(seen.st_mode):
            return self._file(path, below)
        raise DiskError(
            f"{_shown(below)} is neither a folder, a file nor a symbolic link",
            hint="leave it out with `ignore`",
        )

    # --- files --------------------------------------------------------------------------------------------------

    def _file(self, path: str, below: str) -> Made:
        at = time.time_ns()
        try:
            handle = os.open(path, FLAGS)
        except OSError as error:
            raise vanished(below, error) from None
        try:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                raise changed(below)
            if (known := self._memory.get(below, before)) is not None:
                return Made(known, before.st_size)
            builder = FileBuilder(self._params, self._sink)
            self._read(handle, builder)
            after = os.fstat(handle)
        except OSError as error:
            raise unreadable(below, error) from None
        finally:
            os.close(handle)
        if mark(before) != mark(after) or builder.size != after.st_size:
            raise changed(below)
        root = builder.finish()
        self._memory.put(below, after, root, at=at)
        return Made(root, builder.size)

    def _read(self, handle: int, builder: FileBuilder) -> None:
        buffer = self._buffer
        view = memoryview(buffer)
        while count := os.readv(handle, [buffer]):
            builder.update(view[:count])
            self._tell(count)
            self._check()

    def _check(self) -> None:
        if self._gone.is_set():
            raise Cancelled


def mark(seen: os.stat_result) -> tuple[int, ...]:
    """What changes with the content. Not the time of the last change of the inode: modes are of no concern."""
    return seen.st_size, seen.st_mtime_ns, seen.st_ino, seen.st_dev


def _shown(below: str) -> str:
    """A path as text that can be printed and encoded, whatever bytes it is made of; so long that what is said of it
    is seen, too."""
    text = below.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]}…{text[-_SHOWN:]}"


def changed(below: str) -> DiskError:
    return DiskError(f"{_shown(below) or 'it'} {CHANGED}", hint="is a build still writing into it?")


def unreadable(below: str, error: OSError) -> DiskError:
    why = (error.strerror or type(error).__name__).lower()
    if not below and error.errno == errno.ENOENT:
        return DiskError("there is no such folder or file", hint="has the build run?")
    return DiskError(f"{_shown(below) or 'it'} cannot be read: {why}")


def vanished(below: str, error: OSError) -> DiskError:
    """It was listed a moment ago: if it is not there now, or is a link, it has changed."""
    if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
        return changed(below)
    return unreadable(below, error)
