"""What a root is: kind, sizes, links, as `files/stat` tells them."""

from typing import Literal

from msgspec import Struct

from reconciler.core.unixfs import address, dagpb, message
from reconciler.core.unixfs.blocks import Get, load
from reconciler.core.unixfs.failure import UnixfsError

Kind = Literal["file", "directory", "symlink"]


class Stat(Struct, frozen=True, kw_only=True):
    """`size`: bytes of a file or of a symlink's target, 0 for a directory. `cumulative_size`: of all its blocks.

    `links`: of the root's block alone (`Blocks` in Kubo's answer), so at most the fanout where `sharded`.
    `target`: of a symlink.
    """

    kind: Kind
    size: int
    cumulative_size: int
    links: int
    raw: bool = False
    sharded: bool = False
    target: str = ""
    mode: int | None = None
    mtime: tuple[int, int | None] | None = None


def stat(root: bytes, get: Get) -> Stat:
    """Reads one block. Raises UnixfsError for what is neither raw nor UnixFS, and what `get` raises."""
    block = load(root, get)
    codec = address.codec(root)
    if codec == address.RAW:
        return Stat(kind="file", size=len(block), cumulative_size=len(block), links=0, raw=True)
    if codec != address.DAG_PB:
        raise UnixfsError(f"the codec 0x{codec:x} is not UnixFS, which is raw or dag-pb")
    node = dagpb.decode(block)
    told = message.decode(node.data)
    kind: Kind = "file"
    if told.kind in (message.DIRECTORY, message.SHARD):
        kind = "directory"
    elif told.kind == message.SYMLINK:
        kind = "symlink"
    target = (told.data or b"").decode("utf-8", "surrogateescape") if kind == "symlink" else ""
    return Stat(
        kind=kind,
        size=0 if kind == "directory" else told.size,
        cumulative_size=len(block) + sum(link.tsize for link in node.links),
        links=len(node.links),
        sharded=told.kind == message.SHARD,
        target=target,
        mode=told.mode,
        mtime=told.mtime,
    )
