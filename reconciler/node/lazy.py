"""Directories in MFS that are only linked: what freezes MFS, found without touching it.

`ipfs files cp /ipfs/<cid> …` fetches the root block and nothing else. If that is a directory and a child of it
is nowhere, a look-up of the child holds the lock of the directory for a minute, and whoever asks for the hash of
an ancestor meanwhile (`files/stat /`) waits holding all locks above: MFS stands still (measured on 0.44; before
0.43 for ever, kubo#10842). So the tree is walked by CID, with `offline=true`, and never through MFS.
"""

import asyncio
from collections import deque
from typing import Final

from msgspec import Struct

from reconciler.core.cid import RAW, CidError, parse
from reconciler.core.errors import NodeError
from reconciler.node.client import KuboNode
from reconciler.node.kubo import not_here
from reconciler.node.protocol import Entry

#: Bounds of one walk.
MAX_DIRECTORIES: Final = 500
MAX_ENTRIES: Final = 200_000
MAX_LOOKS: Final = 2_000
SECONDS: Final = 20.0


class Walk(Struct, frozen=True, kw_only=True):
    """`lazy` are paths of directories that lack children here. `unfinished`: why not all was looked at, or ""."""

    lazy: tuple[str, ...] = ()
    directories: int = 0
    unfinished: str = ""


class _BoundError(Exception):
    """The walk ends early, and says why."""


class Walker:
    """One walk. `seconds` bounds all of it."""

    def __init__(self, node: KuboNode, *, seconds: float = SECONDS) -> None:
        self._node = node
        self._seconds = seconds
        self._entries = 0
        self._looks = 0

    async def walk(self, root: str) -> Walk:
        """Raises NodeError for anything but a block that is not here."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        waiting: deque[tuple[str, str]] = deque([("/", root)])
        seen = {root}
        lazy: list[str] = []
        done, why = 0, ""
        try:
            async with asyncio.timeout_at(end):
                while waiting and done < MAX_DIRECTORIES:
                    path, cid = waiting.popleft()
                    whole, below = await self._look(cid)
                    done += 1
                    if not whole:
                        lazy.append(path)
                    for entry in below:
                        if entry.cid not in seen:
                            seen.add(entry.cid)
                            waiting.append((path.rstrip("/") + "/" + entry.name, entry.cid))
            why = f"only {done} directories were looked at" if waiting else ""
        except TimeoutError:
            why = f"only {done} directories could be looked at in {self._seconds:g} s"
        except _BoundError as bound:
            why = str(bound)
        return Walk(lazy=tuple(lazy), directories=done, unfinished=why)

    async def _look(self, cid: str) -> tuple[bool, list[Entry]]:
        """Whether all children of a directory are here, and those to look into."""
        try:
            children = await self._list(cid, kinds=True)
        except NodeError as error:
            if not not_here(error):
                raise
        else:
            # Blocks of a raw file are named by their parent, so that nobody had to look for them so far.
            whole = all([await self._is_here(c) for c in children if _is_raw(c.cid)])
            return whole, [c for c in children if c.kind == "directory"]
        try:
            children = await self._list(cid, kinds=False)
        except NodeError as error:
            if not not_here(error):
                raise
            return False, []  # a part of the directory itself is not here
        # What they are is in blocks that may be here: a file shows no entries.
        return False, [c for c in children if not _is_raw(c.cid) and await self._is_here(c)]

    async def _list(self, cid: str, *, kinds: bool) -> list[Entry]:
        found: list[Entry] = []
        async for entry in self._node.entries(cid, offline=True, kinds=kinds):
            found.append(entry)
            self._entries += 1
            if self._entries > MAX_ENTRIES:
                raise _BoundError(f"only {MAX_ENTRIES} entries were looked at")
        return found

    async def _is_here(self, entry: Entry) -> bool:
        self._looks += 1
        if self._looks > MAX_LOOKS:
            raise _BoundError(f"only {MAX_LOOKS} blocks were looked for")
        return await self._node.has(entry.cid)


def _is_raw(cid: str) -> bool:
    try:
        return parse(cid).codec == RAW
    except CidError:
        return False
