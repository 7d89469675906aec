"""Who the node is, and whom it talks to."""

from collections.abc import AsyncGenerator

from msgspec import Struct, field

from reconciler.core.question import Identity
from reconciler.node.kubo import Kubo, args

_FOUND = 4


class Provider(Struct, frozen=True, kw_only=True):
    """A peer that says it has something. `addresses` are multiaddrs without its peer id."""

    peer_id: str
    addresses: tuple[str, ...] = ()


class _Id(Struct):
    peer_id: str = field(name="ID")
    # Without a network the node has none, and says null.
    addresses: list[str] | None = field(name="Addresses", default=None)
    agent: str = field(name="AgentVersion", default="")


class _Ledger(Struct, rename="pascal"):
    recv: int = 0


class _Version(Struct, rename="pascal"):
    version: str


class _Strings(Struct, rename="pascal"):
    strings: list[str] | None = None


class _Peer(Struct):
    id: str = field(name="ID")
    addrs: list[str] | None = field(name="Addrs", default=None)


class _Event(Struct, rename="pascal"):
    type: int = -1
    responses: list[_Peer] | None = None


async def identity(kubo: Kubo) -> Identity:
    """`id` of the node itself."""
    said = await kubo.json("id", (), _Id)
    return Identity(peer_id=said.peer_id, addresses=tuple(said.addresses or ()), agent=said.agent)


async def version(kubo: Kubo) -> str:
    """`0.44.0`, or `0.44.0-dev`."""
    return (await kubo.json("version", (), _Version)).version


async def connect(kubo: Kubo, address: str, *, deadline: float | None = None) -> None:
    """`swarm/connect`. It answers with an error if no address of the peer could be dialled."""
    said = await kubo.json("swarm/connect", args(address), _Strings, deadline=deadline, repeat=False)
    if not any(line.endswith("success") for line in said.strings or ()):
        raise kubo.error(
            "swarm/connect", "; ".join(said.strings or ()) or "the node does not say that it connected"
        )


async def received_from(kubo: Kubo, peer_id: str, *, deadline: float | None = None) -> int:
    """Bytes of blocks that a peer has sent the node since it started: `bitswap/ledger`.

    0 for a peer that the node never met. A block counts when it comes, asked for or not, twice if it comes twice.
    """
    return (await kubo.json("bitswap/ledger", args(peer_id), _Ledger, deadline=deadline)).recv


async def find_providers(
    kubo: Kubo, cid: str, *, most: int = 20, deadline: float | None = None
) -> AsyncGenerator[Provider, None]:
    """`routing/findprovs`: those who say that they have the block, each as soon as it is known."""
    query = args(cid, num_providers=most)
    deadline = kubo.timeout if deadline is None else deadline
    seen: set[str] = set()
    async for event in kubo.records("routing/findprovs", query, _Event, stall=deadline, deadline=deadline):
        for peer in event.responses or () if event.type == _FOUND else ():
            if peer.id not in seen:
                seen.add(peer.id)
                yield Provider(peer_id=peer.id, addresses=tuple(peer.addrs or ()))
