"""The mutable file system: one root, and every change gives it another.

Directories are values in the block store; what is kept in memory of one is only its size. Lookups go from the root
down, and hold each directory while they look for a child in it, as boxo does; what that brings is in `locks`.
"""

import asyncio
import hashlib
from typing import TypeAlias

from msgspec.structs import replace

from reconciler.core.unixfs import address, directory, stat
from reconciler.core.unixfs.blocks import Entry, Get
from reconciler.core.unixfs.directory import Directory
from reconciler.core.unixfs.params import Params
from reconciler.core.unixfs.stat import Stat
from reconciler.sandbox.network import MissingError
from reconciler.sandbox.node.blocks import Blocks, Patience
from reconciler.sandbox.node.faults import NodeFaults
from reconciler.sandbox.node.locks import Locks
from reconciler.sandbox.node.reply import NotFoundError, RpcError

Parts: TypeAlias = tuple[str, ...]
EXISTS = "directory already has entry by that name"
_RACE = "expected *mfs.Directory, didn't get it. This is likely a race condition"
#: blake2b-256 as a multihash: the one other hash function that directories are made with here.
_BLAKE2B = b"\xa0\xe4\x02\x20"
_REMEMBERED = 4096


class ExistsError(RpcError):
    """There is an entry of that name."""

    def __init__(self) -> None:
        super().__init__(EXISTS)


