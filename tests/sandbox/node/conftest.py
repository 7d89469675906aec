"""A sandbox node, and a client that sees what Kubo's clients see: trailers too."""

import socket
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote_plus

import h11
import pytest

from reconciler.sandbox.node import SandboxNode


class Answer(NamedTuple):
    """`headers` and `trailers` by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str]

    @property
    def text(self) -> str:
        return self.body.decode()


Pairs = Sequence[tuple[str, str]]
Ask = Callable[..., Answer]


def ask(
    port: int,
    command: str,
    *given: str,
    options: Pairs = (),
    body: bytes = b"",
    method: str = "POST",
    path: str = "",
    headers: Pairs = (),
    wait: float = 20,
) -> Answer:
    """One request on a connection of its own. Raises TimeoutError if nothing came for `wait` seconds."""
    pairs = [("arg", value) for value in given] + [*options]
    query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
    target = (path or f"/api/v0/{command}") + (f"?{query}" if query else "")
    fields = [("Host", f"127.0.0.1:{port}"), *((k, v) for k, v in headers if k.lower() != "host")]
    fields = [(k, v) for k, v in headers if k.lower() == "host"] or fields[:1]
    fields += [(k, v) for k, v in headers if k.lower() != "host"]
    if body or method == "POST":
        fields.append(("Content-Length", str(len(body))))
    client = h11.Connection(h11.CLIENT)
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as line:
        line.sendall(client.send(h11.Request(method=method, target=target, headers=fields)) or b"")
        if body:
            line.sendall(client.send(h11.Data(data=body)) or b"")
        line.sendall(client.send(h11.EndOfMessage()) or b"")
        return _read(client, line)


def _read(client: h11.Connection, line: socket.socket) -> Answer:
    status, headers, body = 0, {}, b""
    while True:
        event = client.next_event()
        match event:
            case h11.NEED_DATA:
                client.receive_data(line.recv(1 << 16))
            case h11.Response():
                status, headers = event.status_code, _named(event.headers)
            case h11.Data():
                body += bytes(event.data)
            case h11.EndOfMessage():
                return Answer(status, headers, body, _named(event.headers))
            case _:
                raise ConnectionError(f"the connection ended in {event}")


def _named(headers: object) -> dict[str, str]:
    return {k.decode().lower(): v.decode() for k, v in headers}  # type: ignore[attr-defined]


def multipart(*parts: tuple[str, bytes], kind: str = "application/octet-stream") -> dict[str, object]:
    """Arguments of `ask` that carry files; a name that ends with a slash is a folder."""
    out = b""
    for name, content in parts:
        what = "application/x-directory" if name.endswith("/") else kind
        head = f'Content-Disposition: form-data; name="file"; filename="{quote_plus(name.rstrip("/"))}"'
        out += f"--edge\r\n{head}\r\nContent-Type: {what}\r\n\r\n".encode() + content + b"\r\n"
    return {
        "body": out + b"--edge--\r\n",
        "headers": [("Content-Type", "multipart/form-data; boundary=edge")],
    }


@pytest.fixture
def node() -> Iterator[SandboxNode]:
    with SandboxNode() as running:
        yield running


@pytest.fixture
def rpc(node: SandboxNode) -> Ask:
    def asked(command: str, *given: str, **more: object) -> Answer:
        return ask(node.port, command, *given, **more)  # type: ignore[arg-type]

    return asked


@pytest.fixture(name="multipart")
def multipart_fixture() -> Callable[..., dict[str, object]]:
    return multipart


@pytest.fixture(name="ask")
def ask_fixture() -> Ask:
    return ask
