"""What a lazily linked directory does to MFS (kubo#10842): a lookup of what is not here holds the directory, and all
that needs the directory waits; then all that needs those. No test measures time: a request that must wait is given
none to end in, and what it waits for is given to it after that.
"""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reconciler.core.unixfs import file, params
from reconciler.core.unixfs.address import to_text
from reconciler.core.unixfs.directory import build
from reconciler.sandbox.node import SandboxNode

Ask = Callable[..., Any]
MISSING = file.build((b"nobody has this",), params.KUBO)
#: How long a request that cannot be answered is given.
A_MOMENT = 0.15


@pytest.fixture
def lazy(node: SandboxNode) -> str:
    """A directory whose root is here and whose child is not, linked as /lazy."""
    blocks: dict[bytes, bytes] = {}
    folder = build({"child": MISSING}, params.KUBO, blocks.__setitem__).entry
    node.put_block(to_text(folder.cid), blocks[folder.cid])
    node.cp(f"/ipfs/{to_text(folder.cid)}", "/lazy")
    return to_text(folder.cid)


@pytest.fixture
def hanging(node: SandboxNode, ask: Ask, lazy: str) -> Iterator[Callable[[], None]]:
    """A lookup of /lazy/child goes on; calling it lets the child come, and the lookup end."""
    started, answers = threading.Event(), []

    def look() -> None:
        started.set()
        answers.append(ask(node.port, "files/stat", "/lazy/child"))

    thread = threading.Thread(target=look)
    thread.start()
    started.wait()
    while not node.busy:
        pass

    def come() -> None:
        file.build((b"nobody has this",), params.KUBO, node.state.blocks.put)
        thread.join()
        assert [answer.status for answer in answers] == [200]

    yield come
    file.build((b"nobody has this",), params.KUBO, node.state.blocks.put)
    thread.join()


def waits(ask: Ask, port: int, *request: str, **more: Any) -> bool:
    try:
        ask(port, *request, wait=A_MOMENT, **more)
    except TimeoutError:
        return True
    return False


def test_a_link_to_what_is_not_all_here_is_made_and_seen(node: SandboxNode, rpc: Ask, lazy: str) -> None:
    assert json.loads(rpc("files/stat", "/lazy").body)["Hash"] == lazy
    local = json.loads(rpc("files/stat", "/lazy", options=[("with-local", "true")]).body)
    assert "Local" not in local
    assert local["SizeLocal"] < local["CumulativeSize"]
    assert json.loads(rpc("files/ls", "/lazy").body)["Entries"][0]["Name"] == "child"


def test_a_lookup_ends_by_itself_whatever_the_request_says(node: SandboxNode, rpc: Ask, lazy: str) -> None:
    node.faults.lookup_seconds = 0.1
    answer = rpc("files/stat", "/lazy/child", options=[("timeout", "1ns"), ("offline", "true")])
    assert (answer.status, json.loads(answer.body)["Message"]) == (500, "context deadline exceeded")


def test_neighbours_go_on_until_somebody_asks_for_an_ancestor(
    node: SandboxNode, ask: Ask, rpc: Ask, hanging: Callable[[], None]
) -> None:
    assert rpc("files/mkdir", "/other").status == 200
    assert rpc("files/stat", "/other").status == 200
    root: list[Any] = []
    thread = threading.Thread(target=lambda: root.append(ask(node.port, "files/stat", "/")))
    thread.start()
    while not waits(ask, node.port, "files/stat", "/other"):
        pass
    assert waits(ask, node.port, "files/stat", "/other")
    assert waits(ask, node.port, "files/mkdir", "/third")
    assert not root
    hanging()
    thread.join()
    assert root[0].status == 200
    assert rpc("files/stat", "/other").status == 200


@pytest.mark.parametrize("command", ["files/flush", "files/stat"])
def test_what_asks_for_the_hash_of_all_waits(
    node: SandboxNode, ask: Ask, hanging: Callable[[], None], command: str
) -> None:
    assert waits(ask, node.port, command, "/")
    hanging()
    assert ask(node.port, command, "/").status == 200


def test_a_client_that_leaves_does_not_end_the_lookup(node: SandboxNode, ask: Ask, lazy: str) -> None:
    assert waits(ask, node.port, "files/stat", "/lazy/child")
    assert waits(ask, node.port, "files/stat", "/")
    node.rm("/lazy")
    assert ask(node.port, "files/stat", "/").status == 200


def test_the_directory_itself_can_be_taken_out(
    node: SandboxNode, rpc: Ask, hanging: Callable[[], None]
) -> None:
    assert rpc("files/rm", "/lazy", options=[("recursive", "true")]).body == b""
    assert rpc("files/stat", "/").status == 200
    assert rpc("files/mkdir", "/new").status == 200


def test_a_lazy_file_is_harmless(node: SandboxNode, rpc: Ask) -> None:
    blocks: dict[bytes, bytes] = {}
    big = file.build((bytes(300_000),), params.KUBO_V1, blocks.__setitem__)
    node.put_block(to_text(big.cid), blocks[big.cid])
    node.cp(f"/ipfs/{to_text(big.cid)}", "/big")
    assert rpc("files/stat", "/big").status == 200
    read = rpc("files/read", "/big", options=[("timeout", "50ms")])
    assert (read.status, read.body) == (200, b"")
    assert read.trailers == {"x-stream-error": "context deadline exceeded"}
