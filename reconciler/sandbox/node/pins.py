"""`pin/*`: what is kept from garbage collection, and fetched for that."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from reconciler.core.unixfs import address, walk
from reconciler.sandbox.network import MissingError
from reconciler.sandbox.node import paths
from reconciler.sandbox.node.blocks import Blocks, Patience
from reconciler.sandbox.node.call import Arguments, Usage
from reconciler.sandbox.node.pinset import Pin
from reconciler.sandbox.node.reply import Once, Records, Reply, RpcError, Value
from reconciler.sandbox.node.state import Command, State, Table, show
from reconciler.sandbox.node.upload import Upload

_LONGEST_NAME = 255
#: Seconds between two lines of progress.
_PACE = 0.5
_TYPES = ("direct", "indirect", "recursive", "all")
Found: TypeAlias = tuple[bytes, Literal["recursive", "direct", "indirect"], str]


class Progress:
    """How much of the DAGs of one request is here."""

    def __init__(self) -> None:
        self.nodes = 0
        self.bytes = 0

    @property
    def line(self) -> dict[str, object]:
        """What is 0 is left out, as Go leaves it out."""
        told = {"Progress": self.nodes, "Bytes": self.bytes}
        return {key: value for key, value in told.items() if value}


async def fetch_dag(root: bytes, blocks: Blocks, patience: Patience, progress: Progress) -> None:
    """Waits until the whole DAG is here. Raises RpcError when patience is at its end."""
    seen: set[bytes] = set()
    stack = [root]
    while stack:
        cid = stack.pop()
        key = address.multihash(cid)
        if key in seen:
            continue
        seen.add(key)
        block = await blocks.fetch(cid, patience)
        progress.nodes += 1
        progress.bytes += len(block)
        stack += reversed(walk.children(cid, block))


class _Wanted(Struct, frozen=True):
    cids: list[bytes]
    recursive: bool
    name: str


async def _add(state: State, call: Arguments, _upload: Upload) -> Reply:
    name = call.text("name")
    size = len(name.encode())
    if size > _LONGEST_NAME:
        raise RpcError(f"pin name is {size} bytes (max {_LONGEST_NAME} bytes)")
    patience = state.patience(call)
    cids = [await paths.resolve(state, path, patience) for path in call.given]
    wanted = _Wanted(cids, call.flag("recursive", default=True), name)
    progress = Progress()
    done: dict[str, object] = {"Pins": [show(cid, call) for cid in cids]}
    if not call.flag("progress"):
        await _pin(state, wanted, patience, progress)
        return Once(done)
    return Records(_reported(asyncio.ensure_future(_pin(state, wanted, patience, progress)), progress, done))


async def _pin(state: State, wanted: _Wanted, patience: Patience, progress: Progress) -> None:
    for cid in wanted.cids:
        try:
            if wanted.recursive:
                await fetch_dag(cid, state.blocks, patience, progress)
            else:
                await state.blocks.fetch(cid, patience)
        except RpcError as error:
            raise RpcError(f"pin: {error}") from None
        state.pins.add(cid, recursive=wanted.recursive, name=wanted.name)


async def _reported(
    work: "asyncio.Future[None]", progress: Progress, done: dict[str, object]
) -> AsyncIterator[Value]:
    try:
        while not (await asyncio.wait((work,), timeout=_PACE))[0]:
            yield progress.line
        await work
        yield progress.line
        yield done
    finally:
        work.cancel()


async def _ls(state: State, call: Arguments, _upload: Upload) -> Reply:
    kind = call.text("type", "all")
    if kind not in _TYPES:
        raise RpcError(f"invalid type '{kind}', must be one of {{direct, indirect, recursive, all}}")
    wanted = call.text("name")
    named = call.flag("names") or bool(wanted)
    if call.given:
        found = [await _one(state, path, kind, call) for path in call.given]
    else:
        found = [item for item in _all(state, kind) if wanted in item[2]]
    rows = [(show(cid, call), kind, name if named else "") for cid, kind, name in found]
    if not call.flag("stream"):
        keys = {cid: {"Type": kind, "Name": name} for cid, kind, name in sorted(rows)}
        return Once({"Keys": keys} if keys else {})

    async def records() -> AsyncIterator[Value]:
        for cid, kind, name in rows:
            yield {"Cid": cid} | ({"Name": name} if name else {}) | {"Type": kind}

    return Records(records(), many=True)


async def _one(state: State, path: str, kind: str, call: Arguments) -> tuple[bytes, str, str]:
    cid = await paths.resolve(state, path, state.patience(call))
    pin = state.pins.find(cid)
    if pin is not None and kind in (pin.mode, "all"):
        return cid, pin.mode, pin.name
    if kind in ("indirect", "all"):
        for parent in state.pins:
            if parent.mode == "recursive" and cid in _below(state, parent):
                return cid, f"indirect through {address.to_text(parent.cid)}", ""
    raise RpcError(f"path '{path}' is not pinned")


def _all(state: State, kind: str) -> Iterator[Found]:
    pins = list(state.pins)
    for mode in ("recursive", "direct"):
        if kind in (mode, "all"):
            yield from ((pin.cid, pin.mode, pin.name) for pin in pins if pin.mode == mode)
    if kind in ("indirect", "all"):
        below = {cid for pin in pins if pin.mode == "recursive" for cid in _below(state, pin)}
        for cid in sorted(below - {pin.cid for pin in pins}):
            yield cid, "indirect", ""


def _below(state: State, pin: Pin) -> list[bytes]:
    """What a recursive pin keeps, without itself, as far as it is here."""
    out: list[bytes] = []
    try:
        out += (cid for cid, _ in walk.walk(pin.cid, state.blocks.get))
    except MissingError:
        return out[1:]
    return out[1:]


async def _rm(state: State, call: Arguments, _upload: Upload) -> Reply:
    cids = [await paths.resolve(state, path, state.patience(call)) for path in call.given]
    for cid in cids:
        state.pins.remove(cid, recursive=call.flag("recursive", default=True))
    return Once({"Pins": [show(cid, call) for cid in cids]})


async def _update(state: State, call: Arguments, _upload: Upload) -> Reply:
    patience = state.patience(call)
    old, new = [await paths.resolve(state, path, patience) for path in call.given[:2]]
    before, there = state.pins.find(old), state.pins.find(new)
    if before is None or before.mode != "recursive":
        raise RpcError("'from' cid was not recursively pinned already")
    if before != there:
        if there is not None and there.mode == "recursive":
            raise RpcError("'to' cid was already recursively pinned")
        try:
            await fetch_dag(new, state.blocks, patience, Progress())
        except RpcError as error:
            raise RpcError(f"get {address.to_text(new)}: {error}") from None
        state.pins.add(new, recursive=True, name=before.name)
        if call.flag("unpin", default=True):
            state.pins.remove(old)
    return Once({"Pins": [show(old, call), show(new, call)]})


COMMANDS: Table = {
    "pin/add": Command(
        _add,
        Usage(arguments=("ipfs-path",), options={"recursive": "bool", "name": "string", "progress": "bool"}),
    ),
    "pin/ls": Command(
        _ls,
        Usage(
            options={"type": "string", "quiet": "bool", "name": "string", "names": "bool", "stream": "bool"}
        ),
    ),
    "pin/rm": Command(_rm, Usage(arguments=("ipfs-path",), options={"recursive": "bool"})),
    "pin/update": Command(_update, Usage(arguments=("from-path", "to-path"), options={"unpin": "bool"})),
}
