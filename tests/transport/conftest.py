"""Servers that say exactly the bytes a test wants, and our client for them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from reconciler.core.manifest import Limits
from reconciler.transport.http import HttpClient, Seams
from reconciler.transport.secret import Secret

KEY = "c4n4ry-0f-th3-t3sts"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers the n-th request with the n-th script; the last one stays. A script is bytes, or a function."""

    def __init__(self, *scripts: Any) -> None:
        self.scripts = list(scripts)
        self.requests: list[bytes] = []
        self.endpoint = ""
        self.talks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self.talks[task] = writer
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self.one(reader, writer):
                pass
        writer.close()

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        self.requests.append(head + await reader.readexactly(int(lengths[0]) if lengths else 0))
        script = self.scripts[min(len(self.requests), len(self.scripts)) - 1]
        if not isinstance(script, bytes):
            await script(writer)
            return False
        writer.write(script)
        await writer.drain()
        return True

    async def close(self) -> None:
        for task in self.talks:
            task.cancel()
        await asyncio.gather(*self.talks, return_exceptions=True)
        for writer in self.talks.values():
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def talk(
    *scripts: Any, limits: Limits | None = None, clock: Clock | None = None, jitter: float = 0.5, **more: Any
) -> AsyncIterator[tuple[HttpClient, Server]]:
    server = Server(*scripts)
    listener = await asyncio.start_server(server, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server.endpoint = f"http://127.0.0.1:{port}"
    clock = clock or Clock()
    client = HttpClient(
        service="svc",
        endpoint=server.endpoint,
        key=Secret(KEY),
        limits=limits or Limits(timeout=2),
        environ=more.get("environ", {}),
        seams=Seams(clock=clock, now=clock, sleep=clock.sleep, jitter=lambda: jitter),
    )
    try:
        async with client:
            yield client, server
    finally:
        listener.close()
        await server.close()


@pytest.fixture
def kit() -> Any:
    class Kit:
        key = KEY
        clock = Clock

    Kit.talk = staticmethod(talk)
    Kit.answer = staticmethod(answer)
    Kit.reset = staticmethod(reset)
    Kit.silence = staticmethod(silence)
    return Kit
