"""A node that is declared and cannot even be asked: the file with its address is not there, say.

What needs the node is then unknown, and what does not goes on.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable

from reconciler.core.cid import Cid
from reconciler.core.errors import NodeError
from reconciler.core.question import Identity, KuboServices, Stat
from reconciler.node.multipart import Part
from reconciler.node.protocol import Entry, LocalPin, PinProgress
from reconciler.node.upload import Added, Imported, Layout


class AbsentNode:
    """Implements `node.protocol.Node`: every call raises the error that was met when the node was to be opened."""

    def __init__(self, error: NodeError) -> None:
        self._message = error.message
        self._hint = error.hint

    @property
    def where(self) -> str:
        return "that the manifest names"

    @property
    def requests(self) -> int:
        return 0

    def _error(self) -> NodeError:
        # A new one each time: one that is raised again and again grows by a traceback with each.
        return NodeError(self._message, unreachable=True, hint=self._hint)

    async def identity(self) -> Identity:
        raise self._error()

    async def version(self) -> str:
        raise self._error()

    async def stat(self, path: str, *, deadline: float | None = None) -> Stat | None:
        raise self._error()

    async def size_of(self, cid: str, *, deadline: float | None = None) -> int | None:
        raise self._error()

    async def free(self, *, deadline: float | None = None) -> int | None:
        raise self._error()

    async def has(self, cid: str, *, deadline: float | None = None) -> bool:
        raise self._error()

    async def connect(self, address: str, *, deadline: float | None = None) -> None:
        raise self._error()

    async def flush(self, path: str = "/", *, deadline: float | None = None) -> str:
        raise self._error()

    async def remote_services(self) -> KuboServices:
        raise self._error()

    async def pin(self, cid: str, *, name: str, stall: float = 60.0) -> None:
        raise self._error()

    def pinning(self, cid: str, *, name: str, stall: float = 60.0) -> AsyncIterator[PinProgress]:
        raise self._error()

    async def unpin(self, cid: str) -> bool:
        raise self._error()

    def pins(self, *, kind: str = "recursive") -> AsyncIterator[LocalPin]:
        raise self._error()

    async def pinned(self, cid: str, *, kind: str = "recursive") -> LocalPin | None:
        raise self._error()

    async def pin_here(self, cid: str, *, name: str, stall: float = 120.0) -> bool:
        raise self._error()

    async def whole(self, cid: str, *, stall: float = 120.0) -> bool:
        raise self._error()

    async def block_get(self, cid: str, *, offline: bool = False, deadline: float | None = None) -> bytes:
        raise self._error()

    async def add(self, parts: Iterable[Part], *, layout: Layout | None = None) -> tuple[Added, ...]:
        raise self._error()

    async def import_car(
        self,
        data: AsyncIterable[bytes],
        *,
        pin_roots: bool = False,
        stall: float = 120.0,
    ) -> Imported:
        raise self._error()

    async def resolve_name(self, path: str, *, fresh: bool = False, deadline: float | None = None) -> Cid:
        raise self._error()

    def entries(self, cid: str) -> AsyncIterator[Entry]:
        raise self._error()
