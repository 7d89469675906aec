"""A Kubo node over its RPC API, 0.28 to 0.44: `protocol.Node`, and what moving content needs beyond it."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable

from msgspec.structs import replace

from reconciler.core.cid import Cid
from reconciler.core.question import Identity, KuboServices, Stat
from reconciler.node import content, files, names, pins, remote, settings, swarm, upload, whole
from reconciler.node.kubo import Kubo
from reconciler.node.multipart import Part
from reconciler.node.protocol import Entry, LocalPin, PinProgress
from reconciler.node.remote import RemotePin
from reconciler.node.settings import RepoStat
from reconciler.node.swarm import Provider
from reconciler.node.upload import STALL, Added, Imported, Layout
from reconciler.transport.rpc import Rpc


class KuboNode:
    """Times are seconds, deadlines those of the manifest's `timeout` where none is given. Raises NodeError."""

    def __init__(self, rpc: Rpc, *, timeout: float) -> None:
        self._rpc = rpc
        self._version = ""
        #: The calls themselves, for the doctor.
        self.kubo = Kubo(rpc, timeout=timeout)

    @property
    def where(self) -> str:
        return self._rpc.where

    @property
    def requests(self) -> int:
        return self._rpc.requests

    async def identity(self) -> Identity:
        return await swarm.identity(self.kubo)

    async def version(self) -> str:
        self._version = await swarm.version(self.kubo)
        return self._version

    async def connect(self, address: str, *, deadline: float | None = None) -> None:
        await swarm.connect(self.kubo, address, deadline=deadline)

    def find_providers(
        self, cid: str, *, most: int = 20, deadline: float | None = None
    ) -> AsyncGenerator[Provider, None]:
        return swarm.find_providers(self.kubo, cid, most=most, deadline=deadline)

    async def received_from(self, peer_id: str, *, deadline: float | None = None) -> int:
        return await swarm.received_from(self.kubo, peer_id, deadline=deadline)

    # --- MFS ------------------------------------------------------------------------------------------------

    async def stat(self, path: str, *, deadline: float | None = None) -> Stat | None:
        return await files.stat(self.kubo, path, deadline=deadline)

    async def flush(self, path: str = "/", *, deadline: float | None = None) -> str:
        return await files.flush(self.kubo, path, deadline=deadline)

    async def remove(self, path: str, *, deadline: float | None = None) -> bool:
        return await files.remove(self.kubo, path, deadline=deadline)

    # --- content by CID -------------------------------------------------------------------------------------

    async def size_of(self, cid: str, *, deadline: float | None = None) -> int | None:
        return await files.size_of(self.kubo, cid, deadline=deadline)

    async def has(self, cid: str, *, deadline: float | None = None) -> bool:
        return await content.has(self.kubo, cid, deadline=deadline)

    async def is_whole(self, cid: str, *, deadline: float | None = None) -> bool:
        return await content.is_whole(self.kubo, cid, deadline=deadline)

    def entries(
        self, cid: str, *, offline: bool = False, kinds: bool = True, deadline: float | None = None
    ) -> AsyncGenerator[Entry, None]:
        return content.entries(self.kubo, cid, offline=offline, kinds=kinds, deadline=deadline)

    async def block_get(self, cid: str, *, offline: bool = False, deadline: float | None = None) -> bytes:
        return await content.block_get(self.kubo, cid, offline=offline, deadline=deadline)

    def cat(
        self,
        cid: str,
        *,
        offset: int = 0,
        length: int | None = None,
        offline: bool = False,
        stall: float | None = None,
    ) -> AsyncGenerator[bytes, None]:
        return content.cat(self.kubo, cid, offset=offset, length=length, offline=offline, stall=stall)

    async def resolve_name(self, path: str, *, fresh: bool = False, deadline: float | None = None) -> Cid:
        return await names.resolve_name(self.kubo, path, fresh=fresh, deadline=deadline)

    async def add(
        self,
        parts: Iterable[Part],
        *,
        layout: Layout | None = None,
        pin: bool = False,
        only_hash: bool = False,
        to_files: str = "",
        expected: str = "",
        stall: float = STALL,
    ) -> tuple[Added, ...]:
        layout = layout or Layout()
        if layout.max_links and pins.older(self._version or await self.version(), upload.MAX_LINKS):
            layout = replace(layout, max_links=0)
        return await upload.add(
            self.kubo,
            parts,
            layout=layout,
            pin=pin,
            only_hash=only_hash,
            to_files=to_files,
            expected=expected,
            stall=stall,
        )

    async def import_car(
        self, data: AsyncIterable[bytes], *, pin_roots: bool = False, stall: float = STALL
    ) -> Imported:
        return await upload.import_car(self.kubo, data, pin_roots=pin_roots, stall=stall)

    # --- pins -----------------------------------------------------------------------------------------------

    async def pin(self, cid: str, *, name: str, stall: float = 60.0) -> None:
        async for _ in pins.pinning(self.kubo, cid, name=name, stall=stall):
            pass

    def pinning(self, cid: str, *, name: str, stall: float = 60.0) -> AsyncGenerator[PinProgress, None]:
        return pins.pinning(self.kubo, cid, name=name, stall=stall)

    async def unpin(self, cid: str) -> bool:
        return await pins.unpin(self.kubo, cid)

    def pins(self, *, kind: str = "recursive") -> AsyncGenerator[LocalPin, None]:
        return pins.pins(self.kubo, kind=kind)

    async def pinned(self, cid: str, *, kind: str = "recursive") -> LocalPin | None:
        version = self._version or await self.version()
        return await pins.pinned(self.kubo, cid, kind=kind, version=version)

    async def pin_here(self, cid: str, *, name: str, stall: float = STALL) -> bool:
        return await whole.pin_here(self.kubo, cid, name=name, stall=stall)

    async def whole(self, cid: str, *, stall: float = STALL) -> bool:
        return await whole.whole(self.kubo, cid, stall=stall)

    # --- the node's own settings ----------------------------------------------------------------------------

    async def config(self) -> settings.Config:
        return await settings.config(self.kubo)

    async def remote_services(self) -> KuboServices:
        return (await self.config()).services()

    def remote_pins(self, service: str, *, stall: float = 60.0) -> AsyncGenerator[RemotePin, None]:
        return remote.remote_pins(self.kubo, service, stall=stall)

    async def remote_counts(self, *, deadline: float | None = None) -> dict[str, int]:
        return await remote.remote_counts(self.kubo, deadline=deadline)

    async def free(self, *, deadline: float | None = None) -> int | None:
        repo = await self.repo_stat(deadline=deadline)
        return repo.maximum - repo.size if repo.maximum > 0 else None

    async def repo_stat(self, *, count: bool = False, deadline: float | None = None) -> RepoStat:
        return await settings.repo_stat(self.kubo, count=count, deadline=deadline)
