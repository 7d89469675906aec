"""The node client against a real Kubo: what it promises about answers is what a daemon does."""

import asyncio
import contextlib
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.errors import NodeError
from reconciler.core.manifest import Node, SecretRef, Service
from reconciler.core.profile import Profile
from reconciler.node.client import KuboNode
from reconciler.node.doctor import examine
from reconciler.node.lazy import Walker
from reconciler.node.multipart import Part, tree
from reconciler.node.open import open_node
from reconciler.node.upload import Layout

pytestmark = pytest.mark.kubo

#: Nobody has it.
NOWHERE = "bafkreicwkfy6bxxkxnnxynqj627qmgtzy77ds43rf2nobj2w33wuvrkqxm"
EMPTY = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"


@dataclass(frozen=True, slots=True)
class Daemon:
    repo: Path
    environ: dict[str, str]

    def ipfs(self, *argv: str, text: str = "") -> str:
        done = subprocess.run(
            ["ipfs", *argv], env=self.environ, input=text, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def run(self, story: Callable[[KuboNode], Coroutine[Any, Any, None]], **spec: Any) -> None:
        async def main() -> None:
            async with open_node(Node(api_file=str(self.repo / "api"), **spec), environ=self.environ) as node:
                await story(node)

        asyncio.run(main())


@contextlib.contextmanager
def started(place: Path, *settings: tuple[str, str]) -> Iterator[Daemon]:
    daemon = Daemon(place / "repo", {**os.environ, "IPFS_PATH": str(place / "repo")})
    daemon.ipfs("init", "--profile", "test")
    for key, value in settings:
        daemon.ipfs("config", "--json", key, value)
    with (place / "log").open("w") as log:
        process = subprocess.Popen(["ipfs", "daemon"], env=daemon.environ, stdout=log, stderr=log)
        try:
            end = time.monotonic() + 60
            while "Daemon is ready" not in (place / "log").read_text():
                assert process.poll() is None, (place / "log").read_text()
                assert time.monotonic() < end, (place / "log").read_text()
                time.sleep(0.1)
            yield daemon
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with started(tmp_path_factory.mktemp("kubo")) as running:
        yield running


def test_mfs(daemon: Daemon) -> None:
    async def story(node: KuboNode) -> None:
        assert (await node.version()).startswith("0.")
        assert await node.stat("/mfs") is None
        daemon.ipfs("files", "mkdir", "/mfs")
        empty = await node.stat("/mfs")
        assert empty is not None
        assert (empty.cid.text, empty.kind, empty.empty) == (EMPTY, "directory", True)
        daemon.ipfs("files", "write", "--create", "/mfs/a", text="hello")
        full, file = await node.stat("/mfs"), await node.stat("/mfs/a")
        assert full is not None
        assert file is not None
        assert (full.empty, file.kind, file.empty) == (False, "file", False)
        assert await node.stat("/mfs/a/b") is None
        assert await node.size_of(full.cid.text) == full.size
        assert await node.flush("/mfs") == full.cid.text
        assert await node.remove("/mfs")
        assert not await node.remove("/mfs")
        with pytest.raises(NodeError, match="cannot delete root"):
            await node.remove("/")

    daemon.run(story)


def test_content_goes_in_and_comes_out(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/page one.html").write_text("<p>")
    (tmp_path / "site/ünicode").mkdir()
    (tmp_path / "site/ünicode/big").write_bytes(os.urandom(3_000_000))
    (tmp_path / "site/link").symlink_to("page one.html")

    async def story(node: KuboNode) -> None:
        # The same CID as the command gives, for the same layout.
        added = await node.add(tree(tmp_path / "site"), layout=Layout(cid_version=0, raw_leaves=False))
        assert added[-1].cid == daemon.ipfs("add", "-r", "-Q", "--pin=false", str(tmp_path / "site"))
        assert len(added) == 5
        root = added[-1].cid
        kinds = {e.name: e.kind async for e in node.entries(root)}
        assert kinds == {"link": "symlink", "page one.html": "file", "ünicode": "directory"}
        data = b"".join([c async for c in node.cat(f"{root}/ünicode/big")])
        assert data == (tmp_path / "site/ünicode/big").read_bytes()
        assert b"".join([c async for c in node.cat(f"{root}/ünicode/big", offset=5, length=7)]) == data[5:12]
        assert str(await node.resolve_name(f"/ipfs/{root}/ünicode")) == added[-2].cid
        assert await node.is_whole(root)
        block = await node.block_get(root)
        with pytest.raises(NodeError, match="was expected"):
            await node.add([Part("x", b"one")], expected=NOWHERE)
        with pytest.raises(NodeError, match="does not exist"):
            await node.add([Part("x", b"one")], to_files="/none/x")
        # The root, lost and brought back as a CAR.
        car = subprocess.run(
            ["ipfs", "dag", "export", root], env=daemon.environ, capture_output=True, check=True
        ).stdout

        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(car), 70_000):
                yield car[at : at + 70_000]

        daemon.ipfs("block", "rm", root)
        assert not await node.has(root)
        imported = await node.import_car(chunks())
        assert imported.blocks > 10
        assert await node.block_get(root, offline=True) == block

    daemon.run(story)


def test_pins_keep_their_names(daemon: Daemon) -> None:
    async def story(node: KuboNode) -> None:
        cid = daemon.ipfs("add", "-Q", "--pin=false", text="to be pinned")
        await node.pin(cid, name="a name, with a + and a /")
        pin = await node.pinned(cid)
        assert pin is not None
        assert pin.name == "a name, with a + and a /"
        assert pin in [p async for p in node.pins()]
        await node.pin(cid, name="another")
        assert (await node.pinned(cid)).name == "another"  # type: ignore[union-attr]
        assert await node.unpin(cid)
        assert not await node.unpin(cid)
        assert await node.pinned(cid) is None

    daemon.run(story)


def test_what_is_nowhere(daemon: Daemon) -> None:
    async def story(node: KuboNode) -> None:
        assert not await node.has(NOWHERE)
        assert await node.size_of(NOWHERE) is None
        with pytest.raises(NodeError) as stalled:
            await node.pin(NOWHERE, name="never", stall=1.5)
        assert stalled.value.late
        with pytest.raises(NodeError) as late:
            await node.block_get(NOWHERE, deadline=1.0)
        # The node gave up by itself, shortly before we would have.
        assert late.value.late
        assert "context deadline exceeded" in late.value.text
        with pytest.raises(NodeError, match="could not find"):
            async for _ in node.entries(NOWHERE, offline=True):
                pass
        with pytest.raises(NodeError, match="DNSLink"):
            await node.resolve_name("/ipns/no-such-name.invalid", deadline=3.0)
        with pytest.raises(NodeError, match="failure"):
            await node.connect(
                "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p"
            )

    daemon.run(story)


def test_two_nodes_find_each_other(daemon: Daemon, tmp_path: Path) -> None:
    with started(tmp_path) as other:
        cid = other.ipfs("add", "-Q", text=f"only there {time.time()}")

        async def address(node: KuboNode) -> None:
            there.append((await node.identity()).addresses[0])

        there: list[str] = []
        other.run(address)

        async def story(node: KuboNode) -> None:
            await node.connect(there[0])
            seen = [p async for p in node.pinning(cid, name="fetched", stall=20)]
            assert seen[-1].done
            assert seen[-1].bytes > 0
            assert await node.has(cid)

        daemon.run(story)


def test_many_small_files_in_one_upload(daemon: Daemon) -> None:
    number = 5_000

    def parts() -> Iterator[Part]:
        yield Part("many", None)
        for i in range(number):
            yield Part(f"many/{'n' * 200}{i}", b"%d" % i)

    async def story(node: KuboNode) -> None:
        assert len(await node.add(parts(), only_hash=True, stall=30)) == number + 1

    daemon.run(story)


def test_authorization(tmp_path: Path) -> None:
    entries = {
        "one": {"AuthSecret": "bearer:to-ken:1", "AllowedPaths": ["/api/v0"]},
        "two": {"AuthSecret": "basic:some:pass:word", "AllowedPaths": ["/api/v0"]},
    }
    with started(tmp_path, ("API.Authorizations", json.dumps(entries))) as daemon:

        async def story(node: KuboNode) -> None:
            assert await node.version()
            assert not [s for s in ("to-ken", "pass:word") if s in str(await node.config())]

        for token in ("bearer:to-ken:1", "basic:some:pass:word", "basic:c29tZTpwYXNzOndvcmQ="):
            ref = SecretRef(kind="env", value=("TOKEN",))
            with_token = Daemon(daemon.repo, {**daemon.environ, "TOKEN": token})
            with_token.run(story, token=ref)
        with pytest.raises(NodeError, match="token") as refused:
            daemon.run(story)
        assert refused.value.status == 403


def test_a_lazy_directory_is_found_and_mfs_is_left_alone(tmp_path: Path) -> None:
    with started(tmp_path) as daemon:
        leaf = daemon.ipfs("add", "-Q", "--pin=false", "--cid-version=1", text="a leaf that goes away")
        daemon.ipfs("files", "mkdir", "/tmp")
        daemon.ipfs("files", "cp", f"/ipfs/{leaf}", "/tmp/leaf")
        lazy = daemon.ipfs("files", "stat", "--hash", "/tmp")
        daemon.ipfs("files", "rm", "-r", "/tmp")
        daemon.ipfs("files", "write", "--create", "--parents", "/docs/sub/fine", text="fine")
        daemon.ipfs("files", "cp", f"/ipfs/{lazy}", "/docs/sub/only linked")
        daemon.ipfs("block", "rm", leaf)

        async def story(node: KuboNode) -> None:
            root = await node.stat("/")
            assert root is not None
            walk = await Walker(node).walk(root.cid.text)
            assert walk.lazy == ("/docs/sub/only linked",)
            assert walk.unfinished == ""
            found = await examine(node, [])
            assert [f.level for f in found.findings if f.topic == "lazy"] == ["warning"]
            assert "ipfs files rm -r '/docs/sub/only linked'" in [f.command for f in found.findings]
            # Nothing of that went through MFS, which answers at once.
            assert await node.stat("/", deadline=5) == root

        daemon.run(story)
        daemon.ipfs("files", "rm", "-r", "/docs/sub/only linked")

        async def mended(node: KuboNode) -> None:
            found = await examine(node, [])
            assert [f.level for f in found.findings if f.topic == "lazy"] == ["ok"]
            assert found.exit_code == 0

        daemon.run(mended)


def test_the_command_of_the_doctor_switches_kubos_policy_off(tmp_path: Path) -> None:
    with started(tmp_path) as daemon:
        for name in ("my service", "dot.ted"):
            daemon.ipfs("pin", "remote", "service", "add", name, "http://127.0.0.1:9/psa", "s3cret-key")
        daemon.ipfs("config", "--json", "Pinning.RemoteServices.my service.Policies.MFS.Enable", "true")
        mine = Service(
            name="box",
            endpoint="http://127.0.0.1:9/psa",
            key=SecretRef(kind="env", value=("K",)),
            profile=Profile(),
        )

        async def on(node: KuboNode) -> None:
            found = await examine(node, [mine])
            problem = next(f for f in found.findings if f.topic == "policy")
            assert problem.level == "problem"
            command.append(problem.command)
            assert "s3cret-key" not in str(found)
            assert "s3cret-key" not in str(await node.config())

        async def off(node: KuboNode) -> None:
            found = await examine(node, [mine])
            assert [f.level for f in found.findings if f.topic == "policy"] == ["ok"]

        command: list[str] = []
        daemon.run(on)
        subprocess.run(command[0], shell=True, env=daemon.environ, check=True)
        daemon.run(off)


def test_a_node_that_is_down(tmp_path: Path, daemon: Daemon) -> None:
    async def story(node: KuboNode) -> None:
        raise AssertionError

    with pytest.raises(NodeError, match="is the daemon running"):
        Daemon(tmp_path, daemon.environ).run(story)
