"""What a path below a CID leads to, one directory after the other, block by block."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from reconciler.core.cid import Cid
from reconciler.core.unixfs import address, directory
from reconciler.core.unixfs.failure import UnixfsError

#: A sharded directory takes a block for each eight bits of the hash of a name, at a fanout of 256, and 64 are all.
MAX_BLOCKS: Final = 32

#: The block of a CID, checked.
Load = Callable[[bytes], Awaitable[bytes]]


class NoSuchPathError(Exception):
    """The path ends before its end: all blocks are known, and they have no such entry. The text says where."""


class _NeededError(Exception):
    """The search cannot go on without a block."""

    def __init__(self, cid: bytes) -> None:
        self.cid = cid


async def below(root: Cid, rest: Sequence[str], load: Load) -> Cid:
    """The CID at `rest` below `root`. Raises NoSuchPathError, and what `load` raises."""
    cid, at = address.from_cid(root), f"/ipfs/{root}"
    for name in rest:
        try:
            found = await _entry(cid, name, load)
        except UnixfsError as error:
            raise NoSuchPathError(f"{at} cannot be entered: {error}") from None
        if found is None:
            raise NoSuchPathError(f"there is no {name!r} in {at}")
        cid, at = found, f"{at}/{name}"
    return address.to_cid(cid) if rest else root


async def _entry(root: bytes, name: str, load: Load) -> bytes | None:
    """The pure search is run again with each block that it turns out to need: there are few."""
    blocks: dict[bytes, bytes] = {}

    def get(cid: bytes) -> bytes:
        if cid not in blocks:
            raise _NeededError(cid)
        return blocks[cid]

    while True:
        try:
            entry = directory.find(root, name, get)
        except _NeededError as needed:
            if len(blocks) >= MAX_BLOCKS:
                raise UnixfsError("the directory is too deep") from None
            blocks[needed.cid] = await load(needed.cid)
        else:
            return None if entry is None else entry.cid
