"""A server on a real socket that answers as a Kubo was recorded to answer, or as a test says, byte for byte."""

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from reconciler.node.client import KuboNode
from reconciler.transport.rpc import Rpc
from reconciler.transport.secret import Secret

DATA = Path(__file__).parents[1] / "data/kubo-rpc"
API = "/api/v0/"


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded exchange, its placeholders replaced by the real values that stood there."""

    name: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    parts: tuple[Mapping[str, Any], ...]
    response: Mapping[str, Any]

    @property
    def command(self) -> str:
        return self.path.removeprefix(API)

    @property
    def args(self) -> list[str]:
        return [value for name, value in self.query if name == "arg"]

    def option(self, name: str) -> str:
        return dict(self.query).get(name, "")

    @property
    def body(self) -> bytes:
        said = self.response
        if "body_size" in said:  # only its hash was kept
            return b"x" * int(said["body_size"])
        if "body_base64" in said:
            return base64.b64decode(said["body_base64"])
        return str(said.get("body", "")).encode()

    @property
    def values(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines() if line]

    @property
    def uploads(self) -> list[tuple[str, bytes | None]]:
        """Name and content of every part that was sent; None for a directory."""
        return [(part["filename"], content(part)) for part in self.parts]

    @property
    def answered(self) -> bool:
        return bool(self.response["ended"] == "complete")

    @property
    def content_type(self) -> str:
        return next((v for k, v in self.response["headers"] if k == "Content-Type"), "")

    @property
    def trailer(self) -> str:
        return dict(self.response.get("trailers") or []).get("X-Stream-Error", "")

    def wire(self) -> bytes:
        """The answer as it stood on the wire, one line a chunk."""
        said, body = self.response, self.body
        lines = [f"HTTP/1.1 {said['status']} {said['reason']}", *(f"{k}: {v}" for k, v in said["headers"])]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        if not said.get("chunked"):
            return head + body
        return head + chunked(body, said.get("trailers") or ())


def chunked(body: bytes, trailers: Any = ()) -> bytes:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in body.splitlines(keepends=True))
    end = "".join(f"{k}: {v}\r\n" for k, v in trailers).encode()
    return chunks + b"0\r\n" + end + b"\r\n"


def answer(*records: Any, status: int = 200, error: str = "", kind: str = "application/json") -> bytes:
    """An answer of Kubo's: `records` are texts as they are, or values for a line of JSON each."""
    head = f"HTTP/1.1 {status} X\r\nTrailer: X-Stream-Error\r\nTransfer-Encoding: chunked\r\n"
    head += f"Content-Type: {kind}\r\n" if kind else ""
    body = "".join(r if isinstance(r, str) else json.dumps(r) + "\n" for r in records)
    return head.encode() + b"\r\n" + chunked(body.encode(), [("X-Stream-Error", error)] if error else ())


def load() -> dict[str, Step]:
    text = (DATA / "kubo-0.44.json").read_text()
    for placeholder, value in json.loads(text)["placeholders"].items():
        text = text.replace(placeholder, value)
    return {
        entry["name"]: Step(
            name=entry["name"],
            method=entry["request"]["method"],
            path=entry["request"]["path"],
            query=tuple((k, v) for k, v in entry["request"].get("query", ())),
            parts=tuple(entry["request"].get("multipart", ())),
            response=entry["response"],
        )
        for entry in json.loads(text)["entries"]
    }


def content(part: Mapping[str, Any]) -> bytes | None:
    """What a recorded part of a multipart body held; None for a directory."""
    if part.get("directory"):
        return None
    if "counter_bytes" in part:
        size, seed = part["counter_bytes"]
        data = b""
        while len(data) < size:
            data += hashlib.sha256(f"{seed}:{len(data) // 32}".encode()).digest()
        return data[:size]
    return base64.b64decode(part["base64"]) if "base64" in part else str(part["text"]).encode()


Script = bytes | Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any] | None


@dataclass
class Kubo:
    """Answers each command by its scripts in turn, the last one again and again; `None` never answers."""

    scripts: dict[str, list[Script]]
    asked: list[tuple[str, str, list[tuple[str, str]]]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    talks: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)
    url: str = ""

    def queries(self, command: str) -> list[dict[str, str]]:
        return [dict(query) for _, path, query in self.asked if path == API + command]

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self.talks[task] = writer
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        url = urlsplit(target)
        self.asked.append((method, url.path, parse_qsl(url.query, keep_blank_values=True)))
        self.heads.append(head)
        scripts = self.scripts.get(url.path.removeprefix(API))
        assert scripts, f"nothing was said about {url.path}"
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        if callable(script):
            await script(reader, writer)
            return False
        self.bodies.append(await read_body(head, reader))
        if script is None:
            await asyncio.sleep(3600)
            return False
        writer.write(script)
        await writer.drain()
        return b"Connection: close" not in script


async def read_body(head: str, reader: asyncio.StreamReader) -> bytes:
    if "transfer-encoding: chunked" not in head.lower():
        return b""
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


@contextlib.asynccontextmanager
async def talk(
    scripts: Mapping[str, Any],
    *,
    timeout: float = 5.0,
    token: str = "",
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[KuboNode, Kubo]]:
    """A client, and the server that it talks to."""
    kubo = Kubo({k: list(v) if isinstance(v, list) else [v] for k, v in scripts.items()})
    listener = await asyncio.start_server(kubo, "127.0.0.1", 0)
    kubo.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        secret = Secret(token) if token else None
        async with Rpc(url=kubo.url, token=secret, timeout=timeout, environ=environ or {}) as rpc:
            yield KuboNode(rpc, timeout=timeout), kubo
    finally:
        listener.close()
        for task in kubo.talks:
            task.cancel()
        await asyncio.gather(*kubo.talks, return_exceptions=True)
        for writer in kubo.talks.values():
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@pytest.fixture
def kit() -> Any:
    class Kit:
        """What tests of this folder share."""

    for thing in (talk, answer, chunked, load, read_body):
        setattr(Kit, thing.__name__, staticmethod(thing))
    return Kit


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `step` runs for every recorded exchange of a call that its module's CALLS names."""
    if "step" in metafunc.fixturenames:
        calls = metafunc.module.CALLS
        left_out = json.loads((DATA / "coverage.json").read_text())["steps"]
        steps = [s for s in load().values() if s.command in calls and s.name not in left_out]
        metafunc.parametrize("step", steps, ids=[step.name for step in steps])
