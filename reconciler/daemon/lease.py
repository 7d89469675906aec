"""One loop per owner and machine: the lease, and the courtesy that a loop shows to a person's apply.

The lease is a lock of its own (`<owner>.loop.lock`), so a person can always apply while a loop runs; what keeps the
two from harm is what keeps any two runs from it. It is only polite of the loop to wait while a person is at work, and
to stop at the next request when one begins.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.core.errors import LockedError
from reconciler.engine.lock import Holder, Lock


class Lease:
    """The lease of the loop of one owner, and a view of the lock that an apply of that owner holds."""

    def __init__(self, state_dir: Path, owner: str) -> None:
        self._owner = owner
        self._lock = Lock(state_dir, f"{owner}.loop")
        self._apply = Lock(state_dir, owner)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Raises LockedError, which says who runs a loop already."""
        try:
            holding = self._lock.hold(what="run")
            holding.__enter__()
        except LockedError:
            raise LockedError(
                f"a loop of {self._owner} runs already: {self._lock.holder()}",
                hint="stop that one first; `pinrec apply` works beside it",
            ) from None
        try:
            yield
        finally:
            holding.__exit__(None, None, None)

    def holder(self) -> Holder | None:
        """Who runs the loop now, or None."""
        return self._lock.holder()

    def is_ours(self) -> bool:
        """Whether this process still holds it: one that was stopped for minutes may have lost it to another."""
        holder = self._lock.holder()
        return holder is not None and holder.pid == os.getpid() and holder.host == socket.gethostname()

    def person(self) -> Holder | None:
        """Whose apply or destroy is at work, or None."""
        holder = self._apply.holder()
        return None if holder is None or holder.expired else holder
