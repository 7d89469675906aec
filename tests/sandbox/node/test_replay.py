"""Every recorded exchange with a real Kubo 0.44 whose call the node serves, step by step, in the order of the file.

What is compared: status, content type, Kubo's own headers, body and trailers. Numbers that differ from run to run are
marked in the recording. What is not replayed is in sandbox-coverage.json with its reason.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.unixfs import address, dagpb, file, message, params
from reconciler.core.unixfs.blocks import Entry
from reconciler.core.unixfs.directory import build
from reconciler.sandbox.network import Network, Peer
from reconciler.sandbox.node import SandboxNode
from reconciler.sandbox.node.commands import COMMANDS, GROUPS
from reconciler.sandbox.peers import identity

DATA = Path(__file__).parents[2] / "data" / "kubo-rpc"
ENTRIES: list[dict[str, Any]] = json.loads((DATA / "kubo-0.44.json").read_bytes())["entries"]
TABLE: dict[str, dict[str, str]] = json.loads((DATA / "sandbox-coverage.json").read_bytes())
OTHER = identity("the other node of the recording")
OWN_HEADERS = ("content-type", "x-chunked-output", "x-stream-output", "x-content-length", "allow", "server")
CBOR = "bafyreidjw5gi42ugkcdjfbfw6p6u23faadjoifnl6ikxaffcoeqdf262vy"
#: The recording's `timeout=` where no time is told: shorter here. Where lines come at a pace it stays.
SHORT = {"1s": "60ms", "2s": "120ms", "3s": "180ms"}


def command_of(entry: dict[str, Any]) -> str:
    return str(entry["request"]["path"]).strip("/").removeprefix("api/v0").strip("/")


def is_replayed(entry: dict[str, Any]) -> bool:
    return command_of(entry) not in TABLE["calls"] and entry["name"] not in TABLE["steps"]


def test_every_step_is_replayed_or_has_a_reason() -> None:
    steps, calls = {e["name"] for e in ENTRIES}, {command_of(e) for e in ENTRIES}
    outside = {"", "nothing-here", "no/such/command", "pin/nope"} | GROUPS
    assert calls - COMMANDS.keys() - TABLE["calls"].keys() - outside == set()
    assert TABLE["calls"].keys() & COMMANDS.keys() == set(), "it is served, and has no need of a reason"
    assert TABLE["calls"].keys() <= calls
    assert TABLE["steps"].keys() <= steps
    assert all(TABLE["calls"].values())
    assert all(TABLE["steps"].values())


def test_the_node_answers_as_kubo_did(ask: Callable[..., Any]) -> None:
    network = Network()
    with SandboxNode(network=network, swarm=("/ip4/127.0.0.1/tcp/45017",), version="0.44.0-dev") as node:
        replay = Replay(node, ask)
        different = [line for entry in ENTRIES if is_replayed(entry) for line in replay.step(entry)]
    assert replay.steps > 250
    assert not different, "\n".join(different)


class Replay:
    def __init__(self, node: SandboxNode, ask: Callable[..., Any]) -> None:
        self._node = node
        self._ask = ask
        self.steps = 0
        self._prepare(node)
        other = {"port.swarm.other": "33767"}
        ipns = identity("ipns.key").name
        self._real = {
            "peer.self": node.peer_id, "publickey.self": node.state.identity.public_key,
            "ipns.self": node.state.identity.name, "port.swarm.self": "45017", "repo.self": "(memory)",
            "rpc": f"127.0.0.1:{node.port}", "port.rpc": str(node.port), "port.gateway": "8093",
            "peer.other": OTHER.peer_id, "publickey.other": OTHER.public_key, "ipns.key": ipns, **other,
        }  # fmt: skip
        node.state.settings.set("Addresses.Gateway", "/ip4/127.0.0.1/tcp/8093")
        self._blocks: dict[bytes, bytes] = {}
        fetched = address.from_text("bafkreiajg36xzwbnl2kvalw5fk6r5iv2mxczy3hmg4etvti4leaee4i67i")
        self._blocks[address.multihash(fetched)] = b"0123456789" * 2 + b"abcd"
        node.network.join(
            Peer(
                peer_id=OTHER.peer_id, addresses=(f"/ip4/127.0.0.1/tcp/33767/p2p/{OTHER.peer_id}",),
                blocks=self._blocks, agent="kubo/0.44.0-dev", public_key=OTHER.public_key,
            )
        )  # fmt: skip

    def _prepare(self, node: SandboxNode) -> None:
        """What was in the real node's store before the first recorded step."""
        put = node.state.blocks.put
        v0, v1 = params.KUBO, params.KUBO_V1
        for text in ("one", "two", "three", "four", "five"):
            for how in (v0, v1):
                file.build((f"pin {text}\n".encode(),), how, put)
        file.build((b"pin five",), v1, put)
        sub = build({"one": file.build((b"pin one\n",), v1)}, v0, put).entry
        build({"two": file.build((b"pin two\n",), v0), "sub": sub}, v0, put)
        build({"hello": file.build((b"hello pinrec\n",), v0, put)}, v0, put)
        file.build((counted(2_000_000, "pinrec"),), v1, put)
        # A file of two leaves, of which the second is nowhere.
        leaf = file.build((counted(200_000, "leaf"),), v1, put)
        missing = Entry(address.from_text("bafkreiftnoyx5v2ko27ywwbvdrilv6to7uknwp3yympnygvavnam2yuyp4"), 28)
        told = message.Message(kind=message.FILE, filesize=200_028, blocksizes=(200_000, 28))
        put(address.from_text(CBOR), b"\xa2\x65hello\x66pinrec\x64list\x82\x01\x02")
        links = [dagpb.Link("", entry.cid, entry.tsize) for entry in (leaf, missing)]
        block = dagpb.encode(links, message.encode(told))
        put(address.V1_PREFIX + hashlib.sha256(block).digest(), block)

    def step(self, entry: dict[str, Any]) -> Iterator[str]:
        name, request, wanted = entry["name"], entry["request"], entry["response"]
        self.steps += 1
        if name == "names/resolve":
            # After name/publish of the real one.
            hello = "/ipfs/QmfNa6aH4Rr88dcG28J2bQT9ThMSLCe6o1NNYDXdwCq5rM"
            self._node.set_name(self._real["ipns.key"], hello)
        try:
            got = self._send(name, request, wanted)
        except TimeoutError:
            if wanted["ended"] != "deadline":
                yield f"{name}: no answer"
            return
        if wanted["ended"] == "deadline":
            yield f"{name}: an answer where Kubo gave none"
            return
        for what, ours, theirs in self._compared(name, entry, got):
            if ours != theirs:
                yield f"{name}: {what}\n   kubo {theirs!r:.600}\n   ours {ours!r:.600}"

    def _send(self, name: str, request: dict[str, Any], wanted: dict[str, Any]) -> Any:
        paced = "progress-timeout" in name
        options = [
            (
                self._fill(key),
                SHORT.get(value, value) if key == "timeout" and not paced else self._fill(value),
            )
            for key, value in request.get("query", [])
        ]
        headers = [(key, self._fill(value)) for key, value in request.get("headers", [])]
        body = encoded(request["multipart"]) if "multipart" in request else b""
        return self._ask(
            self._node.port, "", options=options, body=body, method=request["method"],
            path=request["path"], headers=headers, wait=0.3 if wanted["ended"] == "deadline" else 20,
        )  # fmt: skip

    def _compared(self, name: str, entry: dict[str, Any], got: Any) -> Iterator[tuple[str, object, object]]:
        wanted = entry["response"]
        yield "status", got.status, wanted["status"]
        theirs = {key.lower(): self._fill(value) for key, value in wanted["headers"]}
        for header in OWN_HEADERS:
            yield header, got.headers.get(header), theirs.get(header)
        trailers = {key.lower(): self._fill(value) for key, value in wanted.get("trailers", [])}
        yield "trailers", plain(got.trailers), plain(trailers)
        volatile = wanted.get("volatile", [])
        if "body_sha256" in wanted:
            ours = (len(got.body), hashlib.sha256(got.body).hexdigest())
            yield "body", ours, (wanted["body_size"], wanted["body_sha256"])
        elif "body_base64" in wanted:
            yield "body", got.body, base64.b64decode(wanted["body_base64"])
        elif name == "repo/gc":
            # One line for each block that went; which went is told by what is left.
            assert {tuple(json.loads(line)) for line in got.text.splitlines()} <= {("Key",)}
        else:
            ours_text, theirs_text = (
                numbered(got.text, volatile),
                numbered(self._fill(wanted["body"]), volatile),
            )
            yield "body", by_line(ours_text, name), by_line(theirs_text, name)

    def _fill(self, text: str) -> str:
        return re.sub(r"\{\{(.+?)\}\}", lambda m: self._real.get(m.group(1), m.group(0)), text)


