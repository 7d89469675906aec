"""pinrec doctor --node: what it finds, on a node that is scripted to have it, and how that is shown."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.main import run as pinrec
from reconciler.cli.render.node_doctor import examination as render
from reconciler.core.errors import NodeError
from reconciler.core.kubo_config import switch_off
from reconciler.core.manifest import SecretRef, Service
from reconciler.core.profile import Profile
from reconciler.node.doctor import examine
from reconciler.node.findings import NodeExamination, NodeFinding
from reconciler.node.lazy import Walker

PEER = "12D3KooWEJX1NVfZeL2UXLUjNamJoqeryBWz4ppC2mVXUUZQLB6s"
ROOT = "QmdT8D8JH5Pa4uWJtqojW6jw3UVpJ3F6Wdw5ZV4wRqap7i"
DIR, SUB = "QmXDpHSW8uTyLvc2R5JzpNDNjpYQrcQotTHKKv3n91aYWt", "QmT8eNAZxcQXkHPTB6nV8mj5Qc3ZXv5ih2gfGzw12y5CXM"
FILE, RAW = (
    "QmfNa6aH4Rr88dcG28J2bQT9ThMSLCe6o1NNYDXdwCq5rM",
    "bafkreict7ec2jra7vwfgxzwcuvkh66afpalnoxex2qrfsrxvq4cg6cgzve",
)
PUBLIC = f"/ip4/93.184.216.34/tcp/4001/p2p/{PEER}"


def service(name: str, endpoint: str) -> Service:
    return Service(name=name, endpoint=endpoint, key=SecretRef(kind="env", value=("K",)), profile=Profile())


BOX = service("box", "https://psa.example.com/psa")


def remote(**services: tuple[str, bool]) -> dict[str, Any]:
    return {
        name: {"API": {"Endpoint": endpoint}, "Policies": {"MFS": {"Enable": on}}}
        for name, (endpoint, on) in services.items()
    }


class World:
    """A healthy node, and what a test changes of it."""

    def __init__(self, kit: Any) -> None:
        self.kit = kit
        self.version = "0.44.0"
        self.addresses: list[str] | None = [PUBLIC]
        self.agent = "kubo/0.44.0/"
        self.stat: Any = kit.answer(
            {"Hash": ROOT, "Size": 0, "CumulativeSize": 500, "Blocks": 1, "Type": "directory", "Local": True}
        )
        self.remote: dict[str, Any] = {}
        self.repo = {"RepoSize": 5, "StorageMax": 100}
        self.more: dict[str, Any] = {}

    def scripts(self) -> Mapping[str, Any]:
        answer = self.kit.answer
        return {
            "version": answer({"Version": self.version}),
            "id": answer({"ID": PEER, "Addresses": self.addresses, "AgentVersion": self.agent}),
            "files/stat": self.stat,
            "ls": answer({"Objects": [{"Links": [{"Name": "a", "Hash": FILE}]}]}),
            "config/show": answer(
                {
                    "Identity": {"PeerID": PEER},
                    "Pinning": {"RemoteServices": self.remote},
                    "Datastore": {"StorageGCWatermark": 90, "StorageMax": "10GB", "GCPeriod": "1h"},
                }
            ),
            "repo/stat": answer(self.repo),
            **self.more,
        }

    def examine(self, *services: Service, peer_id: str = "") -> NodeExamination:
        async def main() -> NodeExamination:
            async with self.kit.talk(self.scripts()) as (node, _):
                return await examine(node, services or (BOX,), peer_id=peer_id)

        return asyncio.run(main())

    def found(self, topic: str, *services: Service, peer_id: str = "") -> NodeFinding:
        findings = self.examine(*services, peer_id=peer_id).findings
        mine = [f for f in findings if f.topic == topic]
        return next((f for f in mine if f.level != "ok"), mine[0])


@pytest.fixture
def world(kit: Any) -> World:
    return World(kit)


def test_a_healthy_node_has_nothing_to_mend(world: World) -> None:
    found = world.examine()
    assert {f.level for f in found.findings} == {"ok"}
    assert found.exit_code == 0
    assert found.public == (PUBLIC,)
    assert found.mfs is not None
    assert (found.mfs.cid, found.mfs.size, found.mfs.entries) == (ROOT, 500, 1)
    assert found.stat is not None
    assert found.stat.samples == 20
    assert found.requests > 20
    text = render(found, as_json=False)
    assert "Nothing to mend" in text
    assert json.loads(render(found, as_json=True))["peer_id"] == PEER


@pytest.mark.parametrize(
    ("version", "level"),
    [("0.27.0", "problem"), ("0.28.0", "ok"), ("0.44.0-dev", "ok"), ("0.45.0", "note"), ("soon", "warning")],
)
def test_the_version(version: str, level: str, world: World) -> None:
    world.version = version
    assert world.found("version").level == level


def test_something_else_than_kubo(world: World) -> None:
    world.agent = "js-ipfs/0.18"
    assert world.found("version").level == "warning"


def test_another_node(world: World) -> None:
    assert world.found("identity", peer_id=PEER).level == "ok"
    other = world.found("identity", peer_id="12D3KooWother")
    assert other.level == "problem"
    assert "another node answers" in other.text


@pytest.mark.parametrize(
    ("addresses", "level", "says"),
    [
        ([PUBLIC], "ok", "1 of 1"),
        ([f"/ip4/192.168.1.2/tcp/4001/p2p/{PEER}"], "warning", "none of its addresses is public"),
        ([f"/ip4/93.184.216.34/tcp/1/p2p/{PEER}/p2p-circuit/p2p/{PEER}"], "warning", "relays only"),
        ([], "problem", "no address"),
        (None, "problem", "no address"),
    ],
)
def test_reachability(addresses: list[str] | None, level: str, says: str, world: World) -> None:
    world.addresses = addresses
    found = world.found("reachability")
    assert found.level == level
    assert says in found.text


def test_a_service_beside_the_node_needs_no_public_address(world: World) -> None:
    world.addresses = [f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}"]
    assert world.found("reachability", service("near", "http://127.0.0.1:9097")).level == "ok"
    far = world.found("reachability", service("near", "http://127.0.0.1:9097"), BOX)
    assert far.level == "warning"
    assert "box" in far.hint
    assert "near" not in far.hint


def test_kubos_own_policy_at_a_service_of_ours(world: World) -> None:
    # Kubo keeps the endpoint as it was typed; a slash more does not make it another service.
    world.remote = remote(mine=("HTTPS://psa.example.com/psa/", True), other=("https://other.example", True))
    findings = [f for f in world.examine().findings if f.topic == "policy"]
    assert [f.level for f in findings] == ["problem", "note"]
    assert findings[0].command == "ipfs config --json Pinning.RemoteServices.mine.Policies.MFS.Enable false"
    world.remote = remote(mine=("https://psa.example.com/psa", False))
    assert world.found("policy").level == "ok"


def test_the_command_that_switches_it_off() -> None:
    assert switch_off("my pins") == (
        "ipfs config --json 'Pinning.RemoteServices.my pins.Policies.MFS.Enable' false"
    )
    assert switch_off("dot.ted").startswith("# ")
    assert "ipfs config replace" in switch_off("dot.ted")


def test_garbage_collection(world: World) -> None:
    assert world.found("gc").level == "ok"
    world.repo = {"RepoSize": 90, "StorageMax": 100}
    full = world.found("gc")
    assert full.level == "warning"
    assert "--enable-gc" in full.text


def test_a_stat_that_is_dear(world: World, kit: Any) -> None:
    said = world.stat

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(said.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        await writer.drain()

    world.stat = slow
    found = world.found("mfs")
    assert found.level == "warning"
    assert found.command == "ipfs files flush /"


def test_an_mfs_that_stands_still_is_told_and_the_rest_is_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.node.doctor.STAT_DEADLINE", 0.2)
    world.stat = None
    found = world.examine()
    mfs = next(f for f in found.findings if f.topic == "mfs")
    assert mfs.level == "unknown"
    assert "MFS stands still" in mfs.text
    assert "ipfs files rm -r" in mfs.hint
    assert found.exit_code == 3
    assert {"policy", "gc"} <= {f.topic for f in found.findings}
    assert "could not be found out" in render(found, as_json=False)


def test_a_node_that_is_down_is_an_error(world: World, kit: Any) -> None:
    async def main() -> None:
        async with kit.talk({"version": kit.answer("no", status=403)}) as (node, _):
            await examine(node, [])

    with pytest.raises(NodeError, match="token"):
        asyncio.run(main())


# --- lazy directories ----------------------------------------------------------------------------------------------


class Store:
    """`ls` and `block/stat` of a block store: directories by CID, and what is here."""

    def __init__(self, kit: Any, directories: dict[str, dict[str, str]], here: set[str]) -> None:
        self.kit = kit
        self.directories = directories
        self.here = here
        self.kubo: Any = None

    def scripts(self) -> dict[str, Any]:
        return {"ls": self._answering(self._ls), "block/stat": self._answering(self._stat)}

    def _answering(self, answer: Any) -> Any:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said = answer(dict(self.kubo.asked[-1][2]))
            writer.write(said.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            await writer.drain()

        return script

    def _missing(self, cid: str) -> bytes:
        text = f"block was not found locally (offline): ipld: could not find {cid}"
        return bytes(self.kit.answer({"Message": text, "Code": 0, "Type": "error"}, status=500))

    def _stat(self, query: dict[str, str]) -> bytes:
        assert query["offline"] == "true"
        cid = query["arg"]
        return self.kit.answer({"Key": cid, "Size": 1}) if cid in self.here else self._missing(cid)

    def _ls(self, query: dict[str, str]) -> bytes:
        assert query["offline"] == "true"
        cid = query["arg"].removeprefix("/ipfs/")
        if cid not in self.here:
            return self._missing(cid)
        links = []
        for name, child in self.directories.get(cid, {}).items():
            known = child in self.here or child == RAW
            if query["resolve-type"] == "true" and not known:
                return self._missing(child)
            kind = 0 if query["resolve-type"] == "false" else 1 if child in self.directories else 2
            links.append({"Name": name, "Hash": child, "Size": 1, "Type": kind})
        return bytes(self.kit.answer(*[{"Objects": [{"Links": [link]}]} for link in links]))

    def walk(self, seconds: float = 20) -> Any:
        async def main() -> Any:
            async with self.kit.talk(self.scripts()) as (node, kubo):
                self.kubo = kubo
                return await Walker(node, seconds=seconds).walk(ROOT)

        return asyncio.run(main())


TREE = {ROOT: {"docs": DIR, "f": FILE}, DIR: {"sub": SUB, "f": FILE}, SUB: {"raw": RAW, "f": FILE}}


@pytest.mark.parametrize(
    ("missing", "lazy"),
    [
        (set(), ()),
        ({RAW}, ("/docs/sub",)),
        ({FILE}, ("/", "/docs", "/docs/sub")),
        ({SUB}, ("/docs",)),
        ({DIR}, ("/",)),
    ],
)
def test_directories_that_lack_children(missing: set[str], lazy: tuple[str, ...], kit: Any) -> None:
    walk = Store(kit, TREE, {ROOT, DIR, SUB, FILE, RAW} - missing).walk()
    assert walk.lazy == lazy
    assert walk.unfinished == ""


def test_a_lazy_directory_is_told_with_what_to_do(world: World, kit: Any) -> None:
    tree = {ROOT: {"my docs": DIR}, DIR: {"raw": RAW}}
    store = Store(kit, tree, {ROOT, DIR})
    world.stat = kit.answer({"Hash": ROOT, "CumulativeSize": 500, "Blocks": 1, "Type": "directory"})
    world.more = store.scripts()

    async def main() -> NodeExamination:
        async with kit.talk(world.scripts()) as (node, kubo):
            store.kubo = kubo
            return await examine(node, [BOX])

    found = asyncio.run(main())
    lazy = [f for f in found.findings if f.topic == "lazy"]
    assert [f.level for f in lazy] == ["warning"]
    assert "/my docs is only linked" in lazy[0].text
    assert lazy[0].command == "ipfs files rm -r '/my docs'"
    assert "$ ipfs files rm -r '/my docs'\n" in render(found, as_json=False)
    store.here.add(RAW)
    assert [f.level for f in asyncio.run(main()).findings if f.topic == "lazy"] == ["ok"]


def test_a_walk_is_bounded(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(kit, TREE, {ROOT, DIR, SUB, FILE, RAW})
    for bound, value, says in (
        ("MAX_DIRECTORIES", 2, "only 2 directories"),
        ("MAX_ENTRIES", 3, "only 3 entries"),
        ("MAX_LOOKS", 0, "only 0 blocks"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"reconciler.node.lazy.{bound}", value)
            assert says in store.walk().unfinished
    assert "could be looked at in 0 s" in store.walk(seconds=0).unfinished


# --- the command ---------------------------------------------------------------------------------------------------


def doctor(place: Path, *argv: str, node: str = "") -> int:
    (place / "pinrec.yaml").write_text(
        f"version: 1\nname: site\n{node}services:\n"
        "  box: {endpoint: 'https://psa.example.com/psa', key: {env: BOX_KEY}}\n"
    )
    return pinrec(["doctor", "-f", str(place / "pinrec.yaml"), *argv])


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ((), "name a service"),
        (("box", "--node"), "--node goes with"),
        (("--node", "--write"), "--node goes with"),
        (("--node",), "names no node"),
    ],
)
def test_wrong_use(
    argv: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(tmp_path, *argv) == 64
    assert says in capsys.readouterr().err


def test_a_daemon_that_is_not_running(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(tmp_path, "--node", node="node: {api: './no/api'}\n") == 3
    assert "is the daemon running?" in capsys.readouterr().err


def test_a_node_is_examined(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def main(*argv: str) -> int:
        async with world.kit.talk(world.scripts()) as (_, kubo):
            node = f"node: {{api: '{kubo.url}'}}\n"
            return await asyncio.to_thread(doctor, tmp_path, *argv, node=node)

    assert asyncio.run(main("--node")) == 0
    assert f"peer id {PEER}" in capsys.readouterr().out
    world.remote = remote(mine=("https://psa.example.com/psa", True))
    assert asyncio.run(main("--node", "--json")) == 4
    found = json.loads(capsys.readouterr().out)
    assert [f["level"] for f in found["findings"] if f["topic"] == "policy"] == ["problem"]


def test_what_the_node_says_is_escaped(world: World) -> None:
    world.version = "0.44.0\x1b[2J"
    world.remote = remote(**{"x\n::error::y": ("https://psa.example.com/psa", True)})
    text = render(world.examine(), as_json=False)
    assert "\x1b" not in text
    assert "\n::error" not in text
