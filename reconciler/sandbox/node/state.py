"""Everything that a node has: what commands work on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from reconciler.core.unixfs import address
from reconciler.core.unixfs import params as params_of
from reconciler.core.unixfs.params import Params
from reconciler.sandbox.network import Network, Peer
from reconciler.sandbox.node.blocks import Blocks, Patience
from reconciler.sandbox.node.call import Arguments, Usage
from reconciler.sandbox.node.faults import NodeFaults
from reconciler.sandbox.node.mfs import Mfs
from reconciler.sandbox.node.pinset import Pins
from reconciler.sandbox.node.reply import Reply
from reconciler.sandbox.node.settings import Settings
from reconciler.sandbox.node.upload import Upload
from reconciler.sandbox.peers import Identity

#: What Kubo's `init` pins: a directory of nothing.
EMPTY = address.from_text("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn")


class State:
    """It outlives a restart of the node, as a repository does."""

    def __init__(
        self, network: Network, identity: Identity, swarm: tuple[str, ...], faults: NodeFaults, version: str
    ) -> None:
        self.network = network
        self.faults = faults
        self.version = version
        self.blocks = Blocks(network)
        self.settings = Settings()
        self.mfs = Mfs(self.blocks, faults, self.params())
        self.pins = Pins()
        self.pins.add(EMPTY, recursive=True, name="")
        #: IPNS name or domain → path.
        self.names: dict[str, str] = {}
        #: What `swarm/connect` was asked for, with why it failed or "".
        self.dials: list[tuple[str, str]] = []
        #: Peer id → transports that were ever named for it.
        self.addresses: dict[str, list[str]] = {}
        self.unflushed = 0
        #: What every request must carry, as `API.Authorizations` has it; "" lets everybody in.
        self.token = ""
        self.be(identity, swarm)

    def be(self, identity: Identity, swarm: tuple[str, ...], *, dialable: bool = True) -> None:
        """Who the node is from its next start on."""
        self.identity = identity
        self.swarm = swarm
        self.blocks.belong_to(identity.peer_id)
        self.settings.set("Identity.PeerID", identity.peer_id)
        self.peer = Peer(
            peer_id=identity.peer_id,
            addresses=tuple(f"{transport}/p2p/{identity.peer_id}" for transport in swarm),
            blocks=self.blocks.held,
            agent=f"kubo/{self.version}",
            public_key=identity.public_key,
            dialable=dialable,
        )

    def params(self) -> Params:
        """How content is cut and linked where no option says otherwise: `Import.*` of the configuration."""
        base = params_of.KUBO
        get = self.settings.imports
        raw = get.get("UnixFSRawLeaves")
        version: Literal[0, 1] = 1 if get.get("CidVersion") == 1 else 0
        base = params_of.given(
            base,
            cid_version=version,
            raw_leaves=raw if isinstance(raw, bool) else None,
            chunker=str(get.get("UnixFSChunker") or ""),
            max_file_links=_number(get.get("UnixFSFileMaxLinks")),
        )
        if get.get("UnixFSHAMTDirectorySizeEstimation") == "block":
            base = msgspec.structs.replace(base, shard_by="block")
        return base

    def patience(self, call: Arguments) -> Patience:
        """How long this request waits for blocks of others."""
        until = None if call.timeout is None else asyncio.get_running_loop().time() + call.timeout
        return Patience(until, call.offline)


Run: TypeAlias = Callable[[State, Arguments, Upload], Awaitable[Reply]]


class Command(Struct, frozen=True):
    run: Run
    usage: Usage = Usage()


Table: TypeAlias = dict[str, Command]


def show(cid: bytes, call: Arguments) -> str:
    """A CID as the request wants to see it: `cid-base` makes a CIDv0 a CIDv1."""
    return address.to_cid(cid).canonical if call.cid_base else address.to_text(cid)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
