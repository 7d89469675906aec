"""The door to a node's RPC API, against servers that say exactly what a test wants, on real sockets."""

import asyncio
import base64
import contextlib
import datetime
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.errors import NodeError
from reconciler.transport.rpc import Authorization, Rpc
from reconciler.transport.secret import Secret
from reconciler.transport.wire import TAIL, Stream, trailer

TOKEN = "c4n4ry-t0ken-0123456789"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes = b"{}", *, status: int = 200, error: str = "", chunk: int = 7) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json; charset=utf-8\r\n".encode()
    pieces = [body[i : i + chunk] for i in range(0, len(body), chunk)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)
    end = f"X-Stream-Error: {error}\r\n".encode() if error else b""
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + end + b"\r\n"


class Server:
    """Answers the n-th request with the n-th script, the last one again and again."""

    def __init__(self, *scripts: bytes | Talk | None) -> None:
        self.scripts = list(scripts)
        self.requests: list[str] = []
        self.connections = 0
        self.tasks: list[asyncio.Task[None]] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self.tasks.append(task)
        self.writers.append(writer)
        ends = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with contextlib.suppress(*ends):
            while True:
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                if script is None:
                    await asyncio.sleep(3600)
                elif isinstance(script, bytes):
                    writer.write(script)
                    await writer.drain()
                else:
                    await script(reader, writer)
                    break
        writer.close()


@contextlib.asynccontextmanager
async def talk(
    *scripts: bytes | Talk | None,
    timeout: float = 5.0,
    token: str = "",
    environ: dict[str, str] | None = None,
) -> AsyncIterator[tuple[Rpc, Server]]:
    server = Server(*scripts)
    listener = await asyncio.start_server(server, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        secret = Secret(token) if token else None
        async with Rpc(url=url, token=secret, timeout=timeout, environ=environ or {}) as rpc:
            yield rpc, server
    finally:
        listener.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)
        for writer in server.writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def run(story: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await story()

    return asyncio.run(main())


async def failure(awaitable: Awaitable[Any]) -> NodeError:
    with pytest.raises(NodeError) as caught:
        await awaitable
    return caught.value


# --- calls -------------------------------------------------------------------------------------------------------


def test_a_call_is_a_post_with_its_query_encoded_and_the_connection_is_used_again() -> None:
    async def story() -> None:
        async with talk(answer(b'{"a":1}')) as (rpc, server):
            query = [("arg", "/a b&c+ü/d"), ("arg", "2"), ("offline", "true")]
            got = await rpc.call("files/stat", query)
            await rpc.call("version")
        assert (got.status, got.content_type, got.body, got.error) == (
            200,
            "application/json",
            b'{"a":1}',
            "",
        )
        line, *headers = server.requests[0].split("\r\n")
        assert line == "POST /api/v0/files/stat?arg=%2Fa%20b%26c%2B%C3%BC%2Fd&arg=2&offline=true HTTP/1.1"
        assert "Content-Length: 0" in headers
        assert not [h for h in headers if h.startswith(("Origin", "Referer", "Authorization"))]
        assert [h for h in headers if h.startswith("User-Agent: pinrec/")]
        assert (server.connections, rpc.requests) == (1, 2)

    run(story)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 500])
def test_an_answer_of_any_status_is_an_answer(status: int) -> None:
    async def story() -> None:
        async with talk(answer(b"text", status=status)) as (rpc, _):
            got = await rpc.call("x", repeat=True)
        assert (got.status, got.body) == (status, b"text")
        assert rpc.requests == 1

    run(story)


def test_the_trailer_is_seen() -> None:
    async def story() -> None:
        async with talk(answer(b"{}", error="context deadline exceeded"), answer(b"{}")) as (rpc, _):
            assert (await rpc.call("x")).error == "context deadline exceeded"
            assert (await rpc.call("x")).error == ""

    run(story)


class Said(Stream):
    def __init__(self, tail: bytes) -> None:
        self.tail = tail


