"""MFS directories that are busy, by path. boxo has a lock in each, and holds it while it asks the network for a child:
the one thing that can make all of MFS wait (kubo#10842).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class _Lock:
    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class Locks:
    """A path is a tuple of names, () the root."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, ...], _Lock] = {}

    @asynccontextmanager
    async def held(self, path: tuple[str, ...]) -> AsyncIterator[None]:
        entry = self._locks.setdefault(path, _Lock())
        entry.users += 1
        try:
            async with entry.lock:
                yield
        finally:
            entry.users -= 1
            if not entry.users and self._locks.get(path) is entry:
                del self._locks[path]

    def is_held(self, path: tuple[str, ...]) -> bool:
        entry = self._locks.get(path)
        return entry is not None and entry.lock.locked()

    def busy_below(self, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Directories below `path` that somebody holds, from the top down."""
        n = len(path)
        return sorted(p for p, e in self._locks.items() if len(p) > n and p[:n] == path and e.lock.locked())

    def forget(self, path: tuple[str, ...]) -> None:
        """What is unlinked no longer counts as part of the tree, though a lookup in it may go on."""
        n = len(path)
        for gone in [p for p in self._locks if p[:n] == path]:
            del self._locks[gone]
