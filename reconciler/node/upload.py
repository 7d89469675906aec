"""Content into the node: files and directories (`add`), and CAR files (`dag/import`)."""

from collections.abc import AsyncIterable, Iterable
from typing import Final

from msgspec import Struct, field

from reconciler.core.cid import CidError
from reconciler.core.cid import parse as parse_cid
from reconciler.node import files
from reconciler.node.kubo import LONGEST, Kubo, args, patience
from reconciler.node.multipart import Multipart, Part

#: Longest wait for the node to take the next piece or, when it has all, to say what became of it.
STALL: Final = 120.0
#: The version from which on `max_links` can be said.
MAX_LINKS: Final = (0, 34)


class Layout(Struct, frozen=True, kw_only=True):
    """How bytes become a DAG. Everything that a node's `Import.*` settings would decide is said here, so that
    one content has one CID on every node. `max_links` 0 leaves it to the node, as do versions before `MAX_LINKS`."""

    cid_version: int = 1
    raw_leaves: bool = True
    chunker: str = "size-262144"
    hash: str = "sha2-256"
    trickle: bool = False
    max_links: int = 0


class Added(Struct, frozen=True, kw_only=True):
    """One file or directory that was added. `size` is that of its DAG."""

    name: str
    cid: str
    size: int


class Imported(Struct, frozen=True, kw_only=True):
    """`roots` are those that were pinned."""

    blocks: int
    bytes: int
    roots: tuple[str, ...] = ()


class _Added(Struct, rename="pascal"):
    name: str = ""
    hash: str = ""
    size: str = "0"


class _Slash(Struct):
    cid: str = field(name="/", default="")


class _Root(Struct, rename="pascal"):
    cid: _Slash = field(default_factory=_Slash)
    pin_error_msg: str = ""


class _Stats(Struct, rename="pascal"):
    block_count: int = -1
    block_bytes_count: int = 0


class _Import(Struct, rename="pascal"):
    root: _Root | None = None
    stats: _Stats | None = None


async def add(
    kubo: Kubo,
    parts: Iterable[Part],
    *,
    layout: Layout,
    pin: bool = False,
    only_hash: bool = False,
    to_files: str = "",
    expected: str = "",
    stall: float = STALL,
) -> tuple[Added, ...]:
    """`add` of `parts`, one answer for each file and directory, the root of all last.

    `to_files` links the root there, whose parent must exist; an error of that comes after the answers, so it is
    looked at. `expected` is the CID that must come out. What reading the parts raises is raised as it is.
    """
    options = args(
        pin=pin,
        only_hash=only_hash,
        cid_version=layout.cid_version,
        raw_leaves=layout.raw_leaves,
        chunker=layout.chunker,
        hash=layout.hash,
        trickle=layout.trickle,
        progress=False,
    )
    query = [*options, patience(LONGEST)]
    if layout.max_links:
        query.append(("max-file-links", str(layout.max_links)))
    if to_files:
        query.append(("to-files", to_files))
    body = Multipart(parts)
    added: list[Added] = []
    async with kubo.rpc.stream(
        "add", query, stall=stall, upload=body, content_type=body.content_type
    ) as stream:
        async for line in kubo.lines("add", stream):
            said = kubo.decoded("add", line, _Added)
            if said.hash:
                size = int(said.size) if said.size.isdecimal() else 0
                added.append(Added(name=said.name, cid=said.hash, size=size))
    if len(added) < body.sent or not added:
        raise kubo.error("add", f"the node tells of {len(added)} of {body.sent} files and directories")
    if expected and not _equal(added[-1].cid, expected):
        raise kubo.error("add", f"the content has the CID {added[-1].cid}, and {expected} was expected")
    if to_files:
        await _check_linked(kubo, to_files, added[-1])
    return tuple(added)


async def _check_linked(kubo: Kubo, path: str, root: Added) -> None:
    # `add` leaves the link unflushed.
    path = path + root.name if path.endswith("/") else path
    await files.flush(kubo, path)
    there = await files.stat(kubo, path)
    if there is None or not _equal(there.cid.text, root.cid):
        raise kubo.error("add", f"it was added as {root.cid}, but {path} does not lead to it")


async def import_car(
    kubo: Kubo, data: AsyncIterable[bytes], *, pin_roots: bool = False, stall: float = STALL
) -> Imported:
    """`dag/import` of one CAR file. Every block is checked by the node."""
    body = Multipart([Part("import.car", data)])
    query = [*args(pin_roots=pin_roots, stats=True, silent=False), patience(LONGEST)]
    stats: _Stats | None = None
    roots: list[str] = []
    async with kubo.rpc.stream(
        "dag/import", query, stall=stall, upload=body, content_type=body.content_type
    ) as stream:
        async for line in kubo.lines("dag/import", stream):
            said = kubo.decoded("dag/import", line, _Import)
            if said.root is not None:
                if said.root.pin_error_msg:
                    raise kubo.error(
                        "dag/import", f"{said.root.cid.cid} is not pinned: {said.root.pin_error_msg}"
                    )
                roots.append(said.root.cid.cid)
            stats = said.stats or stats
    if stats is None or stats.block_count < 0:
        raise kubo.error("dag/import", "the node stopped without saying how much it imported", lost=True)
    return Imported(blocks=stats.block_count, bytes=stats.block_bytes_count, roots=tuple(roots))


def _equal(one: str, other: str) -> bool:
    try:
        return parse_cid(one) == parse_cid(other)
    except CidError:
        return False