@given(st.binary(max_size=200), st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=50))
def test_no_body_can_fake_a_trailer_or_hide_one(body: bytes, said: str) -> None:
    faked = body + b"\r\n0\r\nX-Stream-Error: faked\r\n\r\n"
    plain, failed = answer(faked, chunk=4096), answer(faked, error=said, chunk=4096)
    assert trailer(Said(plain[-TAIL:]), b"x-stream-error") == ""
    assert trailer(Said(failed[-TAIL:]), b"x-stream-error") == said


def test_a_node_that_says_nothing_is_late() -> None:
    async def story() -> None:
        async with talk(None) as (rpc, server):
            error = await failure(rpc.call("files/stat", deadline=0.1, repeat=True))
            assert len(server.requests) == 1
        assert (error.late, error.lost, error.unreachable) == (True, True, False)
        assert "no answer within 0.1 s" in error.message

    run(story)


def test_an_answer_that_drips_is_late_too() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\n \r\n")
            await asyncio.sleep(0.02)

    async def story() -> None:
        async with talk(drip) as (rpc, _):
            assert (await failure(rpc.call("x", deadline=0.3))).late

    run(story)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{")


@pytest.mark.parametrize("script", [reset, cut])
def test_a_broken_connection_is_tried_again_for_reads_only(script: Talk) -> None:
    async def story() -> None:
        async with talk(script, answer()) as (rpc, _):
            error = await failure(rpc.call("pin/rm"))
            assert (error.lost, error.late, error.unreachable) == (True, False, False)
            assert rpc.requests == 1
        async with talk(script, answer()) as (rpc, _):
            assert (await rpc.call("files/stat", repeat=True)).body == b"{}"
            assert rpc.requests == 2

    run(story)


def test_a_node_that_is_not_there() -> None:
    async def story() -> None:
        async with Rpc(url="http://127.0.0.1:1", token=None, timeout=5, environ={}) as rpc:
            error = await failure(rpc.call("version", repeat=True))
            assert rpc.requests == 3
            await failure(rpc.call("pin/add"))
            assert rpc.requests == 4
        assert (error.unreachable, error.lost, error.late) == (True, False, False)
        assert "is the daemon running" in error.hint
        assert "http://127.0.0.1:1" in error.message

    run(story)


def test_a_body_is_bounded() -> None:
    async def story() -> None:
        async with talk(answer(b"x" * 1000)) as (rpc, _):
            assert len((await rpc.call("x", max_body=1000)).body) == 1000
            error = await failure(rpc.call("x", max_body=999, repeat=True))
            assert "longer than 999 bytes" in error.message
            assert rpc.requests == 2

    run(story)


def test_calls_do_not_wait_for_streams() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n")
        await asyncio.sleep(3600)

    async def story() -> None:
        async with talk(*[endless] * 30, answer()) as (rpc, _), contextlib.AsyncExitStack() as stack:
            for _ in range(30):
                await stack.enter_async_context(rpc.stream("pin/add"))
            assert (await rpc.call("files/stat")).status == 200

    run(story)


# --- the token ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "header"),
    [
        ("bearer:abc:def", "Bearer abc:def"),
        ("basic:user:pass:word", "Basic " + base64.b64encode(b"user:pass:word").decode()),
        ("basic:üser:pässwörd", "Basic " + base64.b64encode("üser:pässwörd".encode()).decode()),
        ("basic:dXNlcjpwYXNz", "Basic dXNlcjpwYXNz"),
        ("abc", "Bearer abc"),
        ("Custom:abc", "Custom:abc"),
    ],
)
def test_a_token_is_written_as_kubo_reads_it(token: str, header: str) -> None:
    assert Authorization(Secret(token)).header.reveal() == header


