"""The sandbox's trustless gateway, and what it and its peers give away with each habit."""

import hashlib
from collections.abc import Callable

import httpx
import pytest

from reconciler.core.unixfs import address, file, params
from reconciler.sandbox import SPEC, Network, Sandbox, SandboxNode
from reconciler.sandbox.quirks import with_quirks

TOKEN = "first-token"
Talk = Callable[..., httpx.Client]
BLOCKS: dict[bytes, bytes] = {}
CID = address.to_text(
    file.build([bytes(range(100))], params.given(params.KUBO_V1, chunker="size-50"), BLOCKS.__setitem__).cid
)
LEAF = next(address.to_text(cid) for cid in BLOCKS if address.to_text(cid) != CID)


def get(url: str, path: str, **headers: str) -> httpx.Response:
    return httpx.get(url + path, headers=headers, trust_env=False, timeout=30)


def test_a_block_as_the_specification_has_it() -> None:
    with Sandbox([TOKEN]) as sandbox:
        sandbox.give(BLOCKS)
        by_query = get(sandbox.url, f"/ipfs/{LEAF}?format=raw")
        by_header = get(sandbox.url, f"/ipfs/{LEAF}", accept="application/vnd.ipld.raw")
        assert by_query.status_code == by_header.status_code == 200
        assert by_query.content == by_header.content == BLOCKS[address.from_text(LEAF)]
        assert by_query.headers["content-type"] == "application/vnd.ipld.raw"
        assert by_query.headers["etag"] == f'"{LEAF}.raw"'
        assert get(sandbox.url, "/ipfs/bafkqaaa?format=raw").content == b""
        assert get(sandbox.url, f"/ipfs/{LEAF}?format=car").status_code == 406
        assert get(sandbox.url, f"/ipfs/{LEAF}").status_code == 406
        assert get(sandbox.url, "/ipfs/nonsense?format=raw").status_code == 400
        assert sandbox.lose(LEAF)
        assert not sandbox.lose(LEAF)
        assert get(sandbox.url, f"/ipfs/{LEAF}?format=raw").status_code == 404


@pytest.mark.parametrize(
    ("serves", "root", "leaf"), [("all", 200, 200), ("root", 200, 404), ("nothing", 404, 404)]
)
def test_what_it_gives_of_what_it_holds(talk: Talk, serves: str, root: int, leaf: int) -> None:
    network = Network()
    with (
        Sandbox([TOKEN], network=network, personality=with_quirks(SPEC, [f"serves={serves}"])) as sandbox,
        SandboxNode(network=network) as node,
        talk(sandbox) as api,
    ):
        sandbox.give(BLOCKS)
        api.post("/pins", json={"cid": CID})
        assert get(sandbox.url, f"/ipfs/{CID}?format=raw").status_code == root
        assert get(sandbox.url, f"/ipfs/{LEAF}?format=raw").status_code == leaf
        # Peers get as much, and every gateway has what is in a CID.
        network.dial(node.peer_id, network_peer(sandbox), "/ip4/127.0.0.1/tcp/4101")
        for cid, status in ((CID, root), (LEAF, leaf)):
            held = network.holding(node.peer_id, address.multihash(address.from_text(cid)))
            assert bool(held) is (status == 200)
        assert get(sandbox.url, "/ipfs/bafkqaaa?format=raw").status_code == 200


def test_wrong_bytes_are_given_at_the_gateway_only() -> None:
    network = Network()
    with (
        Sandbox([TOKEN], network=network, personality=with_quirks(SPEC, ["serves=wrong"])) as sandbox,
        SandboxNode(network=network) as node,
    ):
        sandbox.give(BLOCKS)
        given = get(sandbox.url, f"/ipfs/{LEAF}?format=raw")
        assert given.status_code == 200
        assert hashlib.sha256(given.content).digest() != address.multihash(address.from_text(LEAF))[2:]
        network.dial(node.peer_id, network_peer(sandbox), "/ip4/127.0.0.1/tcp/4101")
        assert not network.holding(node.peer_id, address.multihash(address.from_text(LEAF)))


def test_a_gateway_may_want_the_key_or_not_be_there() -> None:
    with Sandbox([TOKEN], personality=with_quirks(SPEC, ["gateway=key"])) as sandbox:
        sandbox.give(BLOCKS)
        assert get(sandbox.url, f"/ipfs/{CID}?format=raw").status_code == 401
        assert get(sandbox.url, f"/ipfs/{CID}?format=raw", authorization=f"Bearer {TOKEN}").status_code == 200
    with Sandbox([TOKEN], personality=with_quirks(SPEC, ["gateway=none"])) as sandbox:
        sandbox.give(BLOCKS)
        assert get(sandbox.url, "/ipfs/bafkqaaa?format=raw").status_code == 404


def network_peer(sandbox: Sandbox) -> str:
    return sandbox.delegates[0].rpartition("/")[2]
