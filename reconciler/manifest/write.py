"""A file replaced as a whole: held against other writers of ours, and refused if somebody else has changed it."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator

from reconciler.core.errors import PinrecError, UsageError


class Held:
    """A file while it is being edited. `path` is where a symbolic link leads."""

    def __init__(self, path: str, shown: str) -> None:
        self.path = path
        self.shown = shown
        self.data = _bytes(path, shown)

    def replace(self, data: bytes) -> None:
        """Make the file hold `data`, whole or not at all, with the mode and the owner it has.

        Raises PinrecError if it no longer holds what was read, OSError if it cannot be written.
        """
        folder, name = os.path.split(self.path)
        try:
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.", suffix=".tmp")
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.shown) from error
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                is_now = os.stat(self.path)
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), is_now.st_uid, is_now.st_gid)
                os.fchmod(file.fileno(), is_now.st_mode & 0o7777)
                os.fsync(file.fileno())
            self._check()
            os.replace(temporary, self.path)
        except BaseException as error:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            if isinstance(error, OSError):
                raise OSError(error.errno, error.strerror, self.shown) from error
            raise
        _sync(folder)
        self.data = data

    def _check(self) -> None:
        if _bytes(self.path, self.shown) != self.data:
            raise PinrecError(
                f"{self.shown} was changed by somebody else meanwhile; it was left as it is",
                hint="run it again",
            )


@contextlib.contextmanager
def held(path: str) -> Iterator[Held]:
    """Read a file in order to replace it. Other editing commands of ours wait until this one is done.

    Raises UsageError if it is not there or cannot be read, OSError if it cannot be written.
    """
    real = os.path.realpath(path)
    while True:
        try:
            handle = os.open(real, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
        try:
            # Some network file systems know no locks; the comparison before the replacement still holds there.
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            if not _same(handle, real):
                continue
            yield Held(real, path)
            return
        finally:
            os.close(handle)


def _same(handle: int, path: str) -> bool:
    """Whether the file behind `handle` is still the one at `path`: who held it before has replaced it."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _bytes(path: str, shown: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"{shown}: {(error.strerror or 'cannot be read').lower()}") from None


def _sync(folder: str) -> None:
    """So that the new name outlives a power cut. Not every file system lets a folder be synced."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
