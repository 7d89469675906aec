"""What the commands that change MFS have in common: paths, flushing, and the directories above."""

import posixpath
from typing import Literal

from msgspec import Struct

from reconciler.core.unixfs.blocks import Entry
from reconciler.sandbox.node.call import Arguments, Kind
from reconciler.sandbox.node.mfs import Parts
from reconciler.sandbox.node.reply import Nothing, Reply, RpcError
from reconciler.sandbox.node.state import State

#: How many changes in a row may be left unflushed, by all clients together.
_UNFLUSHED = 256
CHANGE_OPTIONS: dict[str, Kind] = {"flush": "bool", "cid-version": "int", "hash": "string"}


class MfsPath(Struct, frozen=True):
    """`text` is cleaned, and keeps a slash at its end."""

    text: str

    @property
    def parts(self) -> Parts:
        return tuple(filter(None, self.text.split("/")))

    @property
    def into(self) -> bool:
        return self.text.endswith("/")


def mfs_path(given: str) -> MfsPath:
    """Raises RpcError for what is no absolute path."""
    if not given:
        raise RpcError("paths must not be empty")
    if not given.startswith("/"):
        raise RpcError("paths must start with a leading slash")
    clean = posixpath.normpath("/" + given.lstrip("/"))
    return MfsPath(clean + "/" if given.endswith("/") and clean != "/" else clean)


async def put(state: State, path: str, entry: Entry) -> None:
    """Links `entry` at a path, whatever was there, and makes the directories above it. Raises RpcError."""
    parts = mfs_path(path).parts
    await make_above(state, Arguments(), parts)
    await state.mfs.replace(parts, entry)


async def flushed(state: State, call: Arguments, parent: Parts) -> Reply:
    if call.flag("flush", default=True):
        await state.mfs.node(parent)
    return Nothing()


def count(state: State, call: Arguments) -> None:
    """Any change that is flushed makes room for so many that are not."""
    if call.flag("flush", default=True):
        state.unflushed = 0
    elif state.unflushed >= _UNFLUSHED:
        raise RpcError(
            f"reached limit of {_UNFLUSHED} unflushed MFS operations. "
            "To resolve: 1) run 'ipfs files flush' to persist changes, "
            "2) use --flush=true (default), or "
            "3) increase Internal.MFSNoFlushLimit in config"
        )
    else:
        state.unflushed += 1


async def make_above(state: State, call: Arguments, parts: Parts) -> None:
    if len(parts) > 1:
        await state.mfs.mkdir(parts[:-1], state.mfs.empty(version_of(state, call)), parents=True)


def version_of(state: State, call: Arguments) -> Literal[0, 1]:
    if "hash" in call.options:
        return 1
    return 1 if call.number("cid-version", state.params().cid_version) == 1 else 0
