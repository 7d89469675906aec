"""A real Kubo and the node, asked the same things in the same order: random calls, then equal answers and equal roots.

Needs `ipfs` on PATH. What the two may differ in is named in `same`.
"""

import json
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.sandbox.node import SandboxNode

pytestmark = [
    pytest.mark.kubo,
    pytest.mark.skipif(shutil.which("ipfs") is None, reason="needs `ipfs` on PATH"),
]

Ask = Callable[..., Any]
NAMES = ("a", "b", "c", "dir", "ünï", "x y")
#: Pinned by `ipfs init`.
EMPTY = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
SIZES = (0, 3, 20, 3_000, 270_000, 600_000)


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a fresh daemon's API."""
    home: Path = tmp_path_factory.mktemp("kubo")
    environment = {**os.environ, "IPFS_PATH": str(home / "repo")}
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port: int = line.getsockname()[1]

    def ipfs(*words: str) -> None:
        subprocess.run(("ipfs", *words), env=environment, check=True, capture_output=True)

    ipfs("init", "--profile", "test")
    ipfs("config", "Addresses.API", f"/ip4/127.0.0.1/tcp/{port}")
    daemon = subprocess.Popen(
        ("ipfs", "daemon", "--offline"),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert daemon.stdout is not None
    try:
        assert any("Daemon is ready" in line for line in daemon.stdout)
        yield port
    finally:
        daemon.terminate()
        daemon.communicate()


@pytest.mark.parametrize("seed", range(3))
def test_random_calls_are_answered_alike(
    kubo: int, ask: Ask, multipart: Callable[..., Any], seed: int
) -> None:
    chance = random.Random(seed)
    ask(kubo, "files/rm", *(f"/{name}" for name in NAMES), options=[("force", "true")])
    with SandboxNode() as node:
        for kind in ("recursive", "direct"):
            for pin in json.loads(ask(kubo, "pin/ls", options=[("type", kind)]).body).get("Keys", {}):
                if pin != EMPTY:
                    ask(kubo, "pin/rm", pin)
        ask(kubo, "repo/gc")
        calls = Calls(chance, multipart)
        for _ in range(150):
            command, given, more = calls.next()
            theirs, ours = (ask(port, command, *given, **more) for port in (kubo, node.port))
            where = (command, given, more.get("options"))
            assert same(ours, command) == same(theirs, command), where
            if ("only-hash", "true") not in more.get("options", ()):
                calls.learn(command, theirs)
            roots = [json.loads(ask(port, "files/stat", "/").body)["Hash"] for port in (kubo, node.port)]
            assert roots[0] == roots[1], where


def same(answer: Any, command: str) -> object:
    """Lines of progress are left out: how many there are depends on how Kubo's buffers fall."""
    headers = ("content-type", "x-chunked-output", "x-stream-output", "x-content-length")
    body = answer.body
    if command == "add":
        body = [line for line in body.splitlines() if b'"Hash"' in line or b'"Message"' in line]
    return answer.status, [answer.headers.get(name) for name in headers], body, answer.trailers


class Calls:
    """Calls by chance. CIDs of what was added are used again."""

    def __init__(self, chance: random.Random, multipart: Callable[..., Any]) -> None:
        self._chance = chance
        self._multipart = multipart
        self._cids = [EMPTY]

    def next(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        return self._chance.choice(
            (
                self._write,
                self._write,
                self._tree,
                self._link,
                self._look,
                self._add,
                self._content,
                self._pin,
            )
        )()

    def learn(self, command: str, answer: Any) -> None:
        if command == "add":
            told = (json.loads(line) for line in answer.body.splitlines())
            self._cids += [line["Hash"] for line in told if "Hash" in line]

    def _path(self) -> str:
        return "/" + "/".join(self._chance.choice(NAMES) for _ in range(self._chance.randint(1, 3)))

    def _some(self, *options: tuple[str, str]) -> list[tuple[str, str]]:
        return [option for option in options if self._chance.random() < 0.35]

    def _bytes(self) -> bytes:
        return self._chance.randbytes(self._chance.choice(SIZES))

    def _write(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        options = self._some(
            ("parents", "true"), ("truncate", "true"), ("count", "4"), ("flush", "false"),
            ("offset", self._chance.choice(("0", "3", "5000", "300000"))),
            ("raw-leaves", self._chance.choice(("true", "false"))), ("cid-version", self._chance.choice("01")),
        )  # fmt: skip
        more = self._multipart(("f", self._bytes()))
        return "files/write", (self._path(),), {**more, "options": [("create", "true"), *options]}

    def _tree(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        command = self._chance.choice(("files/mkdir", "files/rm", "files/chcid", "files/flush"))
        allowed = {
            "files/mkdir": self._some(("parents", "true"), ("cid-version", "1")),
            "files/rm": self._some(("recursive", "true"), ("force", "true")),
            "files/chcid": [("cid-version", self._chance.choice("01"))],
            "files/flush": [],
        }
        return command, (self._path(),), {"options": allowed[command]}

    def _link(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        source = self._chance.choice((self._path(), f"/ipfs/{self._chance.choice(self._cids)}"))
        target = self._path() + self._chance.choice(("", "", "/"))
        options = self._some(("parents", "true"), ("force", "true"))
        return "files/cp", (source, target), {"options": options}

    def _look(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        command = self._chance.choice(("files/stat", "files/ls", "files/read"))
        allowed = {
            "files/stat": self._some(("with-local", "true"), ("cid-base", "base32")),
            "files/ls": self._some(("long", "true")),
            "files/read": self._some(("offset", "2"), ("count", "4")),
        }
        return command, (self._path(),), {"options": allowed[command]}

    def _add(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        options = self._some(
            ("cid-version", self._chance.choice("01")), ("raw-leaves", self._chance.choice(("true", "false"))),
            ("trickle", "true"), ("chunker", "size-1000"), ("wrap-with-directory", "true"), ("pin", "false"),
            ("max-file-links", "3"), ("progress", "true"), ("only-hash", "true"),
        )  # fmt: skip
        if self._chance.random() < 0.3:
            to = self._path() + self._chance.choice(("", "/"))
            return "add", (), {**self._multipart(("f", self._bytes())), "options": [("to-files", to)]}
        folder = [
            ("d/", b""),
            ("d/a", b"a"),
            ("d/z/", b""),
            ("d/z/q", self._bytes()),
            ("d/b", b""),
            ("e", b"e"),
        ]
        files = self._chance.choice(([("f", self._bytes())], folder))
        return "add", (), {**self._multipart(*files), "options": options}

    def _content(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        command = self._chance.choice(
            ("block/stat", "refs", "dag/stat", "ls", "cat", "block/get", "dag/export")
        )
        allowed = {
            "refs": self._some(("recursive", "true"), ("unique", "true")),
            "dag/stat": [("progress", "false")],
            "ls": self._some(("stream", "true"), ("size", "false"), ("resolve-type", "false")),
            "cat": self._some(("offset", "2"), ("length", "40")),
        }
        options = [*allowed.get(command, []), ("offline", "true")]
        return command, (self._chance.choice(self._cids),), {"options": options}

    def _pin(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        command = self._chance.choice(("pin/add", "pin/rm", "pin/ls"))
        if command == "pin/ls":
            kind = self._chance.choice(("recursive", "direct", "indirect", "all"))
            return command, (), {"options": self._some(("names", "true"), ("type", kind))}
        options = self._some(("name", "n"), ("recursive", "false")) if command == "pin/add" else []
        return command, (self._chance.choice(self._cids),), {"options": [*options, ("offline", "true")]}
