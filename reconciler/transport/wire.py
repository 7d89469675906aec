"""The bytes of a connection, seen from below httpx: what its API throws away or comes to too late.

Kubo tells of an error that comes after the first byte of an answer in the trailer `X-Stream-Error` only, and
httpx drops trailers. And Kubo answers an upload while it still arrives: who reads only when all is sent, as
httpx does, can end up waiting for a node that waits for him. httpcore, the engine of httpx, has a documented
seam below both: its network backend.
"""

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import httpcore

#: Trailers are looked for in so many of the last bytes. h11 itself accepts no longer ones.
TAIL: Final = 64 * 1024
#: What is kept of an answer while the request is still being sent: some 500,000 records of `add`.
MAX_AHEAD: Final = 64 * 1024 * 1024
_CHUNK: Final = 64 * 1024
_LAST_CHUNK: Final = b"\r\n0\r\n"


class Backend(httpcore.AsyncNetworkBackend):
    """Connections whose ends can be looked at; with `ahead`, they read while they write."""

    def __init__(self, *, ahead: bool = False) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._ahead = ahead

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        inner = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return Ahead(inner) if self._ahead else Stream(inner)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class Stream(httpcore.AsyncNetworkStream):
    """A connection that remembers the last bytes it read."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self.inner = inner
        self.tail = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self.inner.read(max_bytes, timeout)
        self.tail = data if len(data) >= TAIL else (self.tail + data)[-TAIL:]
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # What was read before belongs to an answer that is over.
        self.tail = b""
        await self.inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return Stream(await self.inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> object:
        return self.inner.get_extra_info(info)


class Ahead(Stream):
    """A connection for one request, that reads what comes as soon as it comes, up to `MAX_AHEAD` bytes."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        super().__init__(inner)
        self._buffer = bytearray()
        self._news = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._over: Exception | None = None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._buffer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")):
            # Refused before all was sent. httpcore takes this as its cue to read the answer.
            raise httpcore.WriteError("refused while it was sent")
        if self._reader is None:
            self._reader = asyncio.create_task(self._pump())
        await self.inner.write(buffer, timeout)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._reader is None:
            return await super().read(max_bytes, timeout)
        try:
            async with asyncio.timeout(timeout):
                while not self._buffer and not self._reader.done():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise httpcore.ReadTimeout from None
        if not self._buffer and self._over is not None:
            raise self._over
        data = bytes(self._buffer[:max_bytes])
        del self._buffer[:max_bytes]
        self.tail = (self.tail + data)[-TAIL:]
        return data

    async def _pump(self) -> None:
        try:
            while data := await self.inner.read(_CHUNK, None):
                self._buffer += data
                self._news.set()
                if len(self._buffer) > MAX_AHEAD:
                    self._over = httpcore.ReadError("the answer is too long to be kept while sending")
                    return
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            self._over = error
        finally:
            self._news.set()

    async def _stop(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader
            self._reader = None

    async def aclose(self) -> None:
        await self._stop()
        await self.inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        # Behind a proxy something was already written: CONNECT, whose answer is over.
        await self._stop()
        return Ahead(await self.inner.start_tls(ssl_context, server_hostname, timeout))


def trailer(stream: object, name: bytes) -> str:
    """A trailer of the chunked answer that has just ended on `stream`, or "".

    The last chunk of a chunked message is `0`, and behind it stand the trailers and nothing else (RFC 9112,
    7.1), so its last occurrence is the true one, whatever the body holds.
    """
    if not isinstance(stream, Stream):
        return ""
    _, found, rest = stream.tail.rpartition(_LAST_CHUNK)
    if not found or not rest.endswith(b"\r\n\r\n"):
        return ""
    for line in rest.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode("utf-8", "replace")
    return ""