def plain(trailers: dict[str, str]) -> dict[str, str]:
    """One message comes with and without `pin: ` before it: a race in Kubo."""
    return {key: value.removeprefix("pin: ") for key, value in trailers.items()}


def numbered(text: str, volatile: list[str]) -> str:
    for key in volatile:
        text = re.sub(rf'("{key}"):-?[0-9.e+]+', r"\1:1", text)
    return text


def by_line(text: str, name: str) -> object:
    """What depends on the moment: the order in which the real one dials, the number of lines of progress."""
    if name.startswith("swarm/connect-") and "Message" in text:
        return sorted(json.loads(text)["Message"].split("\n  * "))
    # Lines come every half second, and the last one in the moment in which time is up.
    return set(text.splitlines()) if "progress-timeout" in name else text


def counted(size: int, seed: str) -> bytes:
    out = b"".join(hashlib.sha256(f"{seed}:{n}".encode()).digest() for n in range(size // 32 + 1))
    return out[:size]


def encoded(parts: list[dict[str, Any]]) -> bytes:
    out = b""
    for part in parts:
        kind = "application/x-directory" if part.get("directory") else "application/octet-stream"
        if "counter_bytes" in part:
            content = counted(*part["counter_bytes"])
        elif "base64" in part:
            content = base64.b64decode(part["base64"])
        else:
            content = part.get("text", "").encode()
        named = f'name="{part["name"]}"; filename="{part["filename"].replace("/", "%2F")}"'
        head = f"Content-Disposition: form-data; {named}\r\nContent-Type: {kind}\r\n\r\n"
        out += b"--pinrec-boundary\r\n" + head.encode() + content + b"\r\n"
    return out + b"--pinrec-boundary--\r\n"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_was_recorded_or_is_one_of_these(command: str) -> None:
    unrecorded = {"bitswap/ledger", "swarm/addrs"}
    assert command in unrecorded | {command_of(entry) for entry in ENTRIES}
