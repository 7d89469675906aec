"""One loop per owner and machine: the lease, and the courtesy that a loop shows to a person's apply.

The lease is a lock of its own (`<owner>.loop.lock`), so a person can always apply while a loop runs; what keeps the
two from harm is what keeps any two runs from it. It is only polite of the loop to wait while a person is at work, and
to stop at the next request when one begins.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from reconciler.core.errors import LockedError
from reconciler.engine.lock import Holder, Lock


class Lease:
    """The lease of the loop of one owner, and a view of the lock that an apply of that owner holds."""

    def __init__(self, state_dir: Path, owner: str) -> None:
        self._owner = owner
        self._lock = Lock(state_dir, f"{owner}.loop")
        self._apply = Lock(state_dir, owner)
        self._host = ""
        self._holding: AbstractContextManager[None] | None = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Raises LockedError, which says who runs a loop already."""
        try:
            self._take()
        except LockedError:
            raise LockedError(
                f"a loop of {self._owner} runs already: {self._lock.holder()}",
                hint="stop that one first; `pinrec apply` works beside it",
            ) from None
        try:
            yield
        finally:
            self._release()

    def holder(self) -> Holder | None:
        """Who runs the loop now, or None."""
        return self._lock.holder()

    def is_ours(self) -> bool:
        """Whether this process still holds it: one that was stopped for minutes may have lost it to another."""
        holder = self._lock.holder()
        return holder is not None and holder.pid == os.getpid() and holder.host == self._host

    def again(self) -> bool:
        """Take it anew if nobody has it, since its file or all of the state directory was removed; whether we have it.

        Raises PinrecError if the directory cannot be written.
        """
        old = self._holding
        try:
            self._take()
        except LockedError:
            return False
        if old is not None:
            old.__exit__(None, None, None)
        return True

    def _take(self) -> None:
        holding = self._lock.hold(what="run")
        self._host = socket.gethostname()
        holding.__enter__()
        self._holding = holding

    def _release(self) -> None:
        if self._holding is not None:
            self._holding.__exit__(None, None, None)
            self._holding = None

    def person(self) -> Holder | None:
        """Whose apply or destroy is at work, or None."""
        holder = self._apply.holder()
        return None if holder is None or holder.expired else holder
