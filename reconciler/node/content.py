"""Content by its CID: whether it is here, what a directory holds, bytes."""

import hashlib
from collections.abc import AsyncGenerator
from typing import Final

from msgspec import Struct

from reconciler.core.cid import SHA2_256, CidError
from reconciler.core.cid import parse as parse_cid
from reconciler.core.errors import NodeError
from reconciler.node.kubo import Kubo, args, not_here, path_of
from reconciler.node.protocol import Entry

#: No block that bitswap moves is longer than 2 MiB.
MAX_BLOCK: Final = 4 * 1024 * 1024
#: `Type` of a link; the rest are files. 0 is what an unasked type is, and a raw block.
_KINDS: Final = {0: "raw", 1: "directory", 2: "file", 4: "symlink", 5: "directory"}


class _Block(Struct, rename="pascal"):
    key: str = ""
    size: int = 0


class _Local(Struct, rename="pascal"):
    local: bool = False


class _Link(Struct, rename="pascal"):
    name: str = ""
    hash: str = ""
    size: int = 0
    type: int = 0


class _Object(Struct, rename="pascal"):
    links: list[_Link] | None = None


class _Objects(Struct, rename="pascal"):
    objects: list[_Object] | None = None


async def has(kubo: Kubo, cid: str, *, deadline: float | None = None) -> bool:
    """Whether the block is in the local store. Never asks the network."""
    try:
        await kubo.json("block/stat", args(cid, offline=True), _Block, deadline=deadline)
    except NodeError as error:
        if not_here(error):
            return False
        raise
    return True


async def is_whole(kubo: Kubo, cid: str, *, deadline: float | None = None) -> bool:
    """Whether all of a DAG is in the local store. The node reads every block of it: only for small ones."""
    try:
        query = args(path_of(cid), with_local=True, offline=True)
        return (await kubo.json("files/stat", query, _Local, deadline=deadline)).local
    except NodeError as error:
        if not_here(error):
            return False
        raise


async def entries(
    kubo: Kubo, cid: str, *, offline: bool = False, kinds: bool = True, deadline: float | None = None
) -> AsyncGenerator[Entry, None]:
    """What a directory holds, one after the other. A file has no entries.

    `offline` asks nobody; what is not here is an error then. Without `kinds` only the directory itself is
    read: every kind is "" and every size 0, and children may be anywhere.
    """
    query = args(path_of(cid), stream=True, size=kinds, resolve_type=kinds, offline=offline)
    async for said in kubo.records("ls", query, _Objects, deadline=deadline):
        for thing in said.objects or ():
            for link in thing.links or ():
                kind = _KINDS.get(link.type, "file") if kinds else ""
                yield Entry(name=link.name, cid=link.hash, size=link.size, kind=kind)


async def block_get(kubo: Kubo, cid: str, *, offline: bool = False, deadline: float | None = None) -> bytes:
    """The bytes of a block, checked against its CID where that is a sha2-256 one."""
    query = args(cid, offline=offline)
    data = await kubo.ask("block/get", query, deadline=deadline, max_body=MAX_BLOCK)
    if not _matches(cid, data):
        raise kubo.error("block/get", f"the bytes are not those of {cid}")
    return data


async def cat(
    kubo: Kubo,
    cid: str,
    *,
    offset: int = 0,
    length: int | None = None,
    offline: bool = False,
    stall: float | None = None,
) -> AsyncGenerator[bytes, None]:
    """The bytes of a file by its CID, or by a path into one. It ends well or with NodeError."""
    query = [*args(path_of(cid), offset=offset, offline=offline)]
    if length is not None:
        query.append(("length", str(length)))
    async with kubo.bytes_of("cat", query, stall=stall) as content:
        async for chunk in content:
            yield chunk


def _matches(cid: str, data: bytes) -> bool:
    try:
        multihash = parse_cid(cid).multihash
    except CidError:
        return True
    return multihash[0] != SHA2_256 or multihash[2:] == hashlib.sha256(data).digest()
