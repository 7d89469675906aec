"""The root of a DAG and some blocks below it, picked by chance: walks from the root down to where a block has no links.

A walk takes one of the links that have not been followed to their end, with equal chance, and the next one begins
at the root again. So a few blocks reach leaves, which is what a service that keeps roots only does not have.
"""

import random
from collections.abc import Awaitable, Callable

from reconciler.core import blockhash
from reconciler.core.links import links
from reconciler.core.unixfs import address
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.core.verified import UnclearError

#: The block of a CID, checked against it.
Load = Callable[[bytes], Awaitable[bytes]]


def chance_of(seed: int | str) -> random.Random:
    """The same for the same seed."""
    return random.Random(seed)  # noqa: S311  it picks samples, and no secret hangs on it


async def take_sample(
    root: bytes, *, below: int, chance: random.Random, load: Load, first: bytes | None = None
) -> str:
    """Loads the root and up to `below` blocks below it, each once; what is inside a CID is no block.

    `first` is a block somewhere below the root that is loaded right after it, beside those that chance picks.

    Returns what of the DAG could not be gone into, "" if all could. Raises UnclearError if the hash of the root
    cannot be checked, UnixfsError if it is no CID, and what `load` raises.
    """
    if not blockhash.can_check(root):
        raise UnclearError(f"its hash (multicodec 0x{blockhash.hash_code(root):x}) cannot be checked here")
    walk = _Walk(load)
    await walk.enter(root)
    top = address.multihash(root)
    if first is not None and address.multihash(first) != top:
        await walk.enter(first)
        below += 1
    while walk.loaded - 1 < below and top not in walk.spent:
        at = top
        while walk.loaded - 1 < below:
            open_links = [cid for cid in walk.tree[at] if address.multihash(cid) not in walk.spent]
            if not open_links:
                walk.spent.add(at)
                break
            cid = chance.choice(open_links)
            at = address.multihash(cid)
            if at not in walk.tree:
                await walk.enter(cid)
    return walk.note


class _Walk:
    def __init__(self, load: Load) -> None:
        self._load = load
        #: By multihash: what a block links, and whether all below it has been seen.
        self.tree: dict[bytes, tuple[bytes, ...]] = {}
        self.spent: set[bytes] = set()
        self.loaded = 0
        self.note = ""

    async def enter(self, cid: bytes) -> None:
        key = address.multihash(cid)
        block = address.identity(cid)
        if block is None:
            block = await self._load(cid)
            self.loaded += 1
        elif not self.loaded:
            # A root that is its own content: what is below it is counted like what is below any other.
            self.loaded = 1
        try:
            found = links(cid, block)
            if found is None:
                self.note = f"blocks of codec 0x{address.codec(cid):x} are not gone into"
            checkable = tuple(c for c in found or () if blockhash.can_check(c))
            if len(checkable) < len(found or ()):
                self.note = "there are links whose hash cannot be checked here"
        except UnixfsError as error:
            # The bytes are those of the CID: it is the content that is odd, and the service keeps it well.
            self.note, checkable = str(error), ()
        self.tree[key] = checkable
