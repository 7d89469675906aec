"""A real Kubo and a real ipfs-cluster, each test's own, on loopback, in a scratch folder."""

import contextlib
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


@contextlib.contextmanager
def started(tmp_path: Path) -> Iterator[Cluster]:
    api, pinning = free_port(), free_port()
    environ = {
        **os.environ,
        "IPFS_PATH": str(tmp_path / "kubo"),
        "IPFS_CLUSTER_PATH": str(tmp_path / "cluster"),
        "CLUSTER_IPFSHTTP_NODEMULTIADDRESS": f"/ip4/127.0.0.1/tcp/{api}",
        "CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS": f"/ip4/127.0.0.1/tcp/{pinning}",
        "CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS": f"/ip4/127.0.0.1/tcp/{free_port()}",
        "CLUSTER_IPFSPROXY_LISTENMULTIADDRESS": f"/ip4/127.0.0.1/tcp/{free_port()}",
        "CLUSTER_LISTENMULTIADDRESS": f"/ip4/127.0.0.1/tcp/{free_port()}",
        "CLUSTER_MDNSINTERVAL": "0",
    }

    def do(*argv: str, text: str | None = None) -> str:
        return subprocess.run(
            argv, env=environ, input=text, capture_output=True, text=True, check=True
        ).stdout.strip()

    do("ipfs", "init", "--profile", "test")
    do("ipfs", "config", "Addresses.API", f"/ip4/127.0.0.1/tcp/{api}")
    do("ipfs", "config", "--json", "Addresses.Swarm", "[]")
    log = (tmp_path / "log").open("w")
    running = [subprocess.Popen(["ipfs", "daemon", "--offline"], env=environ, stdout=log, stderr=log)]
    try:
        _until(lambda: _answers(f"http://127.0.0.1:{api}/api/v0/version", method="POST"))
        do("ipfs-cluster-service", "init", "--consensus", "crdt")
        running.append(
            subprocess.Popen(["ipfs-cluster-service", "daemon"], env=environ, stdout=log, stderr=log)
        )
        _until(lambda: _answers(f"http://127.0.0.1:{pinning}/health"))
        yield Cluster(
            endpoint=f"http://127.0.0.1:{pinning}",
            add=lambda text, version="1": do(
                "ipfs", "add", "-q", f"--cid-version={version}", "--pin=false", text=text
            ),
        )
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(30)
        log.close()


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