@pytest.mark.parametrize("token", [f"bearer:{TOKEN}", TOKEN, f"basic:somebody:{TOKEN}"])
def test_the_token_goes_into_the_header_and_nowhere_else(token: str) -> None:
    async def story() -> None:
        async with talk(answer(TOKEN.encode(), error=f"no {token}, no"), reset, token=token) as (rpc, server):
            got = await rpc.call("version")
            assert TOKEN not in got.error
            hidden = Authorization(Secret(token)).header.reveal()
            assert f"Authorization: {hidden}" in server.requests[0]
            assert TOKEN not in rpc.redact(f"{token} {hidden} {TOKEN}")
            error = await failure(rpc.call("version"))
        shown = "".join(traceback.format_exception(error)) + repr(vars(error)) + repr(vars(rpc))
        assert TOKEN not in shown
        assert base64.b64encode(TOKEN.encode()).decode() not in shown
        assert error.__context__ is None

    run(story)


# --- streams -----------------------------------------------------------------------------------------------------


async def collect(rpc: Rpc, **more: Any) -> tuple[bytes, str]:
    async with rpc.stream("x", **more) as stream:
        body = b"".join([chunk async for chunk in stream.chunks()])
        return body, stream.error


def test_a_stream_comes_as_it_comes_and_ends_with_its_trailer() -> None:
    async def story() -> None:
        async with talk(answer(b"abc" * 100, error="it failed")) as (rpc, _):
            assert await collect(rpc) == (b"abc" * 100, "it failed")
            async with rpc.stream("x") as stream:
                whole = await stream.whole()
            assert (whole.body, whole.error) == (b"abc" * 100, "it failed")

    run(story)


def test_a_stream_that_stalls_is_late_and_one_that_breaks_is_lost() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n")
        await writer.drain()
        await asyncio.sleep(3600)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\n \r\n")
            await asyncio.sleep(0.02)

    async def story() -> None:
        async with talk(half, None, cut, drip) as (rpc, _):
            assert (await failure(collect(rpc, stall=0.1))).late
            assert (await failure(collect(rpc, stall=0.1))).late
            assert (await failure(collect(rpc))).lost
            assert (await failure(collect(rpc, stall=5, deadline=0.3))).late

    run(story)


def test_leaving_a_stream_closes_its_connection() -> None:
    """Kubo ends a command whose client has left."""
    gone = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n")
        assert await reader.read() == b""
        gone.set()

    async def story() -> None:
        async with talk(endless) as (rpc, _):
            async with rpc.stream("pin/add") as stream:
                async for _ in stream.chunks():
                    break
            await asyncio.wait_for(gone.wait(), 10)

    run(story)


# --- uploads -----------------------------------------------------------------------------------------------------


async def zeros(number: int, size: int = 65536) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield bytes(size)


def test_an_upload_reads_the_answer_while_it_sends() -> None:
    """The server says 32 MB before it reads the first byte: who does not listen meanwhile waits for ever."""
    line = b'{"Name":"' + b"n" * 990 + b'"}\n'

    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(32):
            writer.write(b"%x\r\n%s\r\n" % (1000 * len(line), line * 1000))
            await writer.drain()
        received = 0
        while not (data := await reader.read(1 << 20)).endswith(b"0\r\n\r\n"):
            received += len(data)
        assert received > 20_000_000
        writer.write(b"0\r\nX-Stream-Error: at the end\r\n\r\n")
        await writer.drain()

    async def story() -> None:
        async with talk(chatty) as (rpc, server):
            body, error = await collect(rpc, upload=zeros(400), content_type="a/b", stall=20)
        assert len(body) == 32_000 * len(line)
        assert error == "at the end"
        assert "Content-Type: a/b\r\n" in server.requests[0]
        assert "Transfer-Encoding: chunked\r\n" in server.requests[0]

    run(story)


def test_an_upload_that_is_refused_midway_ends_with_the_refusal() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answer(b'{"Message":"no"}', status=500))
        await writer.drain()
        while await reader.read(1 << 16):
            pass

    sent = 0

    async def forever() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield bytes(65536)
            await asyncio.sleep(0)

    async def story() -> None:
        async with talk(refuse) as (rpc, _), rpc.stream("add", upload=forever(), stall=20) as stream:
            assert stream.status == 500
            assert (await stream.whole()).body == b'{"Message":"no"}'

    run(story)
    assert sent > 0


