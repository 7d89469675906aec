"""A node with something wrong with it, as the command line and tests ask for it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.sandbox.node import NodeFaults, SandboxNode
from reconciler.sandbox.node.faults import USAGE, FaultError, read

Ask = Callable[..., Any]


def test_a_command_that_is_to_fail_does_nothing(node: SandboxNode, rpc: Ask) -> None:
    before = node.root
    node.faults.errors["files/mkdir"] = "disk full"
    answer = rpc("files/mkdir", "/a")
    assert (answer.status, json.loads(answer.body)["Message"]) == (500, "disk full")
    assert node.root == before
    node.faults.clear()
    assert rpc("files/mkdir", "/a").status == 200


def test_an_empty_answer_has_no_content_type(node: SandboxNode, rpc: Ask) -> None:
    node.faults.empty.add("files/stat")
    answer = rpc("files/stat", "/")
    assert (answer.status, answer.body, "content-type" in answer.headers) == (200, b"", False)


def test_a_cut_stream_says_so_in_the_trailer_alone(node: SandboxNode, rpc: Ask) -> None:
    node.faults.cut |= {"pin/add", "cat"}
    answer = rpc("pin/add", node.root, options=[("progress", "true")])
    assert answer.status == 200
    assert b"Pins" not in answer.body
    assert answer.trailers
    answer = rpc("cat", node.add(b"0123456789"))
    assert (answer.status, answer.body, bool(answer.trailers)) == (200, b"01234", True)


@pytest.mark.parametrize("fault", ["stat_hangs", "mute"])
def test_no_answer_at_all(node: SandboxNode, ask: Ask, fault: str) -> None:
    setattr(node.faults, fault, True)
    with pytest.raises(TimeoutError):
        ask(node.port, "files/stat", "/", wait=0.1)
    node.faults.clear()
    assert ask(node.port, "files/stat", "/").status == 200


def test_a_hanging_stat_leaves_the_rest_alone(node: SandboxNode, ask: Ask) -> None:
    node.faults.stat_hangs = True
    assert ask(node.port, "files/stat", f"/ipfs/{node.root}").status == 200
    assert ask(node.port, "id").status == 200


def test_a_refused_dial(node: SandboxNode, rpc: Ask) -> None:
    node.faults.dial_refused = True
    peer = node.addresses[0].replace(node.peer_id, "12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p")
    answer = rpc("swarm/connect", peer)
    assert answer.status == 500
    assert "failure: failed to dial" in json.loads(answer.body)["Message"]
    assert [address for address, why in node.dials if why] == [peer]


def test_faults_as_the_command_line_names_them() -> None:
    texts = ("stat=2s", "stat-hangs", "freeze=5s", "error=id", "empty=version", "cut=cat", "dial=1s", "mute")
    faults = read(texts, lambda text: float(text.removesuffix("s")))
    told = {field: getattr(faults, field) for field in NodeFaults.__struct_fields__}
    assert told == {
        "stat_seconds": 2, "stat_hangs": True, "lookup_seconds": 5, "errors": {"id": faults.errors["id"]},
        "empty": {"version"}, "cut": {"cat"}, "mute": True, "dial_seconds": 1, "dial_refused": False,
    }  # fmt: skip
    assert read(("dial-refused",), float).dial_refused


@pytest.mark.parametrize("text", ["stat", "mute=1", "stats=1s"])
def test_a_fault_that_cannot_be_read(text: str) -> None:
    with pytest.raises(FaultError, match=text.partition("=")[0]):
        read((text,), float)


def test_every_fault_has_an_effect() -> None:
    for usage in USAGE.values():
        text = usage.name + ("=1" if usage.value else "")
        faults = read((text,), float)
        fresh = NodeFaults()
        assert any(getattr(faults, f) != getattr(fresh, f) for f in NodeFaults.__struct_fields__)
