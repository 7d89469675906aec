"""Names that a real Kubo publishes: followed through the node, and without one by its gateway."""

import asyncio
import base64
import contextlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from support.names import DnsServer, free_port

from reconciler.core.cid import Cid
from reconciler.core.errors import NodeError
from reconciler.core.manifest import Names, Node
from reconciler.core.question import NotKnown, Resolved
from reconciler.names.resolver import open_resolver
from reconciler.node.open import open_node

pytestmark = pytest.mark.kubo


@dataclass(frozen=True)
class Kubo:
    api: str
    gateway: str
    ipfs: Callable[..., str]

    def publish(self, key: str, value: str, *options: str) -> None:
        self.ipfs("name", "publish", "--allow-offline", f"--key={key}", *options, value)


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    folder = tmp_path_factory.mktemp("kubo")
    environ = {**os.environ, "IPFS_PATH": str(folder)}
    api, gateway = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"

    def ipfs(*arguments: str) -> str:
        done = subprocess.run(["ipfs", *arguments], env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    ipfs("init", "--profile", "test")
    ipfs("config", "Addresses.API", f"/ip4/127.0.0.1/tcp/{api.rpartition(':')[2]}")
    ipfs("config", "Addresses.Gateway", f"/ip4/127.0.0.1/tcp/{gateway.rpartition(':')[2]}")
    ipfs("config", "--json", "Addresses.Swarm", "[]")
    # So little that a folder of some thousand files is sharded.
    ipfs("config", "--json", "Import", '{"UnixFSHAMTDirectorySizeThreshold": "20KiB"}')
    process = subprocess.Popen(
        ["ipfs", "daemon", "--offline"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                request = urllib.request.Request(f"{api}/api/v0/version", method="POST")
                urllib.request.urlopen(request).close()
                break
            time.sleep(0.1)
        yield Kubo(api, gateway, ipfs)
    finally:
        process.terminate()
        process.wait()


def by_node(kubo: Kubo, path: str) -> Cid:
    async def go() -> Cid:
        async with open_node(Node(api=kubo.api), environ={}) as node:
            return await node.resolve_name(path, fresh=True, deadline=20.0)

    return asyncio.run(go())


def by_gateway(kubo: Kubo, path: str, dns: str = "127.0.0.1:1") -> Resolved | NotKnown:
    async def go() -> Resolved | NotKnown:
        async with open_resolver(Names(gateways=(kubo.gateway,), dns=dns), environ={}) as resolver:
            return await resolver.resolve(path)

    return asyncio.run(go())


@pytest.fixture(scope="module")
def site(kubo: Kubo, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("site")
    (folder / "guide" / "deep").mkdir(parents=True)
    (folder / "guide" / "deep" / "ünïcode 100%.txt").write_text("hello")
    for n in range(3000):
        (folder / "guide" / f"page number {n} of many, with a long name.html").write_text(str(n))
    return kubo.ipfs("add", "-Qr", "--cid-version=1", str(folder))


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "secp256k1"])
@pytest.mark.parametrize("v1", ["true", "false"])
def test_a_name_of_each_kind_of_key(kubo: Kubo, site: str, kind: str, v1: str) -> None:
    with contextlib.suppress(AssertionError):
        kubo.ipfs("key", "gen", f"--type={kind}", kind)
    kubo.publish(kind, f"/ipfs/{site}/guide", f"--v1compat={v1}")
    expected = kubo.ipfs("resolve", f"/ipfs/{site}/guide").removeprefix("/ipfs/")
    for base in ("b58mh", "base36", "base32"):
        lines = kubo.ipfs("key", "list", "-l", f"--ipns-base={base}").splitlines()
        [name] = [line.split()[0] for line in lines if line.split()[1] == kind]
        assert by_node(kubo, f"/ipns/{name}").text == expected
        answer = by_gateway(kubo, f"/ipns/{name}")
        assert isinstance(answer, Resolved), answer
        assert answer.cid.text == expected


@pytest.mark.parametrize(
    "below",
    ["", "/guide", "/guide/deep", "/guide/deep/ünïcode 100%.txt"]
    + [f"/guide/page number {n} of many, with a long name.html" for n in (0, 7, 1234, 2999)],
)
def test_a_path_below_a_root_is_the_same_both_ways(kubo: Kubo, site: str, below: str) -> None:
    path = f"/ipfs/{site}{below}"
    answer = by_gateway(kubo, path)
    assert isinstance(answer, Resolved), answer
    assert by_node(kubo, path) == answer.cid
    assert kubo.ipfs("resolve", path) == f"/ipfs/{answer.cid.text}"


def test_the_sharded_folder_is_one(kubo: Kubo, site: str) -> None:
    """Else the test above would not be about what it says."""
    guide = kubo.ipfs("resolve", f"/ipfs/{site}/guide").removeprefix("/ipfs/")
    data = json.loads(kubo.ipfs("dag", "get", guide))["Data"]["/"]["bytes"]
    # Field 1, the kind, is 5.
    assert base64.b64decode(data + "==")[:2] == b"\x08\x05"


def test_what_is_not_there_is_not_known_either_way(kubo: Kubo, site: str) -> None:
    with pytest.raises(NodeError, match="no link named"):
        by_node(kubo, f"/ipfs/{site}/nope")
    answer = by_gateway(kubo, f"/ipfs/{site}/nope")
    assert isinstance(answer, NotKnown)
    assert "there is no 'nope'" in answer.why


def test_a_name_that_was_never_published(kubo: Kubo) -> None:
    name = kubo.ipfs("key", "gen", "silent")
    with pytest.raises(NodeError, match="name/resolve"):
        by_node(kubo, f"/ipns/{name}")
    answer = by_gateway(kubo, f"/ipns/{name}")
    assert isinstance(answer, NotKnown)
    assert "no gateway has a record" in answer.why


def test_a_domain_that_leads_to_a_key_that_leads_to_a_folder(kubo: Kubo, site: str) -> None:
    name = kubo.ipfs("key", "gen", "behind")
    kubo.publish("behind", f"/ipfs/{site}")
    with DnsServer({"_dnslink.docs.example": [f"dnslink=/ipns/{name}"]}) as server:
        answer = by_gateway(kubo, "/ipns/docs.example/guide/deep", server.address)
    assert isinstance(answer, Resolved), answer
    assert kubo.ipfs("resolve", f"/ipfs/{site}/guide/deep") == f"/ipfs/{answer.cid.text}"


def test_a_name_that_moves(kubo: Kubo, site: str) -> None:
    name = kubo.ipfs("key", "gen", "moving")
    for value in (f"/ipfs/{site}", f"/ipfs/{site}/guide", f"/ipfs/{site}"):
        kubo.publish("moving", value, "--ttl=1h")
        expected = kubo.ipfs("resolve", value).removeprefix("/ipfs/")
        assert by_node(kubo, f"/ipns/{name}").text == expected
        answer = by_gateway(kubo, f"/ipns/{name}")
        assert isinstance(answer, Resolved)
        assert answer.cid.text == expected