class Mfs:
    def __init__(self, blocks: Blocks, faults: NodeFaults, params: Params) -> None:
        self._blocks = blocks
        self._faults = faults
        self._locks = Locks()
        self._params = params
        self._known: dict[bytes, Directory] = {}
        self._stats: dict[bytes, Stat] = {}
        self._lookups: set[asyncio.Task[Entry]] = set()
        self.root = self.empty(params.cid_version)

    def empty(self, version: int, hash_name: str = "") -> Entry:
        """A directory of nothing. Raises RpcError for a hash function that is not kept here."""
        params = _with_version(self._params, version)
        entry = self._remember(directory.build({}, params, self._blocks.put)).entry
        if hash_name in ("", "sha2-256"):
            return entry
        if hash_name != "blake2b-256":
            raise RpcError(f'unrecognized hash function: "{hash_name}"')
        return self._blake2b(entry)

    def busy(self) -> list[Parts]:
        """Directories below the root that a lookup holds."""
        return self._locks.busy_below(())

    # --- looking ----------------------------------------------------------------------------------------------

    async def lookup(self, parts: Parts) -> Entry:
        """What is at a path. Raises NotFoundError, and RpcError where the way leads through a file or a lookup of
        what nobody has ends."""
        entry = self.root
        for i, name in enumerate(parts):
            if not self.is_directory(entry):
                raise RpcError(f"cannot access {'/'.join(parts[: i + 1])}: Not a directory")
            entry = await self._step(parts[:i], entry, name)
        return entry

    async def node(self, parts: Parts) -> Entry:
        """What is at a path, with its hash known: a directory waits for every lookup that goes on below it, and
        all that needs the directory waits for this."""
        entry = await self.lookup(parts)
        if not self.is_directory(entry):
            return entry
        async with self._locks.held(parts):
            for busy in self._locks.busy_below(parts):
                async with self._locks.held(busy):
                    pass
        # What happened meanwhile counts. Not under the lock: nobody takes one above with one below in hand.
        return await self.lookup(parts)

    def stat(self, cid: bytes) -> Stat:
        """Of a block that is here."""
        found = self._stats.get(cid)
        if found is None:
            found = stat.stat(cid, self._blocks.get)
            if len(self._stats) >= _REMEMBERED:
                self._stats.clear()
            self._stats[cid] = found
        return found

    def is_directory(self, entry: Entry) -> bool:
        return self.stat(entry.cid).kind == "directory"

    async def names(self, entry: Entry) -> list[tuple[str, bytes]]:
        """(name, CID) of what a directory holds, sorted as it is stored."""
        links = await self._blocks.settle(lambda get: list(directory.links(entry.cid, get)), self._patience())
        return [(link.name, link.cid) for link in links]

    # --- changing ---------------------------------------------------------------------------------------------

    async def put(self, parts: Parts, entry: Entry, *, through_file: str = "") -> None:
        """Links what is not there yet. Raises ExistsError, and NotFoundError without the parent; `through_file` says
        what is wrong with a parent that is a file."""
        await self._parent(parts, through_file)
        async with self._locks.held(parts[:-1]):
            if await self._find(parts) is not None:
                raise ExistsError
            await self._change(parts, entry)

    async def replace(self, parts: Parts, entry: Entry) -> None:
        """Links it whatever was there."""
        if not parts:
            self.root = entry
            return
        await self._parent(parts)
        async with self._locks.held(parts[:-1]):
            await self._change(parts, entry)

    async def unlink(self, parts: Parts) -> None:
        """Raises NotFoundError."""
        await self._parent(parts, _RACE)
        async with self._locks.held(parts[:-1]):
            if await self._find(parts) is None:
                raise NotFoundError
            await self._change(parts, None)
        self._locks.forget(parts)

    async def mkdir(self, parts: Parts, fresh: Entry, *, parents: bool) -> None:
        """`fresh` is the empty directory to make, with all that is missing above it if `parents`."""
        if not parts:
            if parents:
                return
            raise RpcError("cannot create directory '/': Already exists")
        for i in range(1, len(parts)):
            try:
                above = await self.lookup(parts[:i])
            except NotFoundError:
                if not parents:
                    raise
                await self.put(parts[:i], fresh)
                continue
            if not self.is_directory(above):
                raise RpcError(f"{'/'.join(parts[: i - 1])} was not a directory")
        try:
            await self.put(parts, fresh)
        except ExistsError:
            if not parents or not self.is_directory(await self.lookup(parts)):
                raise RpcError("file already exists") from None

    # ----------------------------------------------------------------------------------------------------------

    def _patience(self) -> Patience:
        """Neither `timeout=` nor `offline=` reach a lookup in MFS; it has a time of its own."""
        return Patience(asyncio.get_running_loop().time() + self._faults.lookup_seconds)

    async def _step(self, path: Parts, parent: Entry, name: str) -> Entry:
        if not self._locks.is_held(path):
            try:
                found = directory.find(parent.cid, name, self._blocks.get)
            except MissingError:
                found = None
            if found is not None and self._blocks.has(found.cid):
                return found
        # A client that leaves does not end it: the lookup goes on, and holds what it holds.
        look = asyncio.ensure_future(self._held_child(path, parent, name))
        self._lookups.add(look)
        look.add_done_callback(self._looked)
        return await asyncio.shield(look)

    def _looked(self, look: "asyncio.Task[Entry]") -> None:
        self._lookups.discard(look)
        if not look.cancelled():
            look.exception()  # somebody has looked at it, though nobody may be left to tell

    async def _held_child(self, path: Parts, parent: Entry, name: str) -> Entry:
        async with self._locks.held(path):
            return await self._child(parent if path else self.root, name)

    async def _child(self, parent: Entry, name: str) -> Entry:
        patience = self._patience()
        found = await self._blocks.settle(lambda get: directory.find(parent.cid, name, get), patience)
        if found is None:
            raise NotFoundError
        await self._blocks.fetch(found.cid, patience)
        return found

    async def _parent(self, parts: Parts, through_file: str = "") -> None:
        above = await self.lookup(parts[:-1])
        if not self.is_directory(above):
            raise RpcError(through_file or f"/{'/'.join(parts[:-1])}/ is not a directory")
        # A change goes up to the root, through every directory on the way.
        for i in range(len(parts) - 1):
            async with self._locks.held(parts[:i]):
                pass

    async def _find(self, parts: Parts) -> Entry | None:
        return await self._blocks.settle(lambda get: self._resolve(parts, get), self._patience())

    async def _change(self, parts: Parts, entry: Entry | None) -> None:
        await self._blocks.settle(lambda get: self._apply(parts, entry, get), self._patience())

    def _resolve(self, parts: Parts, get: Get) -> Entry | None:
        found: Entry | None = self.root
        for name in parts:
            if found is None:
                return None
            found = directory.find(found.cid, name, get)
        return found

    def _apply(self, parts: Parts, entry: Entry | None, get: Get) -> None:
        """In one go: nobody sees a root in which a change is half done."""
        chain = [self.root]
        for name in parts[:-1]:
            below = directory.find(chain[-1].cid, name, get)
            if below is None:
                raise NotFoundError
            chain.append(below)
        change = entry
        for above, name in zip(reversed(chain), reversed(parts), strict=True):
            change = self._updated(above, name, change, get)
        assert change is not None
        self.root = change

    def _updated(self, above: Entry, name: str, change: Entry | None, get: Get) -> Entry:
        old = self._known.get(above.cid) or directory.opened(above.cid, get)
        new = directory.update(old, {name: change}, get, self._params, self._blocks.put)
        self._remember(new)
        return self._blake2b(new.entry) if _is_blake2b(above.cid) else new.entry

    def _remember(self, made: Directory) -> Directory:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[made.entry.cid] = made
        return made

    def _blake2b(self, entry: Entry) -> Entry:
        block = self._blocks.get(entry.cid)
        cid = b"\x01\x70" + _BLAKE2B + hashlib.blake2b(block, digest_size=32).digest()
        self._blocks.put(cid, block)
        return Entry(cid, entry.tsize)


def _is_blake2b(cid: bytes) -> bool:
    return address.multihash(cid).startswith(_BLAKE2B)


def _with_version(params: Params, version: int) -> Params:
    return replace(params, cid_version=version)
