"""A node that is declared and cannot even be asked: the file with its address is not there, say.

What needs the node is then unknown, and what does not goes on.
"""

from collections.abc import AsyncIterable, AsyncIterator

from reconciler.core.cid import Cid
from reconciler.core.errors import NodeError
from reconciler.core.question import Identity, KuboServices, Stat
from reconciler.node.protocol import Entry, LocalPin, PinProgress
from reconciler.node.upload import Imported


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

    async def stat(self, path: str, *, deadline: float | None = None) -> Stat | None:  # noqa: ARG002 (the seam's)
        raise self._error()

    async def size_of(self, cid: str, *, deadline: float | None = None) -> int | None:  # noqa: ARG002 (the seam's)
        raise self._error()

    async def free(self, *, deadline: float | None = None) -> int | None:  # noqa: ARG002 (the seam's)
        raise self._error()

    async def has(self, cid: str, *, deadline: float | None = None) -> bool:  # noqa: ARG002 (the seam's)
        raise self._error()

    async def connect(self, address: str, *, deadline: float | None = None) -> None:  # noqa: ARG002 (the seam's)
        raise self._error()

    async def flush(self, path: str = "/", *, deadline: float | None = None) -> str:  # noqa: ARG002 (the seam's)
        raise self._error()

    async def remote_services(self) -> KuboServices:
        raise self._error()

    async def pin(self, cid: str, *, name: str, stall: float = 60.0) -> None:  # noqa: ARG002 (the seam's)
        raise self._error()

    def pinning(self, cid: str, *, name: str, stall: float = 60.0) -> AsyncIterator[PinProgress]:  # noqa: ARG002 (the seam's)
        raise self._error()

    async def unpin(self, cid: str) -> bool:  # noqa: ARG002 (the seam's)
        raise self._error()

    def pins(self, *, kind: str = "recursive") -> AsyncIterator[LocalPin]:  # noqa: ARG002 (the seam's)
        raise self._error()

    async def pinned(self, cid: str) -> LocalPin | None:  # noqa: ARG002 (the seam's)
        raise self._error()

    async def pin_here(self, cid: str, *, name: str, stall: float = 120.0) -> bool:  # noqa: ARG002 (the seam's)
        raise self._error()

    async def whole(self, cid: str, *, stall: float = 120.0) -> bool:  # noqa: ARG002 (the seam's)
        raise self._error()

    async def import_car(
        self,
        data: AsyncIterable[bytes],  # noqa: ARG002 (the seam's)
        *,
        pin_roots: bool = False,  # noqa: ARG002 (the seam's)
        stall: float = 120.0,  # noqa: ARG002 (the seam's)
    ) -> Imported:
        raise self._error()

    async def resolve_name(self, path: str, *, fresh: bool = False, deadline: float | None = None) -> Cid:  # noqa: ARG002 (the seam's)
        raise self._error()

    def entries(self, cid: str) -> AsyncIterator[Entry]:  # noqa: ARG002 (the seam's)
        raise self._error()
