"""`files/cp`, `files/mv`, `files/rm`: what is linked into MFS, elsewhere, and no more."""

import posixpath
from collections.abc import AsyncIterator

from reconciler.core.unixfs.blocks import Entry
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.sandbox.node import paths
from reconciler.sandbox.node.call import Arguments, Usage
from reconciler.sandbox.node.changes import CHANGE_OPTIONS, count, flushed, make_above, mfs_path
from reconciler.sandbox.node.mfs import Parts
from reconciler.sandbox.node.reply import NotFoundError, Nothing, Records, Reply, RpcError
from reconciler.sandbox.node.state import Command, State, Table
from reconciler.sandbox.node.upload import Upload


async def _cp(state: State, call: Arguments, _upload: Upload) -> Reply:
    source, target = call.given[:2]
    if not paths.is_content(source):
        mfs_path(source)
    source = source.rstrip("/")
    path = mfs_path(target)
    parts = (*path.parts, posixpath.basename(source)) if path.into else path.parts
    shown = "/" + "/".join(parts)
    try:
        entry = await _source(state, source, call)
    except RpcError as error:
        raise RpcError(f"cp: cannot get node from path {source}: {error}") from None
    if call.flag("parents"):
        await make_above(state, call, parts)
    if call.flag("force"):
        await _make_room(state, parts)
    count(state, call)
    try:
        await state.mfs.put(parts, entry)
    except RpcError as error:
        raise RpcError(f"cp: cannot put node in path {shown}: {error}") from None
    return await flushed(state, call, parts[:-1])


async def _source(state: State, source: str, call: Arguments) -> Entry:
    """The root alone: what is below it stays where it is until somebody asks for it."""
    if not paths.is_content(source):
        return await state.mfs.node(mfs_path(source).parts)
    patience = state.patience(call)
    cid = await paths.resolve(state, source, patience)
    await state.blocks.fetch(cid, patience)
    try:
        return Entry(cid, state.mfs.stat(cid).cumulative_size)
    except UnixfsError:
        raise RpcError("cp: source must be a valid UnixFS (dag-pb or raw codec)") from None


async def _make_room(state: State, parts: Parts) -> None:
    """Takes a file away that is in the way."""
    above = "/" + "".join(f"{name}/" for name in parts[:-1])
    try:
        parent = await state.mfs.lookup(parts[:-1])
    except NotFoundError:
        return
    except RpcError as error:
        raise RpcError(f"cp: cannot unlink existing file: {error}") from None
    if not state.mfs.is_directory(parent):
        raise RpcError(f"cp: cannot unlink existing file: not a directory: {above}")
    try:
        there = await state.mfs.lookup(parts)
    except RpcError:
        return
    if state.mfs.is_directory(there):
        raise RpcError(f"cp: cannot unlink existing file: not a file: /{'/'.join(parts)}")
    await state.mfs.unlink(parts)


async def _mv(state: State, call: Arguments, _upload: Upload) -> Reply:
    count(state, call)
    source, target = mfs_path(call.given[0]), mfs_path(call.given[1])
    name = source.parts[-1:]
    parts = target.parts + name if target.into else target.parts
    for directory in (parts[:-1], source.parts[:-1]):
        if not state.mfs.is_directory(await state.mfs.lookup(directory)):
            raise RpcError(f"/{'/'.join(directory)}/ is not a directory")
    entry = await state.mfs.node(source.parts)
    try:
        there = await state.mfs.lookup(parts)
    except NotFoundError:
        pass
    else:
        if state.mfs.is_directory(there):
            parts += name
        else:
            await state.mfs.unlink(parts)
    await state.mfs.put(parts, entry)
    # boxo compares the names of the directories, not their paths: from /a/x/f to /b/x/f the file stays in both.
    if parts[-2:] != source.parts[-2:] or (len(parts) == 1) != (len(source.parts) == 1):
        await state.mfs.unlink(source.parts)
    return await flushed(state, call, ())


async def _rm(state: State, call: Arguments, _upload: Upload) -> Reply:
    if "flush" in call.options and not call.flag("flush"):
        raise RpcError(
            "files rm always flushes for safety. The --flush flag cannot be set to false for this command"
        )
    failed: list[str] = []
    for given in call.given:
        try:
            shown = mfs_path(given).text
        except RpcError as error:
            failed.append(f"{given} is not a valid path: {error}")
            continue
        try:
            await _remove(state, mfs_path(given).parts, call)
        except RpcError as error:
            failed.append(f"{shown}: {error}")
    if not failed:
        return Nothing()

    async def records() -> AsyncIterator[str]:
        for line in failed:
            yield line
        raise RpcError("can't remove some files")

    return Records(records())


async def _remove(state: State, parts: Parts, call: Arguments) -> None:
    if not parts:
        raise RpcError("cannot delete root")
    try:
        if not call.flag("force") and state.mfs.is_directory(await state.mfs.lookup(parts[:-1])):
            there = await state.mfs.lookup(parts)
            if state.mfs.is_directory(there) and not call.flag("recursive"):
                raise RpcError("path is a directory, use -r to remove directories")
        await state.mfs.unlink(parts)
    except NotFoundError:
        if call.flag("force"):
            return
        raise
    await state.mfs.node(parts[:-1])


COMMANDS: Table = {
    "files/cp": Command(
        _cp,
        Usage(arguments=("source", "dest"), options={"parents": "bool", "force": "bool", **CHANGE_OPTIONS}),
    ),
    "files/mv": Command(_mv, Usage(arguments=("source", "dest"), options={"flush": "bool"})),
    "files/rm": Command(
        _rm,
        Usage(arguments=("path",), options={"recursive": "bool", "force": "bool", "flush": "bool"}),
    ),
}
