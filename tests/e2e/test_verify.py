"""What `verify` makes of a real Kubo: its gateway as that of a service, and itself as a service's peer."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.core.manifest import Manifest, Node, SecretRef, Service, Verify
from reconciler.core.profile import PROFILES
from reconciler.core.verified import Target, Verified
from reconciler.engine.context import Context
from reconciler.engine.verify_pins import open_verifier
from reconciler.node.open import open_node

pytestmark = pytest.mark.kubo

#: Of 256 KiB each below one root.
LEAVES = 6


@dataclass(frozen=True, slots=True)
class Peer:
    """A node with a gateway."""

    node: Any  # e2e/conftest.py's Kubo
    gateway: str

    @property
    def delegates(self) -> tuple[str, ...]:
        return addresses(self.node)

    def put(self, seed: int) -> tuple[str, list[str]]:
        """A file of its own, unpinned; its root and its leaves."""
        content = b"".join(bytes([seed, i]) * (128 * 1024) for i in range(LEAVES))
        options = ("--pin=false", "--cid-version=1", "--chunker=size-262144")
        root = self.node.ipfs("add", "-Q", *options, text=content)
        return root, self.node.ipfs("refs", root).split()

    def lose(self, cid: str) -> None:
        self.node.ipfs("block", "rm", cid)


def addresses(node: Any) -> tuple[str, ...]:
    return tuple(a for a in node.ipfs("id", "-f", "<addrs>").splitlines() if "/tcp/" in a)


Make = Callable[[str], Any]


def peer_of(kubo: Make, *, fetches: bool) -> Peer:
    """`fetches`: it looks elsewhere for what it has not, for two seconds."""
    made = kubo("peer")
    made.ipfs("config", "Addresses.Gateway", "/ip4/127.0.0.1/tcp/0")
    made.ipfs("config", "--json", "Gateway.NoFetch", json.dumps(not fetches))
    made.ipfs("config", "Gateway.RetrievalTimeout", "2s")
    made.start()
    return Peer(made, (made.folder / "repo/gateway").read_text().strip())


@pytest.fixture
def peer(kubo: Make) -> Peer:
    return peer_of(kubo, fetches=False)


@pytest.fixture
def node(kubo: Make) -> Any:
    return kubo("node").start()


def look(
    cid: str,
    *,
    gateway: str = "",
    node: str = "",
    delegates: tuple[str, ...] = (),
    below: int = LEAVES,
    patience: float = 60.0,
) -> Verified:
    service = Service(
        name="box",
        endpoint="http://127.0.0.1:9",
        key=SecretRef(kind="env", value=("BOX_KEY",)),
        profile=PROFILES["spec"],
        verify=Verify(gateway=gateway) if gateway else None,
    )
    manifest = Manifest(owner="acme", services={"box": service}, entries=[])
    target = Target(service="box", requestid="r1", cid=cid, name="docs", delegates=delegates)

    async def found(ctx: Context) -> Verified:
        async with open_verifier(manifest, ctx, below=below, patience=patience) as verifier:
            return await verifier.one(target)

    async def main() -> Verified:
        now = datetime.now(UTC)
        if not node:
            return await found(Context(now=now, services={}, new_id=lambda: "id"))
        async with open_node(Node(api=node), environ={}) as opened:
            return await found(Context(now=now, services={}, new_id=lambda: "id", node=opened))

    return asyncio.run(main())


def test_by_a_gateway_with_all_blocks_and_with_one_less(peer: Peer) -> None:
    root, leaves = peer.put(1)
    whole = look(root, gateway=peer.gateway)
    assert (whole.verdict, whole.how, whole.blocks) == ("retrieved", "gateway", LEAVES + 1)
    peer.lose(leaves[2])
    less = look(root, gateway=peer.gateway)
    assert (less.verdict, less.how) == ("unretrievable", "gateway")
    assert f"{leaves[2]}: " in less.why
    peer.lose(root)
    assert look(root, gateway=peer.gateway, below=0).verdict == "unretrievable"


def test_by_a_gateway_that_looks_elsewhere_first(kubo: Make) -> None:
    peer = peer_of(kubo, fetches=True)
    root, leaves = peer.put(2)
    peer.lose(leaves[0])
    found = look(root, gateway=peer.gateway)
    assert found.verdict == "unretrievable"
    assert "answers 504, twice" in found.why


def test_the_rpc_api_is_no_gateway_and_makes_no_pin_a_lie(peer: Peer) -> None:
    root, _ = peer.put(3)
    assert look(root, gateway=peer.node.api).verdict == "cannot-tell"


def test_through_a_node_what_its_books_say_a_peer_sent(peer: Peer, node: Any) -> None:
    root, leaves = peer.put(4)
    found = look(root, node=node.api, delegates=peer.delegates)
    assert (found.verdict, found.how, found.blocks) == ("retrieved", "delegates", LEAVES + 1), found
    # It is all in the node now, and shows nothing any more.
    again = look(root, node=node.api, delegates=peer.delegates)
    assert again.verdict in ("announced", "cannot-tell"), again
    assert again.blocks == 0
    gone, leaves = peer.put(5)
    peer.lose(leaves[1])
    lie = look(gone, node=node.api, delegates=peer.delegates, patience=20.0)
    assert (lie.verdict, lie.how) == ("unretrievable", "delegates"), lie
    assert leaves[1] in lie.why


def test_through_a_node_what_another_peer_sent_is_not_the_services(kubo: Make, peer: Peer, node: Any) -> None:
    other = kubo("other").start()
    root, _ = peer.put(6)
    node.ipfs("swarm", "connect", peer.delegates[0])
    found = look(root, node=node.api, delegates=addresses(other))
    assert (found.verdict, found.how) == ("retrievable", "node"), found
