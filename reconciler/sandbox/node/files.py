"""`files/*`: MFS from outside. What only links and unlinks is in `linking`."""

import asyncio

from reconciler.core.unixfs import address, modify, reading
from reconciler.core.unixfs import params as params_of
from reconciler.core.unixfs.blocks import Entry
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.core.unixfs.params import Params
from reconciler.sandbox.node import paths
from reconciler.sandbox.node.call import Arguments, Usage
from reconciler.sandbox.node.changes import (
    CHANGE_OPTIONS,
    MfsPath,
    count,
    flushed,
    make_above,
    mfs_path,
    version_of,
)
from reconciler.sandbox.node.locality import local_part
from reconciler.sandbox.node.reply import Content, NotFoundError, Nothing, Once, Reply, RpcError
from reconciler.sandbox.node.state import Command, State, Table, show
from reconciler.sandbox.node.upload import Upload

_FORMATS = "invalid parameters: format was set by multiple options. Only one format option is allowed"


async def _stat(state: State, call: Arguments, _upload: Upload) -> Reply:
    if sum((call.flag("hash"), call.flag("size"), bool(call.text("format")))) > 1:
        raise RpcError(_FORMATS, code=1)
    target = call.given[0]
    if paths.is_content(target):
        cid = await paths.resolve(state, target, state.patience(call))
        await state.blocks.fetch(cid, state.patience(call))
    else:
        path = mfs_path(target)
        if state.faults.stat_hangs:
            await asyncio.get_running_loop().create_future()
        if state.faults.stat_seconds:
            await asyncio.sleep(state.faults.stat_seconds)
        cid = (await state.mfs.node(path.parts)).cid
    try:
        found = state.mfs.stat(cid)
    except UnixfsError as error:
        raise RpcError(str(error)) from None
    kind = "directory" if found.kind == "directory" else "file"
    value: dict[str, object] = {
        "Hash": show(cid, call),
        "Size": found.size,
        "CumulativeSize": found.cumulative_size,
        "Blocks": found.links,
        "Type": kind,
    }
    if call.flag("with-local"):
        whole, size = local_part(cid, state.blocks)
        value |= {"WithLocality": True} | ({"Local": True} if whole else {}) | {"SizeLocal": size}
    return Once(value)


async def _ls(state: State, call: Arguments, _upload: Upload) -> Reply:
    path = mfs_path(call.given[0] if call.given else "/")
    entry = await state.mfs.lookup(path.parts)
    if not state.mfs.is_directory(entry):
        named = [(path.parts[-1], entry.cid)]
    else:
        named = sorted(await state.mfs.names(entry), key=lambda item: item[0].encode())
    rows: list[dict[str, object]] = []
    for name, cid in named:
        row: dict[str, object] = {"Name": name, "Type": 0, "Size": 0, "Hash": ""}
        if call.flag("long"):
            # A lookup of each of them, as in Kubo: this is the call that freezes MFS over a lazy directory.
            below = path.parts if not state.mfs.is_directory(entry) else (*path.parts, name)
            found = state.mfs.stat((await state.mfs.lookup(below)).cid)
            kind, size = (1, 0) if found.kind == "directory" else (0, found.size)
            row = {"Name": name, "Type": kind, "Size": size, "Hash": show(cid, call)}
        rows.append(row)
    return Once({"Entries": rows or None})


async def _mkdir(state: State, call: Arguments, _upload: Upload) -> Reply:
    path = mfs_path(call.given[0])
    count(state, call)
    fresh = state.mfs.empty(version_of(state, call), call.text("hash"))
    await state.mfs.mkdir(path.parts, fresh, parents=call.flag("parents"))
    # What is flushed is the new directory alone: this does not wait for a lookup beside it, as others do.
    return Nothing()


