"""`kind: directory` against a real Kubo: equal CIDs, and imports that are whole, also when they were cut short."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.core.question import FolderOf
from reconciler.engine import folders
from reconciler.engine.adding import WIDTH
from reconciler.sandbox import SPEC, Sandbox

pytestmark = pytest.mark.kubo

OPTIONS = {"kubo-v1": ("--cid-version=1",), "kubo-v0": (), "unixfs-v1-2025": ()}


class Kubo:
    """A repository, and a daemon over it while it is wanted."""

    def __init__(self, path: Path, profile: str) -> None:
        self.environ = {**os.environ, "IPFS_PATH": str(path)}
        self.api = path / "api"
        self("init", "--profile", profile)
        self("config", "Addresses.API", "/ip4/127.0.0.1/tcp/0")
        self("config", "Addresses.Gateway", "/ip4/127.0.0.1/tcp/0")
        self("config", "--json", "Addresses.Swarm", "[]")
        self.daemon: subprocess.Popen[bytes] | None = None

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(["ipfs", *arguments], env=self.environ, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def added(self, path: Path, *options: str) -> str:
        return self("add", "-r", "--hidden", "--dereference-args", "-Q", "--only-hash", *options, str(path))

    def start(self) -> None:
        null = subprocess.DEVNULL
        self.daemon = subprocess.Popen(
            ["ipfs", "daemon", "--offline"], env=self.environ, stdout=null, stderr=null
        )
        for _ in range(600):
            if self.api.exists() and subprocess.run(
                ["ipfs", "swarm", "peers"], env=self.environ, capture_output=True
            ).returncode in (0, 1):
                return
            time.sleep(0.1)
        raise AssertionError("the daemon did not come up")

    def stop(self) -> None:
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(60)


@pytest.fixture(scope="module", params=OPTIONS)
def layout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Kubo]:
    """A layout, and a repository whose own it is."""
    profile = "test,unixfs-v1-2025" if request.param == "unixfs-v1-2025" else "test"
    return request.param, Kubo(tmp_path_factory.mktemp("kubo") / "repo", profile)


def grow(dice: random.Random, folder: Path, depth: int) -> None:
    names = [
        "ü",
        "日本語",
        "a b",
        "😀",
        "-dash",
        ".hidden",
        "x" * 250,
        "%20",
        "n\nl",
        "e\u0301",
        "é",
        "A",
        "skip.me",
    ]
    for name in dice.sample(names, dice.randrange(1, len(names))):
        kind = dice.random()
        if kind < 0.3 and depth:
            (folder / name).mkdir()
            grow(dice, folder / name, depth - 1)
        elif kind < 0.4:
            (folder / name).symlink_to(dice.choice(["../elsewhere", "a", "/etc", "x//y/./z/"]))
        else:
            (folder / name).write_bytes(
                dice.randbytes(dice.choice((0, 1, 262144, 1048576)) + dice.randrange(3))
            )
            (folder / name).chmod(dice.choice((0o600, 0o755)))


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_any_folder_has_the_cid_of_ipfs_add(
    layout: tuple[str, Kubo], tmp_path: Path, seed: int, wrap: bool
) -> None:
    name, kubo = layout
    path = tmp_path / "dist"
    path.mkdir()
    grow(random.Random(seed), path, 3)
    found = folders.build(FolderOf(path=str(path), layout=name, wrap=wrap))
    assert found.cid.text == kubo.added(path, *OPTIONS[name], *(["-w"] if wrap else []))


def test_what_is_ignored(layout: tuple[str, Kubo], tmp_path: Path) -> None:
    name, kubo = layout
    for path in ("keep", "a.map", "sub/b.map", "sub/keep", "node_modules/x", "sub/node_modules/y"):
        (tmp_path / "dist" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dist" / path).write_text(path)
    patterns = ("*.map", "node_modules")
    found = folders.build(FolderOf(path=str(tmp_path / "dist"), layout=name, ignore=patterns))
    theirs = kubo.added(tmp_path / "dist", *OPTIONS[name], *(f"--ignore={p}" for p in patterns))
    assert found.cid.text == theirs


def test_a_link_that_is_named_is_followed(layout: tuple[str, Kubo], tmp_path: Path) -> None:
    name, kubo = layout
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1/f").write_text("one")
    (tmp_path / "current").symlink_to("v1")
    found = folders.build(FolderOf(path=str(tmp_path / "current"), layout=name))
    assert found.cid.text == kubo.added(tmp_path / "current", *OPTIONS[name])


def test_100000_files(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    kubo = Kubo(tmp_path_factory.mktemp("kubo") / "repo", "test")
    for n in range(100_000):
        (tmp_path / f"file {n}").write_bytes(b"%d" % (n % 7))
    found = folders.build(FolderOf(path=str(tmp_path)))
    assert found.files == 100_000
    assert found.cid.text == kubo.added(tmp_path, "--cid-version=1")


# --- imported ---------------------------------------------------------------------------------------------------


class Site:
    """A folder, a manifest that publishes it, a node and a service."""

    def __init__(self, path: Path, kubo: Kubo, service: Sandbox) -> None:
        self.path, self.kubo, self.service = path, kubo, service
        self.dist = path / "dist"
        self.dist.mkdir()

    def start(self, *argv: str) -> subprocess.Popen[str]:
        manifest = (
            f"version: 1\nname: acme\nnode: {{api: {self.kubo.api.read_text().strip()!r}}}\n"
            f"services: {{s: {{endpoint: {self.service.url!r}, key: {{env: KEY}}, profile: spec, policies: [site]}}}}\n"
            "policies: {site: {kind: directory, path: ./dist}}\n"
        )
        (self.path / "pinrec.yaml").write_text(manifest)
        environ = {**os.environ, "KEY": "token", "PINREC_STATE_DIR": str(self.path / "state")}
        command = [sys.executable, "-m", "reconciler.cli.main", *argv]
        return subprocess.Popen(
            command, cwd=self.path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __call__(self, *argv: str) -> tuple[int, str]:
        process = self.start(*argv)
        text, _ = process.communicate(timeout=300)
        return process.returncode, text

    def is_whole(self) -> None:
        """All of it is at the node, pinned under our name, and the service was asked to pin it."""
        cid = folders.build(FolderOf(path=str(self.dist))).cid.text
        assert "acme/site" in self.kubo("pin", "ls", "--type=recursive", "--names", cid)
        self.kubo("repo", "gc", "-q")
        self.kubo("dag", "stat", "--offline", "--progress=false", cid)
        assert [(p.name, p.cid) for p in self.service.store.all("token")] == [("site", cid)]


@pytest.fixture(scope="module", params=["test", "test,unixfs-v1-2025"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    """Its own settings must not matter: blocks come as they were planned."""
    kubo = Kubo(tmp_path_factory.mktemp("kubo") / "repo", request.param)
    kubo.start()
    yield kubo
    kubo.stop()


@pytest.fixture
def site(tmp_path: Path, node: Kubo) -> Iterator[Site]:
    with Sandbox(("token",), personality=SPEC) as service:
        yield Site(tmp_path, node, service)


def test_a_site_is_published_and_published_anew(site: Site) -> None:
    grow(random.Random(7), site.dist, 2)
    for n in range(5000):
        (site.dist / f"{n:040}").write_bytes(b"%d" % n)
    code, text = site("apply", "--yes")
    assert code == 0, text
    site.is_whole()
    assert site("plan", "--detailed-exitcode")[0] == 0
    (site.dist / f"{7:040}").write_text("another")
    code, text = site("apply", "--yes")
    assert code == 0, text
    site.is_whole()
    assert site("plan", "--detailed-exitcode")[0] == 0


def test_large_files_of_all_sizes(site: Site) -> None:
    dice = random.Random(1)
    for size in (500_000, 524_288, 1 << 20, (32 << 20) - 1, 32 << 20, (32 << 20) + 1, 100_000_000):
        (site.dist / f"{size}").write_bytes(dice.randbytes(size))
    code, text = site("apply", "--yes")
    assert code == 0, text
    site.is_whole()
    assert site("plan", "--detailed-exitcode")[0] == 0


def fill(site: Site, kind: str, seed: int) -> None:
    """150 MB that are sent in that way."""
    dice = random.Random(seed)
    size = {"added": 15_000_000, "sent": 400_000}[kind]
    for n in range(150_000_000 // size):
        (site.dist / f"{n}").write_bytes(dice.randbytes(size))


def kill_midway(site: Site, kind: str, records: int) -> None:
    process = site.start("apply", "--yes")
    width = {"added": 16 + WIDTH, "sent": 16}[kind]
    while not sum(f.stat().st_size for f in site.path.glob(f"state/folders/*.{kind}")) >= width * records:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert not site.service.store.all("token")


@pytest.mark.parametrize("kind", ["added", "sent"])
@pytest.mark.parametrize("records", [1, 3])
def test_killed_midway_the_next_apply_goes_on(site: Site, kind: str, records: int) -> None:
    fill(site, kind, records)
    kill_midway(site, kind, records)
    code, text = site("apply", "--yes")
    assert code == 0, text
    site.is_whole()


@pytest.mark.parametrize("kind", ["added", "sent"])
def test_garbage_that_is_collected_after_a_kill_is_sent_again(site: Site, kind: str) -> None:
    fill(site, kind, 99)
    kill_midway(site, kind, 1)
    site.kubo("repo", "gc", "-q")
    code, text = site("apply", "--yes")
    assert code == 0, text
    site.is_whole()
