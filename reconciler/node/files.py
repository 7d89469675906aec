"""MFS, the part of a node that has paths of its own.

Kubo's MFS calls ignore `timeout=` (measured on 0.44: `timeout=1ns` answers normally), and the look-up of a
child that is nowhere holds the directory's lock for a minute whoever asked has left. So nothing here walks a
directory: `files/stat` of a path that is known to be there, and listings by CID (`content.entries`).
"""

from typing import Final

from msgspec import Struct

from reconciler.core.cid import Cid, CidError
from reconciler.core.cid import parse as parse_cid
from reconciler.core.errors import NodeError
from reconciler.core.question import Stat
from reconciler.node.kubo import Kubo, args, not_here, path_of

#: Nothing under this path: there is no such name, or it leads through a file.
_MISSING: Final = ("file does not exist", "Not a directory")
#: dag-pb with the two bytes of UnixFS that say "directory", as CIDv1.
_EMPTY_DIRECTORY: Final = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
_EMPTY_DIRECTORY_SIZE: Final = 4


class _Stat(Struct, rename="pascal"):
    hash: str
    type: str
    size: int = 0
    cumulative_size: int = 0
    blocks: int = -1


class _Flushed(Struct, rename="pascal"):
    cid: str = ""


async def stat(kubo: Kubo, path: str, *, deadline: float | None = None) -> Stat | None:
    """`files/stat` of an MFS path; None if nothing is there."""
    try:
        said = await kubo.json("files/stat", args(path), _Stat, deadline=deadline)
    except NodeError as error:
        if error.status == 500 and any(words in error.text for words in _MISSING):
            return None
        raise
    cid = _cid(kubo, "files/stat", said.hash)
    directory = said.type == "directory"
    return Stat(
        cid=cid,
        size=said.cumulative_size,
        kind="directory" if directory else "file",
        empty=_empty_directory(said, cid) if directory else said.size == 0,
    )


def _empty_directory(said: _Stat, cid: Cid) -> bool:
    """`Blocks` counts links. One with a mode or a time of its own is a few bytes longer than the plain one."""
    if cid.canonical == _EMPTY_DIRECTORY or said.cumulative_size <= _EMPTY_DIRECTORY_SIZE:
        return True
    return said.blocks == 0


async def size_of(kubo: Kubo, cid: str, *, deadline: float | None = None) -> int | None:
    """Cumulative size of a DAG whose root is here; None if it is not. The network is not asked."""
    query = args(path_of(cid), offline=True)
    try:
        return (await kubo.json("files/stat", query, _Stat, deadline=deadline)).cumulative_size
    except NodeError as error:
        if not_here(error):
            return None
        raise


async def flush(kubo: Kubo, path: str = "/", *, deadline: float | None = None) -> str:
    """`files/flush`; the CID of the path. It also empties the cache that makes `files/stat` slow."""
    said = await kubo.json("files/flush", args(path), _Flushed, deadline=deadline)
    return _cid(kubo, "files/flush", said.cid).text


async def remove(kubo: Kubo, path: str, *, deadline: float | None = None) -> bool:
    """`files/rm`, recursive; False if nothing was there.

    Its errors come with 200, as a text in the body; so afterwards it is looked whether it is gone.
    """
    if await stat(kubo, path, deadline=deadline) is None:
        return False
    body = await kubo.ask("files/rm", args(path, recursive=True, force=True), deadline=deadline, repeat=False)
    if body.strip() or await stat(kubo, path, deadline=deadline) is not None:
        raise kubo.error(
            "files/rm", body.decode("utf-8", "replace").strip(' "\n') or f"{path} is still there"
        )
    return True


def _cid(kubo: Kubo, command: str, text: str) -> Cid:
    try:
        return parse_cid(text)
    except CidError as error:
        reason = error.reason
    raise kubo.error(command, f"no CID in the answer: {reason}")
