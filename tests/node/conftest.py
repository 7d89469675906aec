"""Pinning services that others wrote, each test with one of its own, on a port that it takes itself."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOKEN = "node-token"
BLOCKS = 20


@dataclass(frozen=True)
class NodeService:
    """`cids` are what the service can find; of other content it finds none. Empty where it does not care."""

    endpoint: str
    token: str
    cids: tuple[str, ...]


@pytest.fixture(scope="session")
def node() -> str:
    """The path of `node`. Without it, or without the packages, tests are skipped, or fail where CI wants them."""
    program = shutil.which("node")
    if program is None:
        why = "`node` is not on PATH"
    elif not (HERE / "node_modules").is_dir():
        why = "run `npm ci --ignore-scripts` in tests/node first"
    else:
        return program
    if os.environ.get("PINREC_REQUIRE_NODE") == "1":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture
def helia(node: str) -> Iterator[NodeService]:
    """@helia/pinning-service-api-server with the first twenty of the blocks it can find."""
    with _run(node, "helia_server.mjs", str(BLOCKS)) as service:
        yield service


@pytest.fixture
def mock(node: str) -> Iterator[NodeService]:
    """mock-ipfs-pinning-service. A pin's status follows its name (`pinned-…`, `failed-…`), else it stays queued."""
    with _run(node, "mock_server.mjs") as service:
        yield service


@contextmanager
def _run(node: str, script: str, *arguments: str) -> Iterator[NodeService]:
    # To a file and not through a pipe: a service that says much must not stop when nobody reads.
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [node, str(HERE / script), TOKEN, *arguments],
            stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            assert process.stdout
            lines = []
            for line in process.stdout:
                word, _, port = line.strip().partition(" ")
                if word == "ready":
                    break
                lines.append(line.strip())
            else:
                errors.seek(0)
                pytest.fail(f"{script} did not start (exit {process.wait()}): {errors.read()[-2000:]}")
            yield NodeService(endpoint=f"http://127.0.0.1:{port}", token=TOKEN, cids=tuple(lines))
        finally:
            process.kill()
            process.communicate()
