"""A real Kubo and a real ipfs-cluster, each test's own, on loopback, in a scratch folder."""

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Cluster:
    """`add` puts content into the node without pinning it and returns its CID."""

    endpoint: str
    add: Callable[[str, str], str]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with started(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all tests of a module, each of which must use content of its own."""
    with started(tmp_path_factory.mktemp("cluster")) as running:
        yield running


class Kubo:
    """A node of its own. `swarm`: it listens, knows no router, and finds others only by their addresses."""

    def __init__(self, folder: Path, *, swarm: bool = False, environ: dict[str, str] | None = None) -> None:
        self.folder, self.swarm = folder, swarm
        self.port = free_port()
        self.environ = {**os.environ, "IPFS_PATH": str(folder / "repo"), **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.ipfs("init", "--profile", "test")
        self.ipfs("config", "Addresses.API", f"/ip4/127.0.0.1/tcp/{self.port}")
        self.ipfs("config", "Routing.Type", "none")
        own = [f"/ip4/127.0.0.1/tcp/{free_port()}"] if swarm else []
        self.ipfs("config", "--json", "Addresses.Swarm", json.dumps(own))

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ipfs(self, *argv: str, text: str | bytes | None = None) -> str:
        given = text.encode() if isinstance(text, str) else text
        done = subprocess.run(
            ["ipfs", *argv], env=self.environ, input=given, capture_output=True, check=False
        )
        assert done.returncode == 0, f"ipfs {' '.join(argv)}: {done.stderr.decode()}"
        return done.stdout.decode().strip()

    def has(self, cid: str) -> bool:
        """Whether all of a DAG is here."""
        argv = ["ipfs", "--offline", "refs", "-r", "-u", cid]
        # Asking offline while the daemon runs goes through its API, which then looks at the local store only.
        return subprocess.run(argv, env=self.environ, capture_output=True, check=False).returncode == 0

    def start(self) -> "Kubo":
        with (self.folder / "log").open("ab") as log:
            offline = [] if self.swarm else ["--offline"]
            self._process = subprocess.Popen(
                ["ipfs", "daemon", *offline], env=self.environ, stdout=log, stderr=log
            )
        _until(lambda: _answers(f"{self.api}/api/v0/version", method="POST"))
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None


@contextlib.contextmanager
def clustered(folder: Path, node: Kubo) -> Iterator[str]:
    """An ipfs-cluster on a running node; its endpoint as a pinning service."""
    pinning = free_port()
    environ = {
        **os.environ,
        "IPFS_CLUSTER_PATH": str(folder / "cluster"),
        "CLUSTER_IPFSHTTP_NODEMULTIADDRESS": f"/ip4/127.0.0.1/tcp/{node.port}",
        "CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS": f"/ip4/127.0.0.1/tcp/{pinning}",
        "CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS": f"/ip4/127.0.0.1/tcp/{free_port()}",
        "CLUSTER_IPFSPROXY_LISTENMULTIADDRESS": f"/ip4/127.0.0.1/tcp/{free_port()}",
        "CLUSTER_LISTENMULTIADDRESS": f"/ip4/127.0.0.1/tcp/{free_port()}",
        "CLUSTER_MDNSINTERVAL": "0",
    }
    init = ["ipfs-cluster-service", "init", "--consensus", "crdt"]
    subprocess.run(init, env=environ, capture_output=True, check=True)
    with (folder / "cluster.log").open("wb") as log:
        process = subprocess.Popen(["ipfs-cluster-service", "daemon"], env=environ, stdout=log, stderr=log)
    try:
        _until(lambda: _answers(f"http://127.0.0.1:{pinning}/health"))
        yield f"http://127.0.0.1:{pinning}"
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def started(tmp_path: Path) -> Iterator[Cluster]:
    node = Kubo(tmp_path / "kubo")
    try:
        node.start()
        with clustered(tmp_path, node) as endpoint:
            yield Cluster(
                endpoint=endpoint,
                add=lambda text, version="1": node.ipfs(
                    "add", "-q", f"--cid-version={version}", "--pin=false", text=text
                ),
            )
    finally:
        node.stop()


@dataclass(frozen=True, slots=True)
class Pair:
    """One's own node, and an ipfs-cluster on another. They find each other by addresses alone."""

    node: Kubo
    far: Kubo
    endpoint: str


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    # Kubo's own MFS policy looks every second, for the test that switches it on.
    node = Kubo(tmp_path / "near", swarm=True, environ={"MFS_PIN_POLL_INTERVAL": "1s"})
    far = Kubo(tmp_path / "far", swarm=True)
    try:
        node.start()
        far.start()
        with clustered(tmp_path, far) as endpoint:
            yield Pair(node, far, endpoint)
    finally:
        node.stop()
        far.stop()


@pytest.fixture
def kubo(tmp_path: Path) -> Iterator[Callable[[str], Kubo]]:
    """Makes nodes by name that listen, and that are still to be started."""
    made: list[Kubo] = []

    def make(name: str) -> Kubo:
        made.append(Kubo(tmp_path / name, swarm=True))
        return made[-1]

    yield make
    for node in made:
        node.stop()


def _answers(url: str, method: str = "GET") -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=2) as answer:
            return bool(answer.status < 300)
    except (urllib.error.URLError, OSError):
        return False


def _until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come up"
        time.sleep(0.1)
