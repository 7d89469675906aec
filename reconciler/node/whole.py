"""Whether a DAG is here as a whole, and a pin that asks nobody: for content that was brought to the node.

That a root is here says nothing of what is below it: an import that was cut short and the garbage collector both
leave some blocks and not others. Measured on 0.44 over 1 GiB: `pin/add` and `dag/stat` with `offline=true` two
seconds, `files/stat?with-local=true` six.
"""

from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct

from reconciler.core.cid import RAW, CidError
from reconciler.core.cid import parse as parse_cid
from reconciler.core.errors import NodeError
from reconciler.node.content import has
from reconciler.node.kubo import LONGEST, Kubo, args, not_here, patience
from reconciler.transport.rpc import Query

#: What is said in the trailer, once some lines have come.
_MISSING: Final = "could not find"


class _Pinned(Struct, rename="pascal"):
    pins: list[str] | None = None


class _Walked(Struct, rename="pascal"):
    unique_blocks: int = 0


async def pin_here(kubo: Kubo, cid: str, *, name: str, stall: float) -> bool:
    """`pin/add`, recursive, of what is here; False if a block of it is not. The network is not asked.

    It renames a pin that is there: ask for that first (`pins.pinned`).
    """
    query = args(cid, name=name, recursive=True, progress=True, offline=True)
    try:
        async for line in _lines(kubo, "pin/add", query, stall):
            if kubo.decoded("pin/add", line, _Pinned).pins is not None:
                return True
    except NodeError as error:
        if _missing(error):
            return False
        raise
    raise kubo.error("pin/add", "the node stopped without saying that it is pinned", lost=True)


async def whole(kubo: Kubo, cid: str, *, stall: float) -> bool:
    """Whether every block of a DAG is here. The network is not asked."""
    try:
        if parse_cid(cid).codec == RAW:
            # One block; and of an empty one `dag/stat` divides by nothing and answers with an error.
            return await has(kubo, cid)
    except CidError as error:
        raise kubo.error("dag/stat", f"{cid} is no CID: {error.reason}") from None
    walked = False
    try:
        async for line in _lines(kubo, "dag/stat", args(cid, progress=True, offline=True), stall):
            # The last line alone counts the blocks.
            walked = kubo.decoded("dag/stat", line, _Walked).unique_blocks > 0
    except NodeError as error:
        if _missing(error):
            return False
        raise
    if not walked:
        raise kubo.error("dag/stat", "the node stopped without a count of the blocks", lost=True)
    return True


async def _lines(kubo: Kubo, command: str, query: Query, stall: float) -> AsyncIterator[bytes]:
    async with kubo.rpc.stream(command, [*query, patience(LONGEST)], stall=stall) as stream:
        async for line in kubo.lines(command, stream):
            yield line


def _missing(error: NodeError) -> bool:
    return not_here(error) or _MISSING in error.text
