"""HTTP/1.1 with trailers, which is where Kubo says that a body which has begun is not whole.

uvicorn, which serves the pinning service, sends no trailers over HTTP/1.1. h11, which it stands on, does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import TypeAlias

import h11

Headers: TypeAlias = Iterable[tuple[str, str]]
#: Bytes of an upload that may wait to be read.
_WINDOW = 1 << 20
#: How long a client may go on sending what nobody reads before its connection is closed. The answer has left by then.
_LINGER = 0.5


class GoneError(Exception):
    """The client has left, or the connection was cut."""


class Exchange:
    """One request and the answer to it."""

    def __init__(self, connection: "Connection", request: h11.Request) -> None:
        self._connection = connection
        self._body: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._waiting = 0
        self._whole = False
        self.method = request.method.decode("ascii")
        path, _, self.query = request.target.decode("latin-1").partition("?")
        self.path = path
        self.headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in request.headers}

    async def read(self) -> bytes:
        """A piece of the body, b"" at its end."""
        if self._whole:
            return b""
        piece = await self._body.get()
        if piece is None:
            self._whole = True
            return b""
        self._waiting -= len(piece)
        if self._waiting < _WINDOW:
            self._connection.resume_reading()
        return piece

    async def start(self, status: int, headers: Headers) -> None:
        """The head of the answer. Without a content-length the body is sent in chunks, and may have trailers."""
        fields = [*headers]
        if not self._finished_upload():
            fields.append(("Connection", "close"))
        self._connection.send(
            h11.Response(status_code=status, headers=fields, reason=HTTPStatus(status).phrase.encode("ascii"))
        )

    async def send(self, data: bytes) -> None:
        if data and self.method != "HEAD":
            self._connection.send(h11.Data(data=data))
            await self._connection.writable()

    async def finish(self, trailers: Headers = ()) -> None:
        fields = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in trailers]
        self._connection.send(h11.EndOfMessage(headers=fields))
        await self._connection.writable()

    def cut(self) -> None:
        """Closes the connection without another word."""
        self._connection.abort()

    # --- for the connection -----------------------------------------------------------------------------------

    def feed(self, piece: bytes | None) -> int:
        """Takes what came, None at the end; how many bytes are waiting to be read."""
        self._body.put_nowait(piece)
        self._waiting += len(piece or b"")
        return self._waiting

    def _finished_upload(self) -> bool:
        return self._whole or self._connection.upload_is_whole()


Serve: TypeAlias = Callable[[Exchange], Awaitable[None]]


class Connection(asyncio.Protocol):
    """A client's connection: one exchange after the other. When the client leaves, its exchange is cancelled."""

    def __init__(self, serve: Serve, everyone: "set[Connection]") -> None:
        self._serve = serve
        self._everyone = everyone
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 16)
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._everyone.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._gone = True
        self._room.set()
        self._everyone.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._http.their_state is h11.ERROR or self._transport.is_closing():
            return
        self._http.receive_data(data)
        self._pump()

    def eof_received(self) -> bool:
        return False  # a client that closes its half has left

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    # --- for the exchange -------------------------------------------------------------------------------------

    def send(self, event: h11.Event) -> None:
        if self._gone:
            raise GoneError
        data = self._http.send(event)
        if data:
            self._transport.write(data)

    async def writable(self) -> None:
        await self._room.wait()
        if self._gone:
            raise GoneError

    def resume_reading(self) -> None:
        if not self._transport.is_closing() and not self._transport.is_reading():
            self._transport.resume_reading()

    def upload_is_whole(self) -> bool:
        return self._http.their_state is not h11.SEND_BODY

    def abort(self) -> None:
        self._transport.abort()

    # --- one exchange after the other -------------------------------------------------------------------------

    def _pump(self) -> None:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                self._transport.close()
                return
            match event:
                case h11.Request():
                    if self._http.they_are_waiting_for_100_continue:
                        self.send(h11.InformationalResponse(status_code=100, headers=[]))
                    self._exchange = Exchange(self, event)
                    self._task = asyncio.ensure_future(self._run(self._exchange))
                case h11.Data():
                    if self._exchange is not None and self._exchange.feed(bytes(event.data)) > _WINDOW:
                        self._transport.pause_reading()
                case h11.EndOfMessage():
                    if self._exchange is not None:
                        self._exchange.feed(None)
                case h11.ConnectionClosed():
                    self._transport.close()
                    return
                case _:
                    return  # more is needed, or the answer to the last request is not out

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._serve(exchange)
        except GoneError:
            return
        finally:
            self._task = None
        self._exchange = None
        if self._gone or self._transport.is_closing():
            return
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._pump()
            return
        self.resume_reading()
        asyncio.get_running_loop().call_later(_LINGER, self._transport.close)
