"""The seam between the rest of pinrec and a Kubo node: what is asked of it, and what it can answer.

Every operation raises `core.errors.NodeError` and nothing else. Deadlines are the client's own, since Kubo's MFS
calls ignore `timeout=` (measured on 0.44).
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from reconciler.core.cid import Cid
from reconciler.core.question import Identity, KuboServices, Stat

if TYPE_CHECKING:
    from reconciler.node.multipart import Part
    from reconciler.node.upload import Added, Imported, Layout


class PinProgress(Struct, frozen=True, kw_only=True):
    """A line of `pin/add?progress=true`: nodes so far, and bytes (0 before Kubo 0.40)."""

    nodes: int
    bytes: int = 0
    done: bool = False


class LocalPin(Struct, frozen=True, kw_only=True):
    """A record of `pin/ls?names=true`."""

    cid: str
    kind: str
    name: str = ""


class Entry(Struct, frozen=True, kw_only=True):
    """A link of a directory, from `ls?stream=true` of its CID."""

    name: str
    cid: str
    size: int
    kind: str


class Node(Protocol):
    """A Kubo node. Times are seconds; a CID is text in any spelling."""

    @property
    def where(self) -> str:
        """How to name the node to a person: the API's address, without any token."""
        ...

    @property
    def requests(self) -> int: ...

    async def identity(self) -> Identity: ...

    async def version(self) -> str: ...

    async def stat(self, path: str, *, deadline: float | None = None) -> Stat | None:
        """`files/stat` of an MFS path; None if nothing is there."""
        ...

    async def size_of(self, cid: str, *, deadline: float | None = None) -> int | None:
        """Cumulative size of a DAG whose root is here, without asking the network; None if the root is not here."""
        ...

    async def free(self, *, deadline: float | None = None) -> int | None:
        """Bytes left below the node's StorageMax; None if it has none."""
        ...

    async def has(self, cid: str, *, deadline: float | None = None) -> bool:
        """Whether the block is in the local store. Never asks the network."""
        ...

    async def connect(self, address: str, *, deadline: float | None = None) -> None:
        """`swarm/connect` to a multiaddr with a peer id."""
        ...

    async def flush(self, path: str = "/", *, deadline: float | None = None) -> str:
        """`files/flush`; the CID of the path."""
        ...

    async def remote_services(self) -> KuboServices:
        """The services of the node's own remote pinning, from `config/show`, which shows no key."""
        ...

    async def pin(self, cid: str, *, name: str, stall: float = 60.0) -> None:
        """`pin/add`, recursive, always with its name, or Kubo erases the one that is there. It fails if nothing
        grows for `stall` seconds."""
        ...

    def pinning(self, cid: str, *, name: str, stall: float = 60.0) -> AsyncIterator[PinProgress]:
        """The same, with its progress; the last record is `done`."""
        ...

    async def unpin(self, cid: str) -> bool:
        """`pin/rm`, recursive; False if it was not pinned."""
        ...

    def pins(self, *, kind: str = "recursive") -> AsyncIterator[LocalPin]:
        """`pin/ls?names=true&stream=true`."""
        ...

    async def pinned(self, cid: str, *, kind: str = "recursive") -> LocalPin | None:
        """The recursive pin of a CID, or the `direct` one, if there is one."""
        ...

    async def pin_here(self, cid: str, *, name: str, stall: float = 120.0) -> bool:
        """`pin/add` of what is here, without asking the network; False if a block of it is not. Ask `pinned` first:
        it renames."""
        ...

    async def whole(self, cid: str, *, stall: float = 120.0) -> bool:
        """Whether every block of a DAG is here. Never asks the network."""
        ...

    async def block_get(self, cid: str, *, offline: bool = False, deadline: float | None = None) -> bytes:
        """The bytes of a block, checked against its CID. `offline` asks nobody else for it."""
        ...

    async def add(self, parts: "Iterable[Part]", *, layout: "Layout | None" = None) -> "tuple[Added, ...]":
        """`add` of files and directories, which are pinned by nothing. What reading them raises is raised as it is."""
        ...

    async def import_car(
        self, data: AsyncIterable[bytes], *, pin_roots: bool = False, stall: float = 120.0
    ) -> "Imported":
        """`dag/import` of one CAR file; the node checks each block."""
        ...

    async def resolve_name(self, path: str, *, fresh: bool = False, deadline: float | None = None) -> Cid:
        """What `/ipns/<name>[/path]` or `/ipfs/<cid>[/path]` leads to now. `fresh` asks the network where the node
        remembers an answer."""
        ...

    def entries(self, cid: str) -> AsyncIterator[Entry]:
        """What a directory holds, by its CID and never through MFS: `files/ls` of a big directory makes the next
        `files/stat` of a real Kubo hang."""
        ...