async def _write(state: State, call: Arguments, upload: Upload) -> Reply:
    path = mfs_path(call.given[0])
    count(state, call)
    if call.number("offset") < 0:
        raise RpcError("cannot have negative write offset")
    if call.flag("parents"):
        await make_above(state, call, path.parts)
    params = _file_params(state, call)
    entry = await _opened(state, call, path, params)
    if "raw-leaves" not in call.options:
        params = params_of.given(params, raw_leaves=address.version(entry.cid) == 1)
    data = await upload.content()
    if call.number("count") < 0:
        raise RpcError("cannot have negative byte count")
    if "count" in call.options:
        data = data[: call.number("count")]
    patience, blocks = state.patience(call), state.blocks
    if call.flag("truncate"):
        cut = entry
        entry = await blocks.settle(
            lambda get: modify.truncate(cut.cid, 0, get, params, blocks.put), patience
        )
    old, offset = entry, call.number("offset")
    entry = await blocks.settle(
        lambda get: modify.write(old.cid, offset, data, get, params, blocks.put), patience
    )
    await state.mfs.replace(path.parts, entry)
    return await flushed(state, call, path.parts[:-1])


async def _opened(state: State, call: Arguments, path: MfsPath, params: Params) -> Entry:
    """The file to write to, made if it may be."""
    try:
        entry = await state.mfs.lookup(path.parts)
    except NotFoundError:
        if not call.flag("create"):
            raise
        entry = modify.empty(params, state.blocks.put)
        await state.mfs.put(path.parts, entry)
        return entry
    if state.mfs.is_directory(entry):
        raise RpcError(f"{path.text} was not a file")
    return entry


async def _read(state: State, call: Arguments, _upload: Upload) -> Reply:
    path = mfs_path(call.given[0])
    try:
        entry = await state.mfs.lookup(path.parts)
    except RpcError as error:
        raise RpcError(f"{path.text}: {error}") from None
    if state.mfs.is_directory(entry):
        raise RpcError(f"{path.text} was not a file")
    offset, size = call.number("offset"), reading.size(entry.cid, state.blocks.get)
    if offset < 0:
        raise RpcError("cannot specify negative offset")
    if offset > size:
        raise RpcError(f"offset was past end of file ({offset} > {size})")
    if call.number("count") < 0:
        raise RpcError("cannot specify negative 'count'")
    length = call.number("count") if "count" in call.options else None
    return Content(paths.content(state, entry.cid, state.patience(call), offset, length))


async def _flush(state: State, call: Arguments, _upload: Upload) -> Reply:
    path = mfs_path(call.given[0] if call.given else "/")
    entry = await state.mfs.node(path.parts)
    state.unflushed = 0
    return Once({"Cid": show(entry.cid, call)})


async def _chcid(state: State, call: Arguments, _upload: Upload) -> Reply:
    path = mfs_path(call.given[0])
    if not path.parts:
        raise RpcError(
            "cannot change CID format of the MFS root; "
            "use 'ipfs config Import.CidVersion' and 'ipfs config Import.HashFunction' instead"
        )
    entry = await state.mfs.node(path.parts)
    if not state.mfs.is_directory(entry):
        raise RpcError("can only update directories")
    if "cid-version" in call.options:
        digest = address.multihash(entry.cid)
        cid = digest if call.number("cid-version") == 0 else b"\x01\x70" + digest
        await state.mfs.replace(path.parts, Entry(cid, entry.tsize))
    return await flushed(state, call, path.parts[:-1])


def _file_params(state: State, call: Arguments) -> Params:
    """Kubo's defaults give way to options; `cid-version=1` brings raw leaves."""
    return params_of.given(
        state.params(),
        cid_version=version_of(state, call) if "cid-version" in call.options else None,
        raw_leaves=call.flag("raw-leaves") if "raw-leaves" in call.options else None,
    )


COMMANDS: Table = {
    "files/stat": Command(
        _stat,
        Usage(
            arguments=("path",),
            options={"format": "string", "hash": "bool", "size": "bool", "with-local": "bool"},
        ),
    ),
    "files/ls": Command(_ls, Usage(options={"long": "bool", "U": "bool"})),
    "files/mkdir": Command(_mkdir, Usage(arguments=("path",), options={"parents": "bool", **CHANGE_OPTIONS})),
    "files/write": Command(
        _write,
        Usage(
            arguments=("path",),
            file="data",
            options={
                "create": "bool",
                "parents": "bool",
                "truncate": "bool",
                "offset": "int64",
                "count": "int64",
                "raw-leaves": "bool",
                **CHANGE_OPTIONS,
            },
        ),
    ),
    "files/read": Command(_read, Usage(arguments=("path",), options={"offset": "int64", "count": "int64"})),
    "files/flush": Command(_flush),
    "files/chcid": Command(_chcid, Usage(arguments=("path",), options=CHANGE_OPTIONS)),
}
