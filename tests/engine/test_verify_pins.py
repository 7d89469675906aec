"""Looks at single pins, over sockets: a gateway that is honest or lies, peers of a node that give or do not."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from support.verifying import (
    BLOCKS,
    CID,
    KEY,
    LEAVES,
    SWARM_OF_OTHER,
    manifest_of,
    opened,
    pin_by_hand,
    service_of,
)

from reconciler.core.manifest import Manifest
from reconciler.core.unixfs import address
from reconciler.core.verified import Target, Verified
from reconciler.engine.verify_pins import (
    open_verifier,
)
from reconciler.sandbox import SPEC, Network, Sandbox, SandboxNode
from reconciler.sandbox.mishaps import MISHAPS
from reconciler.sandbox.quirks import with_quirks
from reconciler.sandbox.script import Rule, Script


def silent(path: str = "*") -> Script:
    """What is asked at this path gets no answer."""
    return Script([Rule(mishap=MISHAPS["hang"], value=60.0, path=path)])


@pytest.fixture
def honest() -> Iterator[Sandbox]:
    with Sandbox((KEY,)) as sandbox:
        sandbox.give(BLOCKS)
        yield sandbox


def target(service: str = "box", cid: str = CID, delegates: tuple[str, ...] | None = ()) -> Target:
    return Target(service=service, requestid="r1", cid=cid, name="docs", delegates=delegates)


async def look(manifest: Manifest, at: Target, *, below: int = 3, patience: float = 20.0) -> Verified:
    async with (
        opened(manifest) as ctx,
        open_verifier(manifest, ctx, below=below, seed=7, patience=patience) as verifier,
    ):
        return await verifier.one(at)


def by_gateway(sandbox: Sandbox, *, below: int = 3, patience: float = 20.0, cid: str = CID) -> Verified:
    return asyncio.run(
        look(manifest_of(service_of(sandbox)), target(cid=cid), below=below, patience=patience)
    )


# --- by the gateway -----------------------------------------------------------------------------------------------


def test_blocks_of_an_honest_gateway_are_those_of_their_cids(honest: Sandbox) -> None:
    found = by_gateway(honest)
    assert (found.verdict, found.how, found.blocks, found.why) == ("retrieved", "gateway", 4, "")
    asked = [r for r in honest.requests if r.path.startswith("/ipfs/")]
    assert asked[0].path == f"/ipfs/{CID}"
    assert {r.query for r in asked} == {"format=raw"}
    assert len({r.path for r in asked}) == 4


def test_all_of_a_small_dag_is_enough(honest: Sandbox) -> None:
    assert by_gateway(honest, below=1000).blocks == len(BLOCKS)
    assert by_gateway(honest, below=0).blocks == 1


@pytest.mark.parametrize(
    ("serves", "says", "blocks"),
    [
        ("nothing", "answers 404", 0),
        ("wrong", "gave bytes that are not those of the CID", 0),
        ("root", "answers 404", 1),
    ],
)
def test_a_service_that_lies_is_found_out(serves: str, says: str, blocks: int) -> None:
    with Sandbox((KEY,), personality=with_quirks(SPEC, [f"serves={serves}"])) as liar:
        liar.give(BLOCKS)
        pin_by_hand(liar)
        found = by_gateway(liar)
    assert (found.verdict, found.how, found.blocks) == ("unretrievable", "gateway", blocks)
    assert says in found.why


def test_a_leaf_that_is_lost_is_found_when_all_are_looked_at(honest: Sandbox) -> None:
    lost = address.to_text(LEAVES[3])
    assert honest.lose(lost)
    found = by_gateway(honest, below=len(LEAVES))
    assert found.verdict == "unretrievable"
    assert lost in found.why


def test_what_is_no_gateway_makes_no_pin_a_lie() -> None:
    with Sandbox((KEY,), personality=with_quirks(SPEC, ["gateway=none"])) as none:
        found = by_gateway(none)
    assert found.verdict == "cannot-tell"
    assert "no trustless gateway answers there" in found.why


def test_neither_does_one_that_is_down_or_wants_a_key(honest: Sandbox) -> None:
    down = manifest_of(service_of(honest, gateway="http://127.0.0.1:9"))
    found = asyncio.run(look(down, target()))
    assert found.verdict == "cannot-tell"
    assert "cannot be reached" in found.why
    with Sandbox((KEY,), personality=with_quirks(SPEC, ["gateway=key"])) as closed:
        closed.give(BLOCKS)
        assert by_gateway(closed).why == f"{_host(closed)} answers 401"
        keyed = manifest_of(service_of(closed, key=True))
        assert asyncio.run(look(keyed, target())).verdict == "retrieved"


def test_a_block_that_does_not_come_is_asked_for_twice_and_then_missing(honest: Sandbox) -> None:
    with Sandbox((KEY,), faults=silent(f"/ipfs/{CID}")) as mute:
        found = by_gateway(mute, patience=1.0)
        assert found.verdict == "unretrievable"
        assert "within 0.25 s, twice" in found.why


def test_a_gateway_that_gives_nothing_to_anybody_is_no_lie() -> None:
    with Sandbox((KEY,), faults=silent()) as mute:
        found = by_gateway(mute, patience=0.4)
    assert found.verdict == "cannot-tell"


@pytest.mark.parametrize(
    ("mishap", "value", "says"),
    [
        ("html", 0.0, "the empty block bafkqaaa is answered with 200 and other bytes"),
        ("delay", 0.6, "the empty block did not come within 0.25 s"),
    ],
)
def test_a_web_page_for_everything_and_one_slower_than_asked_for_are_no_lie(
    mishap: str, value: float, says: str
) -> None:
    rule = Rule(mishap=MISHAPS[mishap], value=value, path="/ipfs/*")
    with Sandbox((KEY,), faults=Script([rule])) as site:
        site.give(BLOCKS)
        found = by_gateway(site, patience=1.0)
    assert found.verdict == "cannot-tell"
    assert says in found.why


def test_hashes_that_cannot_be_checked_are_said(honest: Sandbox) -> None:
    blake3 = address.to_text(b"\x01\x55\x1e\x20" + bytes(32))
    found = by_gateway(honest, cid=blake3)
    assert found.verdict == "cannot-tell"
    assert found.why == "its hash (multicodec 0x1e) cannot be checked here"
    blake2 = b"\x01\x55\xa0\xe4\x02\x20" + hashlib.blake2b(b"hello", digest_size=32).digest()
    honest.give({blake2: b"hello"})
    assert by_gateway(honest, cid=address.to_text(blake2)).verdict == "retrieved"


def test_links_of_dag_cbor_are_gone_into(honest: Sandbox) -> None:
    leaf = LEAVES[0]
    node = b"\xa1\x61a\xd8\x2a\x58" + bytes([len(leaf) + 1]) + b"\x00" + leaf
    cid = b"\x01\x71\x12\x20" + hashlib.sha256(node).digest()
    honest.give({cid: node})
    assert by_gateway(honest, cid=address.to_text(cid)).blocks == 2


def test_content_in_the_cid_itself_needs_nobody(honest: Sandbox) -> None:
    found = by_gateway(honest, cid="bafkqablimvwgy3y")
    assert (found.verdict, found.blocks) == ("retrieved", 0)


def test_without_gateway_and_node_nothing_can_be_told(honest: Sandbox) -> None:
    found = asyncio.run(look(manifest_of(service_of(honest, gateway=None)), target()))
    assert found.verdict == "cannot-tell"
    assert "no gateway" in found.why


# --- through the node ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def beside(*quirks: str) -> AsyncIterator[tuple[Sandbox, SandboxNode, Manifest]]:
    """A service that has the blocks, and a node that has not, in one network."""
    network = Network()
    with (
        Sandbox((KEY,), network=network, personality=with_quirks(SPEC, quirks)) as sandbox,
        SandboxNode(network=network, seed="mine") as node,
    ):
        sandbox.give(BLOCKS)
        yield sandbox, node, manifest_of(service_of(sandbox, gateway=None), node=node.api)


def through_node(*quirks: str, patience: float = 20.0, delegates: tuple[str, ...] | None = None) -> Verified:
    async def main() -> Verified:
        async with beside(*quirks) as (sandbox, _node, manifest):
            named = sandbox.delegates if delegates is None else delegates
            return await look(manifest, target(delegates=named), patience=patience)

    return asyncio.run(main())


def test_blocks_that_a_named_peer_sent_are_the_services() -> None:
    found = through_node()
    assert (found.verdict, found.how, found.blocks) == ("retrieved", "delegates", 4)


def test_a_connected_peer_that_gives_nothing_is_a_lie() -> None:
    found = through_node("serves=nothing", patience=2.0)
    assert (found.verdict, found.how) == ("unretrievable", "delegates")
    assert "though it is connected to all peers that the service names" in found.why


def test_a_peer_that_cannot_be_reached_is_none() -> None:
    away = "/ip4/127.0.0.1/tcp/4999/p2p/12D3KooWDcsZcmWMhDcEjeqR9qYqYkrjwH9tnSM4PDk6XW4UBVgW"
    found = through_node(patience=2.0, delegates=(away,))
    assert found.verdict == "cannot-tell"
    assert "of 1 peers that the service names 0 were reached" in found.why


def test_without_delegates_nothing_shows_whose_it_was() -> None:
    found = through_node(patience=2.0, delegates=())
    assert found.verdict == "cannot-tell"
    assert "names no peer" in found.why


def test_what_came_from_others_shows_nothing_of_the_service() -> None:
    async def main() -> tuple[Verified, Verified]:
        async with beside("serves=nothing") as (sandbox, node, manifest):
            with SandboxNode(network=node.network, seed="other", swarm=SWARM_OF_OTHER) as other:
                for cid, block in BLOCKS.items():
                    other.state.blocks.put(cid, block)
                node.network.dial(node.peer_id, other.peer_id, SWARM_OF_OTHER[0])
                named = await look(manifest, target(delegates=sandbox.delegates))
                sandbox_too = await look(manifest, target(delegates=other.addresses))
                return named, sandbox_too

    named, here = asyncio.run(main())
    assert (named.verdict, named.how) == ("retrievable", "node")
    # By now the node has all that was sampled itself, and the other announces it.
    assert (here.verdict, here.how) == ("announced", "providers")


def test_what_the_node_has_itself_shows_nothing() -> None:
    async def main() -> Verified:
        async with beside("serves=nothing") as (sandbox, node, manifest):
            for cid, block in BLOCKS.items():
                node.state.blocks.put(cid, block)
            return await look(manifest, target(delegates=sandbox.delegates))

    found = asyncio.run(main())
    assert (found.verdict, found.why) == ("cannot-tell", "the node has it itself")


def test_the_node_helps_where_the_gateway_tells_nothing() -> None:
    async def main() -> Verified:
        async with beside("gateway=none") as (sandbox, node, _):
            manifest = manifest_of(service_of(sandbox), node=node.api)
            return await look(manifest, target(delegates=sandbox.delegates))

    assert asyncio.run(main()).how == "delegates"


def test_delegates_are_read_again_where_they_are_not_known() -> None:
    async def main() -> tuple[Verified, Verified]:
        async with beside() as (sandbox, _node, manifest):
            requestid = pin_by_hand(sandbox)
            there = Target(service="box", requestid=requestid, cid=CID, name="docs")
            return await look(manifest, there), await look(manifest, target(delegates=None))

    pinned, gone = asyncio.run(main())
    assert pinned.verdict == "retrieved"
    assert gone.why == "it is not called pinned any more"


def test_a_node_that_is_down_tells_nothing() -> None:
    async def main() -> Verified:
        async with beside() as (sandbox, node, manifest):
            node.stop()
            return await look(manifest, target(delegates=sandbox.delegates), patience=5.0)

    found = asyncio.run(main())
    assert found.verdict == "cannot-tell"
    assert "cannot be reached" in found.why


def _host(sandbox: Sandbox) -> str:
    return sandbox.url.removeprefix("http://")
