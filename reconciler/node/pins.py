"""Pins of the node itself.

names in pin/add and pin/ls             since Kubo 0.26
names in pin/ls of one CID              since 0.38 (kubo#10965); before, all are listed to find one
bytes in the progress of pin/add        since 0.40; before, only nodes are counted
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Final

from msgspec import Struct

from reconciler.core.cid import Cid, CidError
from reconciler.core.cid import parse as parse_cid
from reconciler.core.errors import NodeError
from reconciler.node.kubo import LONGEST, Kubo, args, patience
from reconciler.node.protocol import LocalPin, PinProgress

NAMES_OF_ONE: Final = (0, 38)
_NOT_PINNED: Final = "is not pinned"
_NOT_PINNED_RM: Final = "not pinned or pinned indirectly"


class _Progress(Struct, rename="pascal"):
    progress: int = 0
    bytes: int = 0
    pins: list[str] | None = None


class _Pin(Struct, rename="pascal"):
    cid: str = ""
    type: str = ""
    name: str = ""


class _Pins(Struct, rename="pascal"):
    keys: dict[str, _Pin] | None = None


class _Removed(Struct, rename="pascal"):
    pins: list[str] | None = None


async def pinning(kubo: Kubo, cid: str, *, name: str, stall: float) -> AsyncGenerator[PinProgress, None]:
    """`pin/add?progress=true`: a line every half second, growing or not, and a last one with the pins."""
    loop = asyncio.get_running_loop()
    query = [*args(cid, name=name, recursive=True, progress=True), patience(LONGEST)]
    best, grew = (0, 0), loop.time()
    async with kubo.rpc.stream("pin/add", query, stall=stall) as stream:
        async for line in kubo.lines("pin/add", stream):
            said = kubo.decoded("pin/add", line, _Progress)
            now = loop.time()
            if said.pins is not None:
                yield PinProgress(nodes=best[0], bytes=best[1], done=True)
                return
            if (said.progress, said.bytes) > best:
                best, grew = (said.progress, said.bytes), now
                yield PinProgress(nodes=said.progress, bytes=said.bytes)
            elif now - grew >= stall:
                raise kubo.error(
                    "pin/add",
                    f"nothing arrived for {stall:g} s, after {best[0]} nodes",
                    late=True,
                    hint="does anybody online have the content?",
                )
    raise kubo.error("pin/add", "the node stopped without saying that it is pinned", lost=True)


async def unpin(kubo: Kubo, cid: str) -> bool:
    """`pin/rm`, recursive; False if it was not pinned."""
    try:
        said = await kubo.json("pin/rm", args(cid, recursive=True), _Removed, repeat=False)
    except NodeError as error:
        if _NOT_PINNED_RM in error.text:
            return False
        raise
    if not said.pins:
        raise kubo.error("pin/rm", "the node does not say that it removed a pin", lost=True)
    return True


async def pins(kubo: Kubo, *, kind: str = "recursive") -> AsyncGenerator[LocalPin, None]:
    """All pins of a kind (`recursive`, `direct`, `indirect`, `all`)."""
    async for pin in kubo.records("pin/ls", args(type=kind, names=True, stream=True), _Pin):
        yield LocalPin(cid=pin.cid, kind=pin.type, name=pin.name)


async def pinned(kubo: Kubo, cid: str, *, version: str, kind: str = "recursive") -> LocalPin | None:
    """The pin of a CID of that kind, `recursive` or `direct`, if there is one."""
    try:
        said = await kubo.json("pin/ls", args(cid, type=kind, names=True), _Pins)
    except NodeError as error:
        if _NOT_PINNED in error.text:
            return None
        raise
    for text, pin in (said.keys or {}).items():
        if not pin.name and older(version, NAMES_OF_ONE):
            return await _searched(kubo, text, kind) or LocalPin(cid=text, kind=pin.type)
        return LocalPin(cid=text, kind=pin.type, name=pin.name)
    return None


async def _searched(kubo: Kubo, cid: str, kind: str) -> LocalPin | None:
    wanted = _same(cid)
    async for pin in pins(kubo, kind=kind):
        if pin.cid == cid or _same(pin.cid) == wanted:
            return pin
    return None


def older(version: str, than: tuple[int, int]) -> bool:
    """Whether a Kubo version is older than `than`; what is no version is not."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) < than


def _same(text: str) -> Cid | str:
    try:
        return parse_cid(text)
    except CidError:
        return text
