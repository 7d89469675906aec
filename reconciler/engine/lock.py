"""One apply per owner and machine at a time: a courtesy between people, not what safety rests on.

The lock is a file in the state directory whose holder keeps the kernel's lock on it (`flock`), so a process
that dies in any way has released it. The file says who holds it; its modification time is the heartbeat.

| Kernel's lock | Heartbeat | The lock is |
|---|---|---|
| taken | fresh | held |
| taken | older than `EXPIRES` | expired: its process is stopped or hung, and whoever comes takes over |
| free | fresh, from another host | held: the directory is shared by a file system that carries no locks |
| free | anything else | free: its process is dead, or has released it |

Looking at the file and changing it happen under a second kernel lock that is held for microseconds, so two
processes cannot both find it free. A holder whose lock expired or was removed (`pinrec unlock`) is not
stopped: two applies at once are slower and do no harm, see "second writer" in the report.
"""

import fcntl
import getpass
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from reconciler import __version__
from reconciler.core.errors import LockedError, PinrecError

#: Seconds between two signs of life, and without one until the lock expires.
HEARTBEAT, EXPIRES = 10.0, 120.0
#: Seconds between two looks while waiting for a lock.
POLL = 0.25


class _Info(Struct, frozen=True, kw_only=True):
    """The content of the file."""

    what: str
    user: str
    host: str
    pid: int
    since: datetime
    pinrec: str


class Holder(Struct, frozen=True, kw_only=True):
    """Who holds a lock, for what command, since when, and the last sign of life."""

    what: str
    user: str
    host: str
    pid: int
    since: datetime
    heartbeat: datetime
    pinrec: str = ""

    def __str__(self) -> str:
        """`pid 123 of ann on build-7, pinrec apply since 2027-06-30 12:00:00Z, last sign of life 3 s ago`."""
        who = f"pid {self.pid}" + (f" of {self.user}" if self.user else "") + f" on {self.host}"
        silent = max(0, round((datetime.now(UTC) - self.heartbeat).total_seconds()))
        since = self.since.astimezone(UTC)
        return f"{who}, pinrec {self.what} since {since:%Y-%m-%d %H:%M:%SZ}, last sign of life {silent} s ago"

    @property
    def expired(self) -> bool:
        # Both ways: a clock set back must not keep a lock for years.
        return abs((datetime.now(UTC) - self.heartbeat).total_seconds()) > EXPIRES


class Lock:
    """The lock of one owner. Making one touches nothing."""

    def __init__(self, state_dir: Path, owner: str) -> None:
        self.owner = owner
        self.path = state_dir / f"{owner}.lock"
        self._guard = state_dir / "locks.guard"

    @contextmanager
    def hold(
        self, *, what: str, timeout: float = 0.0, on_wait: Callable[[Holder], None] | None = None
    ) -> Iterator[None]:
        """Hold the lock for the command `what`.

        Waits up to `timeout` seconds for another holder; `on_wait` is told of each one it waits for. Raises
        LockedError if it is still held then, PinrecError if the state directory cannot be written.
        """
        handle = self._acquire(what, timeout, on_wait)
        stop = threading.Event()
        beat = threading.Thread(target=_beat, args=(handle, stop), name="lock heartbeat", daemon=True)
        beat.start()
        try:
            yield
        finally:
            stop.set()
            beat.join()
            # Emptied, not unlinked: the path may have become somebody else's. Closing releases the lock.
            with suppress(OSError):
                os.ftruncate(handle, 0)
            os.close(handle)

    def holder(self) -> Holder | None:
        """Who holds the lock now, or None; also one whose lock has expired, until another takes it."""
        with suppress(FileNotFoundError), self._guarded():
            handle = os.open(self.path, os.O_RDWR)
            try:
                return self._held_by(handle)
            finally:
                os.close(handle)
        return None

    def remove(self) -> Holder | None:
        """Take the lock away from whoever holds it, and say who that was."""
        with suppress(FileNotFoundError), self._guarded():
            handle = os.open(self.path, os.O_RDWR)
            try:
                holder = self._held_by(handle)
                self.path.unlink()
                return holder
            finally:
                os.close(handle)
        return None

    def _acquire(self, what: str, timeout: float, on_wait: Callable[[Holder], None] | None) -> int:
        deadline = time.monotonic() + timeout
        told: tuple[str, int] | None = None
        while True:
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                taken = self._take(what)
            except OSError as error:
                raise PinrecError(
                    f"lock {self.path} cannot be made: {error.strerror}", hint="choose another --state-dir"
                ) from error
            if isinstance(taken, int):
                return taken
            left = deadline - time.monotonic()
            if left <= 0:
                raise LockedError(
                    f"{self.owner} is locked by {taken}",
                    hint="wait with --lock-timeout, or `pinrec unlock` if that process is gone",
                )
            if on_wait is not None and told != (taken.host, taken.pid):
                told = taken.host, taken.pid
                on_wait(taken)
            time.sleep(min(POLL, left))

    def _take(self, what: str) -> int | Holder:
        """One attempt: an open file whose lock we have, or who has it."""
        with self._guarded():
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                holder = self._held_by(handle)
                if holder is not None and not holder.expired:
                    os.close(handle)
                    return holder
                if holder is not None:
                    # The kernel's lock stays with the file of the one that is hung; we make another.
                    self.path.unlink()
                    os.close(handle)
                    handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(handle, 0)
                os.pwrite(handle, msgspec.json.encode(_ourselves(what)) + b"\n", 0)
            except BaseException:
                os.close(handle)
                raise
            return handle

    def _held_by(self, handle: int) -> Holder | None:
        """Who holds the lock of an open file, by the table in the module's docstring. Under the guard."""
        status = os.fstat(handle)
        heartbeat = datetime.fromtimestamp(status.st_mtime, UTC)
        try:
            info = msgspec.json.decode(os.pread(handle, 65536, 0), type=_Info)
        except msgspec.DecodeError:  # empty, or a holder that could not write: the kernel decides
            info = _Info(what="?", user="", host="?", pid=0, since=heartbeat, pinrec="")
        holder = Holder(**msgspec.structs.asdict(info), heartbeat=heartbeat)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return holder
        fcntl.flock(handle, fcntl.LOCK_UN)
        elsewhere = info.pid != 0 and info.host != socket.gethostname()
        return holder if elsewhere and not holder.expired else None

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        # FileNotFoundError where there is no state directory: then there is no lock either.
        handle = os.open(self._guard, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _ourselves(what: str) -> _Info:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = ""
    now = datetime.now(UTC)
    return _Info(
        what=what, user=user, host=socket.gethostname(), pid=os.getpid(), since=now, pinrec=__version__
    )


def _beat(handle: int, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        with suppress(OSError):
            os.utime(handle)
