"""Blocks and what they hold: `block/*`, `cat`, `ls`, `refs`, `resolve`, `name/resolve`."""

from collections.abc import AsyncIterator
from hashlib import sha256

from reconciler.core.unixfs import address, dagpb, directory, reading, walk
from reconciler.sandbox.node import paths
from reconciler.sandbox.node.blocks import Patience
from reconciler.sandbox.node.call import Arguments, Usage
from reconciler.sandbox.node.reply import Content, Once, Records, Reply, RpcError, Value
from reconciler.sandbox.node.state import Command, State, Table, show
from reconciler.sandbox.node.upload import Upload

_CODECS = {"raw": 0x55, "dag-pb": 0x70, "dag-cbor": 0x71, "dag-json": 0x0129}
#: `Type` in `ls`.
_TYPES = {"directory": 1, "file": 2, "symlink": 4}


async def _block_stat(state: State, call: Arguments, _upload: Upload) -> Reply:
    cid = await paths.resolve(state, call.given[0], state.patience(call))
    block = await state.blocks.fetch(cid, state.patience(call))
    return Once({"Key": show(cid, call), "Size": len(block)})


async def _block_get(state: State, call: Arguments, _upload: Upload) -> Reply:
    cid = await paths.resolve(state, call.given[0], state.patience(call))
    block = await state.blocks.fetch(cid, state.patience(call))
    return Content(_one(block), kind="application/vnd.ipld.raw")


async def _block_put(state: State, call: Arguments, upload: Upload) -> Reply:
    codec = call.text("cid-codec", "raw")
    if codec not in _CODECS:
        raise RpcError(f"unrecognized codec: {codec}")
    blocks = [part.content for part in await upload.parts()]
    cids: list[bytes] = []
    for block in blocks:
        digest = address.V0_PREFIX + sha256(block).digest()
        cid = digest if call.text("format") == "v0" else _varint_prefix(_CODECS[codec]) + digest
        state.blocks.put(cid, block)
        cids.append(cid)

    async def records() -> AsyncIterator[Value]:
        for cid, block in zip(cids, blocks, strict=True):
            yield {"Key": show(cid, call), "Size": len(block)}

    return Records(records())


async def _block_rm(state: State, call: Arguments, _upload: Upload) -> Reply:
    cids = [await paths.resolve(state, path, state.patience(call)) for path in call.given]

    async def records() -> AsyncIterator[Value]:
        for cid in cids:
            text = address.to_text(cid)
            pin = state.pins.find(cid)
            if pin is not None:
                yield {"Hash": text, "Error": f"pinned: {pin.mode}"}
            elif state.blocks.held.pop(address.multihash(cid), None) is None and not call.flag("force"):
                yield {"Hash": text, "Error": f"ipld: could not find {text}"}
            else:
                yield {"Hash": text}

    return Records(records())


async def _cat(state: State, call: Arguments, _upload: Upload) -> Reply:
    patience = state.patience(call)
    cid = await paths.resolve(state, call.given[0], patience)
    await state.blocks.fetch(cid, patience)
    if state.mfs.stat(cid).kind == "directory":
        raise RpcError("this dag node is a directory")
    offset = call.number("offset")
    whole = max(0, reading.size(cid, state.blocks.get) - offset)
    length = min(whole, call.number("length")) if "length" in call.options else whole
    return Content(paths.content(state, cid, patience, offset, length), length=length)


async def _ls(state: State, call: Arguments, _upload: Upload) -> Reply:
    patience = state.patience(call)
    asked: list[tuple[str, bytes]] = []
    for path in call.given:
        cid = await paths.resolve(state, path, patience)
        await state.blocks.fetch(cid, patience)
        asked.append((path, cid))
    if call.flag("stream"):
        return Records(_ls_stream(state, call, asked, patience), many=True)
    objects: list[dict[str, object]] = []
    for path, cid in asked:
        rows = [row async for row in _ls_links(state, call, cid, patience)]
        objects.append({"Hash": path, "Links": rows})
    return Once({"Objects": objects})


async def _ls_stream(
    state: State, call: Arguments, asked: list[tuple[str, bytes]], patience: Patience
) -> AsyncIterator[Value]:
    for path, cid in asked:
        async for row in _ls_links(state, call, cid, patience):
            yield {"Objects": [{"Hash": path, "Links": [row]}]}