def test_what_the_source_of_an_upload_raises_is_raised() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise PermissionError("no such luck")

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            pass

    async def story() -> None:
        async with talk(swallow) as (rpc, _):
            with pytest.raises(PermissionError, match="no such luck"):
                await collect(rpc, upload=broken())

    run(story)


def test_a_node_that_takes_nothing_of_an_upload_is_late() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    async def story() -> None:
        async with talk(deaf) as (rpc, _):
            assert (await failure(collect(rpc, upload=zeros(10_000), stall=0.3))).late

    run(story)


# --- TLS and proxies ---------------------------------------------------------------------------------------------


def test_the_proxy_of_the_environment_is_used_but_not_for_this_machine() -> None:
    async def story() -> None:
        async with talk(answer(), environ={"HTTP_PROXY": "http://127.0.0.1:1"}) as (rpc, _):
            assert (await rpc.call("version")).status == 200
        proxy = Server(answer(b"by proxy"))
        listener = await asyncio.start_server(proxy, "127.0.0.1", 0)
        environ = {"HTTP_PROXY": f"http://who:pass@127.0.0.1:{listener.sockets[0].getsockname()[1]}"}
        async with Rpc(url="http://node.invalid:5001", token=None, timeout=5, environ=environ) as rpc:
            assert (await rpc.call("version")).body == b"by proxy"
        listener.close()
        for task in proxy.tasks:
            task.cancel()
        await asyncio.gather(*proxy.tasks, return_exceptions=True)
        assert proxy.requests[0].startswith("POST http://node.invalid:5001/api/v0/version ")
        assert "Proxy-Authorization: Basic" in proxy.requests[0]

    run(story)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "http://", "ftp://x"])
def test_a_proxy_that_cannot_be_used_is_named(proxy: str) -> None:
    async def story() -> None:
        rpc = Rpc(url="http://node.invalid:5001", token=None, timeout=5, environ={"HTTP_PROXY": proxy})
        error = await failure(rpc.__aenter__())
        assert error.unreachable
        assert "proxy" in error.message

    run(story)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Of a server on this machine, signed by itself, and believed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("node.invalid")]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = made.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "cert.pem").write_bytes(pem + key.private_bytes(serialization.Encoding.PEM, *plain))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem")
    return context


async def swallow_and_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
    while not (await reader.read(1 << 20)).endswith(b"0\r\n\r\n"):
        pass
    writer.write(b"3\r\ntwo\r\n0\r\nX-Stream-Error: at the end\r\n\r\n")
    await writer.drain()


def test_trailers_and_uploads_over_tls_and_through_a_tunnel(certificate: ssl.SSLContext) -> None:
    async def story() -> None:
        server = Server(
            answer(b"{}", error="late"), swallow_and_answer, answer(b"{}", error="late"), swallow_and_answer
        )
        listener = await asyncio.start_server(server, "127.0.0.1", 0, ssl=certificate)
        port = listener.sockets[0].getsockname()[1]
        tunnels: list[str] = []
        pipes: list[asyncio.Task[None]] = []

        async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                while data := await reader.read(1 << 16):
                    writer.write(data)
                    await writer.drain()
            writer.close()

        async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tunnels.append((await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[0])
            theirs, ours = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pipes.extend([asyncio.create_task(pipe(reader, ours)), asyncio.create_task(pipe(theirs, writer))])

        proxy = await asyncio.start_server(tunnel, "127.0.0.1", 0)
        through = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"}
        for url, environ in ((f"https://127.0.0.1:{port}", {}), (f"https://node.invalid:{port}", through)):
            async with Rpc(url=url, token=None, timeout=10, environ=environ) as rpc:
                assert (await rpc.call("x")).error == "late"
                assert await collect(rpc, upload=zeros(100)) == (b"onetwo", "at the end")
        assert tunnels == [f"CONNECT node.invalid:{port} HTTP/1.1"] * 2
        proxy.close()
        listener.close()
        for task in (*pipes, *server.tasks):
            task.cancel()
        await asyncio.gather(*pipes, *server.tasks, return_exceptions=True)

    run(story)
