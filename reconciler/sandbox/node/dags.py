"""`dag/*`: whole DAGs measured, written out and read in."""

from collections.abc import AsyncIterator

from msgspec import Struct

from reconciler.core.unixfs import address, walk
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.sandbox.network import MissingError
from reconciler.sandbox.node import car, paths
from reconciler.sandbox.node.blocks import LATE, Patience
from reconciler.sandbox.node.call import Arguments, Usage
from reconciler.sandbox.node.reply import Content, Records, Reply, RpcError, Value
from reconciler.sandbox.node.state import Command, State, Table, show
from reconciler.sandbox.node.upload import Upload


async def _stat(state: State, call: Arguments, _upload: Upload) -> Reply:
    patience = state.patience(call)
    roots = [await paths.resolve(state, path, patience) for path in call.given]
    for root in roots:
        await state.blocks.fetch(root, patience)
    told = call.flag("progress", default=True)

    async def records() -> AsyncIterator[Value]:
        seen: set[bytes] = set()
        counts: list[_Count] = []
        total = 0
        for root in roots:
            count = _Count(Cid=show(root, call))
            counts.append(count)
            async for cid, block in _walked(state, root, patience):
                count.Size += len(block)
                count.NumBlocks += 1
                key = address.multihash(cid)
                if key not in seen:
                    seen.add(key)
                    total += len(block)
                if told:
                    yield {"TotalSize": total, "DagStats": counts}
        if not total:
            raise RpcError("json: unsupported value: NaN")
        counted = sum(count.Size for count in counts)
        yield {
            "UniqueBlocks": len(seen),
            "TotalSize": total,
            **({"SharedSize": counted - total} if counted > total else {}),
            "Ratio": _ratio(counted, total),
            "DagStats": counts,
        }

    return Records(records())


class _Count(Struct):
    """As it stands in the answer."""

    Cid: str
    Size: int = 0
    NumBlocks: int = 0


async def _walked(state: State, root: bytes, patience: Patience) -> AsyncIterator[tuple[bytes, bytes]]:
    seen: set[bytes] = set()
    stack = [root]
    while stack:
        cid = stack.pop()
        if address.multihash(cid) in seen:
            continue
        seen.add(address.multihash(cid))
        try:
            block = await state.blocks.fetch(cid, patience)
        except RpcError as error:
            why = "promise channel was closed" if error.message == LATE else error.message
            raise RpcError(f"error traversing DAG: {why}") from None
        yield cid, block
        stack += reversed(walk.children(cid, block))


async def _export(state: State, call: Arguments, _upload: Upload) -> Reply:
    patience = state.patience(call)
    root = await paths.resolve(state, call.given[0], patience)
    await state.blocks.fetch(root, patience)

    async def pieces() -> AsyncIterator[bytes]:
        yield car.header([root])
        seen: set[bytes] = set()
        stack: list[tuple[bytes, str]] = [(root, "")]
        while stack:
            cid, way = stack.pop()
            key = address.multihash(cid)
            if key in seen:
                continue
            seen.add(key)
            try:
                block = await state.blocks.fetch(cid, patience)
            except RpcError as error:
                raise RpcError(
                    f'walk failed: error traversing node at "{way}": '
                    f'could not load link "{address.to_text(cid)}": {error}'
                ) from None
            yield car.section(cid, block)
            below = walk.children(cid, block)
            stack += [
                (child, f"{way}{'/' if way else ''}Links/{i}/Hash")
                for i, child in reversed([*enumerate(below)])
            ]

    return Content(pieces(), kind="application/vnd.ipld.car")


async def _import(state: State, call: Arguments, upload: Upload) -> Reply:
    cars = [car.read(part.content) for part in await upload.parts()]
    blocks = [block for one in cars for block in one.blocks]
    for cid, block in blocks:
        state.blocks.put(cid, block)
    roots = [root for one in cars for root in one.roots] if call.flag("pin-roots", default=True) else []
    for root in roots:
        state.pins.add(root, recursive=True, name="")

    async def records() -> AsyncIterator[Value]:
        for root in roots:
            yield {"Root": {"Cid": {"/": show(root, call)}, "PinErrorMsg": _whole(state, root)}}
        if call.flag("stats"):
            size = sum(len(block) for _, block in blocks)
            yield {"Stats": {"BlockCount": len(blocks), "BlockBytesCount": size}}

    return Records(records())


def _whole(state: State, root: bytes) -> str:
    """Why the DAG cannot be pinned, "" if it can."""
    try:
        for _ in walk.walk(root, state.blocks.get):
            pass
    except (UnixfsError, MissingError) as error:
        return str(error)
    return ""


def _ratio(counted: int, total: int) -> float | int:
    """As Go writes it: a whole number without a point."""
    ratio = counted / total
    return int(ratio) if ratio.is_integer() else ratio


COMMANDS: Table = {
    "dag/stat": Command(_stat, Usage(arguments=("root",), options={"progress": "bool"})),
    "dag/export": Command(_export, Usage(arguments=("root",), options={"progress": "bool"})),
    "dag/import": Command(
        _import,
        Usage(
            file="path",
            options={
                "pin-roots": "bool",
                "silent": "bool",
                "stats": "bool",
                "allow-big-block": "bool",
                "fast-provide-root": "bool",
            },
        ),
    ),
}