async def _ls_links(
    state: State, call: Arguments, cid: bytes, patience: Patience
) -> AsyncIterator[dict[str, object]]:
    """Of a file the links to its parts, which have no names."""
    if state.mfs.stat(cid).kind == "directory":
        links = await state.blocks.settle(lambda get: list(directory.links(cid, get)), patience)
    else:
        raw = address.codec(cid) == address.RAW
        links = [] if raw else list(dagpb.decode(state.blocks.get(cid)).links)
    # Either option alone changes nothing: what is fetched for one tells the other.
    resolved = call.flag("size", default=True) or call.flag("resolve-type", default=True)
    for link in links:
        size = kind = 0
        if resolved:
            await state.blocks.fetch(link.cid, patience)
            found = state.mfs.stat(link.cid)
            size, kind = found.size, _TYPES[found.kind]
        yield {
            "Name": link.name,
            "Hash": show(link.cid, call),
            "Size": size,
            "Type": kind,
            "Target": "",
            "Mode": 0,
            "ModTime": "0001-01-01T00:00:00Z",
        }


async def _refs(state: State, call: Arguments, _upload: Upload) -> Reply:
    patience = state.patience(call)
    roots = [await paths.resolve(state, path, patience) for path in call.given]

    async def records() -> AsyncIterator[Value]:
        seen: set[bytes] = set()
        try:
            for root in roots:
                stack = list(reversed(walk.children(root, await state.blocks.fetch(root, patience))))
                while stack:
                    cid = stack.pop()
                    if cid in seen and call.flag("unique"):
                        continue
                    seen.add(cid)
                    block = b""
                    if call.flag("recursive"):
                        block = await state.blocks.fetch(cid, patience)
                        stack += reversed(walk.children(cid, block))
                    yield {"Ref": show(cid, call), "Err": ""}
        except RpcError as error:
            # Of all commands this one tells of an error in a record of its own.
            yield {"Ref": "", "Err": error.message}

    return Records(records(), many=True)


async def _resolve(state: State, call: Arguments, _upload: Upload) -> Reply:
    cid = await paths.resolve(state, call.given[0], state.patience(call))
    return Once({"Path": f"/ipfs/{show(cid, call)}"})


async def _name_resolve(state: State, call: Arguments, _upload: Upload) -> Reply:
    given = call.given[0] if call.given else state.identity.name
    name, _, rest = given.removeprefix("/ipns/").removeprefix("ipns://").partition("/")
    path = paths.resolved_name(state, name) + (f"/{rest}" if rest else "")
    if not call.flag("stream"):
        return Once({"Path": path})

    async def records() -> AsyncIterator[Value]:
        yield {"Path": path}

    return Records(records())


async def _one(block: bytes) -> AsyncIterator[bytes]:
    yield block


def _varint_prefix(codec: int) -> bytes:
    return b"\x01" + (bytes((codec,)) if codec < 0x80 else bytes((codec & 0x7F | 0x80, codec >> 7)))


COMMANDS: Table = {
    "block/stat": Command(_block_stat, Usage(arguments=("cid",))),
    "block/get": Command(_block_get, Usage(arguments=("cid",))),
    "block/put": Command(
        _block_put,
        Usage(file="data", options={"cid-codec": "string", "format": "string", "pin": "bool"}),
    ),
    "block/rm": Command(_block_rm, Usage(arguments=("cid",), options={"force": "bool", "quiet": "bool"})),
    "cat": Command(
        _cat,
        Usage(arguments=("ipfs-path",), options={"offset": "int64", "length": "int64", "progress": "bool"}),
    ),
    "ls": Command(
        _ls,
        Usage(
            arguments=("ipfs-path",),
            options={"stream": "bool", "size": "bool", "resolve-type": "bool", "headers": "bool"},
        ),
    ),
    "refs": Command(
        _refs,
        Usage(
            arguments=("ipfs-path",),
            options={"recursive": "bool", "unique": "bool", "edges": "bool", "format": "string"},
        ),
    ),
    "resolve": Command(_resolve, Usage(arguments=("name",), options={"recursive": "bool"})),
    "name/resolve": Command(
        _name_resolve, Usage(options={"recursive": "bool", "nocache": "bool", "stream": "bool"})
    ),
}
