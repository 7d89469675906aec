"""The door to the RPC API of a node: POST requests to one address, with deadlines, bounds and trailers.

An answer of any status is an answer; what it means is for `node/` to say. What is raised says there is none:
NodeError with `unreachable` (surely not sent), `late` (no answer within the deadline) or `lost` (it may have
happened). Nothing is repeated but a read whose connection was refused, or broke.
"""

import asyncio
import base64
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, urlencode, urlsplit

import httpcore
import httpx
from msgspec import Struct

from reconciler import __version__
from reconciler.core.errors import NodeError
from reconciler.transport.proxy import UNUSABLE, proxy_for
from reconciler.transport.secret import Secret
from reconciler.transport.tls import trusted
from reconciler.transport.wire import Backend, trailer

Query = Sequence[tuple[str, str]]

MAX_BODY: Final = 8 * 1024 * 1024
CONNECT_TIMEOUT: Final = 10.0
#: httpcore looks whether an idle connection was closed before it uses it again.
KEEPALIVE_EXPIRY: Final = 60.0
#: Waits before a read is sent again.
REPEATS: Final = (0.1, 0.4)
#: Connections for calls, and for streams and uploads, which must not keep calls waiting.
CALLS, STREAMS = 16, 64

_NOT_SENT = (
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    httpcore.LocalProtocolError,
)
_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError)


class RpcAnswer(Struct, frozen=True):
    """What came back. `content_type` is "" where none was said; `error` is the trailer `X-Stream-Error`."""

    status: int
    content_type: str
    body: bytes
    error: str = ""


class Authorization:
    """The header for a token as Kubo's `API.Authorizations.<name>.AuthSecret` writes it.

    `bearer:X`, `basic:user:pass`, `basic:<base64>`, or X alone, which is a bearer token (Kubo, config/api.go,
    ConvertAuthSecret).
    """

    def __init__(self, token: Secret) -> None:
        text = token.reveal()
        kind, colon, value = text.partition(":")
        if not colon:
            header = f"Bearer {text}"
        elif kind == "bearer":
            header = f"Bearer {value}"
        elif kind == "basic":
            basic = base64.b64encode(value.encode()).decode() if ":" in value else value
            header = f"Basic {basic}"
        else:
            header = text
        self.header = Secret(header)
        password = value.rpartition(":")[2]
        self._hidden = [Secret(s) for s in (header.rpartition(" ")[2], text, value, password) if s]

    def redact(self, text: str) -> str:
        for secret in self._hidden:
            text = secret.redact(text)
        return text


class Rpc:
    """Requests to the RPC API at `url` (no path). Enter it before use; one event loop only."""

    def __init__(self, *, url: str, token: Secret | None, timeout: float, environ: Mapping[str, str]) -> None:
        self.where = url
        self.requests = 0
        parts = urlsplit(url)
        self._scheme = parts.scheme.encode()
        self._host = (parts.hostname or "").encode()
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._timeout = timeout
        self._auth = Authorization(token) if token else None
        self._proxy = proxy_for(parts.scheme, parts.hostname or "", environ)
        self._headers = [
            (b"Host", parts.netloc.encode()),
            (b"User-Agent", f"pinrec/{__version__}".encode()),
            (b"Accept", b"*/*"),
        ]
        self._stack = AsyncExitStack()
        self._calls = self._streams = self._uploads = httpcore.AsyncConnectionPool()

    async def __aenter__(self) -> Self:
        tls = trusted() if self._scheme == b"https" or self._proxy else None
        failure = ""
        try:
            proxy = _proxy(self._proxy) if self._proxy else None
            self._calls, self._streams, self._uploads = (
                httpcore.AsyncConnectionPool(
                    ssl_context=tls,
                    proxy=proxy,
                    max_connections=most,
                    max_keepalive_connections=idle,
                    keepalive_expiry=KEEPALIVE_EXPIRY,
                    network_backend=Backend(ahead=ahead),
                )
                for most, idle, ahead in ((CALLS, CALLS, False), (STREAMS, 4, False), (STREAMS, 0, True))
            )
        except (ValueError, httpx.InvalidURL):
            failure = UNUSABLE
        if failure:
            raise self._unreachable(failure, hint="see HTTPS_PROXY and NO_PROXY")
        for pool in (self._calls, self._streams, self._uploads):
            await self._stack.enter_async_context(pool)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def redact(self, text: str) -> str:
        """`text` without the token, for whatever a node said."""
        return self._auth.redact(text) if self._auth else text

    async def call(
        self,
        command: str,
        query: Query = (),
        *,
        deadline: float | None = None,
        repeat: bool = False,
        max_body: int = MAX_BODY,
    ) -> RpcAnswer:
        """The whole answer to `command` (`files/stat`) within `deadline` seconds.

        `repeat`: it only reads, so it may be sent again. Raises NodeError.
        """
        deadline = self._timeout if deadline is None else deadline
        outcome = await self._once(command, query, deadline, max_body)
        if repeat:
            for wait in REPEATS:
                if (
                    isinstance(outcome, RpcAnswer)
                    or outcome.late
                    or not (outcome.unreachable or outcome.lost)
                ):
                    break
                await asyncio.sleep(wait)
                outcome = await self._once(command, query, deadline, max_body)
        if isinstance(outcome, NodeError):
            raise outcome
        return outcome

    async def _once(
        self, command: str, query: Query, deadline: float, max_body: int
    ) -> "RpcAnswer | NodeError":
        """One request. Failures are returned, so that no exception of the HTTP library is the context of one
        of ours: it may hold the request, and with it the token."""
        request = self._request(command, query, None, deadline)
        try:
            async with asyncio.timeout(deadline):
                response = await self._calls.handle_async_request(request)
                parts: list[bytes] = []
                size = 0
                try:
                    async for chunk in _body(response):
                        size += len(chunk)
                        if size > max_body:
                            return self._too_long(command, max_body)
                        parts.append(chunk)
                    error = self.redact(trailer(response.extensions.get("network_stream"), b"x-stream-error"))
                finally:
                    await response.aclose()
            return RpcAnswer(response.status, _content_type(response), b"".join(parts), error)
        except (TimeoutError, httpcore.TimeoutException, *_NOT_SENT, *_BROKEN) as error:
            return self._failure(error, command, deadline)

    @asynccontextmanager
    async def stream(
        self,
        command: str,
        query: Query = (),
        *,
        stall: float | None = None,
        deadline: float | None = None,
        upload: AsyncIterable[bytes] | None = None,
        content_type: str = "",
    ) -> "AsyncIterator[RpcStream]":
        """An answer that is read as it comes.

        `stall` is the longest wait for a next piece of it, and for the node to take one of `upload`; `deadline`
        is for all of it. What `upload` raises is raised here as it is, everything else is NodeError.
        """
        stall = self._timeout if stall is None else stall
        loop = asyncio.get_running_loop()
        end = None if deadline is None else loop.time() + deadline
        body = (upload, content_type) if upload is not None else None
        request = self._request(command, query, body, stall)
        pool = self._streams if upload is None else self._uploads
        response: httpcore.Response | None = None
        failure: NodeError | None = None
        try:
            async with asyncio.timeout_at(end):
                response = await pool.handle_async_request(request)
        except (TimeoutError, httpcore.TimeoutException, *_NOT_SENT, *_BROKEN) as error:
            failure = self._failure(error, command, stall if deadline is None else deadline)
        if response is None:
            raise failure or self._lost(command)
        stream = RpcStream(self, command, response, stall, end)
        try:
            yield stream
        finally:
            with suppress(*_BROKEN, httpcore.TimeoutException):
                await response.aclose()

    def _request(
        self, command: str, query: Query, body: tuple[AsyncIterable[bytes], str] | None, wait: float
    ) -> httpcore.Request:
        self.requests += 1
        target = f"/api/v0/{command}"
        if query:
            target += "?" + urlencode(query, quote_via=quote, safe="")
        url = httpcore.URL(scheme=self._scheme, host=self._host, port=self._port, target=target)
        times = {"connect": min(wait, CONNECT_TIMEOUT), "read": wait, "write": wait, "pool": wait}
        headers = list(self._headers)
        if self._auth:
            headers.append((b"Authorization", self._auth.header.reveal().encode()))
        if body is None:
            headers.append((b"Content-Length", b"0"))
            return httpcore.Request(b"POST", url, headers=headers, extensions={"timeout": times})
        content, kind = body
        headers += [(b"Content-Type", kind.encode()), (b"Transfer-Encoding", b"chunked")]
        return httpcore.Request(b"POST", url, headers=headers, content=content, extensions={"timeout": times})

    def _failure(self, error: Exception, command: str, wait: float) -> NodeError:
        if isinstance(error, _NOT_SENT):
            # httpcore's own words for a failed connection, which name neither headers nor the query.
            text = "".join(c if c.isprintable() else " " for c in str(error))[:200]
            return self._unreachable(self.redact(text) or "connecting took too long")
        if isinstance(error, TimeoutError | httpcore.TimeoutException):
            return NodeError(
                f"the node at {self.where}: {command}: no answer within {wait:g} s", late=True, lost=True
            )
        return self._lost(f"{command}: the connection broke")

    def _unreachable(
        self, why: str, *, hint: str = "is the daemon running, and is `api` right?"
    ) -> NodeError:
        return NodeError(f"the node at {self.where} cannot be reached: {why}", unreachable=True, hint=hint)

    def _lost(self, why: str) -> NodeError:
        return NodeError(f"the node at {self.where}: {why}", lost=True)

    def _too_long(self, command: str, limit: int) -> NodeError:
        return NodeError(f"the node at {self.where}: {command}: the answer is longer than {limit} bytes")


class RpcStream:
    """An answer that is still coming. `error`, the trailer, is known when the last piece was read."""

    def __init__(
        self, rpc: Rpc, command: str, response: httpcore.Response, stall: float, end: float | None
    ) -> None:
        self.status = response.status
        self.content_type = _content_type(response)
        self.error = ""
        self._rpc = rpc
        self._command = command
        self._response = response
        self._stall = stall
        self._end = end

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, as it comes. Raises NodeError."""
        body = _body(self._response).__aiter__()
        while True:
            chunk = await self._next(body)
            if isinstance(chunk, NodeError):
                raise chunk
            if not chunk:
                stream = self._response.extensions.get("network_stream")
                self.error = self._rpc.redact(trailer(stream, b"x-stream-error"))
                return
            yield chunk

    async def _next(self, body: AsyncIterator[bytes]) -> bytes | NodeError:
        """The next piece, b"" at the end."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._stall
        try:
            async with asyncio.timeout_at(until if self._end is None else min(until, self._end)):
                async for chunk in body:
                    if chunk:
                        return chunk
            return b""
        except (TimeoutError, httpcore.TimeoutException, *_BROKEN) as error:
            return self._rpc._failure(error, self._command, self._stall)

    async def whole(self, max_body: int = MAX_BODY) -> RpcAnswer:
        """The rest of it at once. Raises NodeError, also if it is longer than `max_body`."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > max_body:
                raise self._rpc._too_long(self._command, max_body)
            parts.append(chunk)
        return RpcAnswer(self.status, self.content_type, b"".join(parts), self.error)


def _body(response: httpcore.Response) -> AsyncIterable[bytes]:
    # It is declared as either kind; an asynchronous pool makes the asynchronous one.
    assert isinstance(response.stream, AsyncIterable)
    return response.stream


def _content_type(response: httpcore.Response) -> str:
    for name, value in response.headers:
        if name.lower() == b"content-type":
            return value.decode("latin-1").partition(";")[0].strip()
    return ""


def _proxy(url: str) -> httpcore.Proxy:
    """Raises ValueError for what is no HTTP proxy."""
    parsed = httpx.Proxy(url=url)
    if parsed.url.scheme not in ("http", "https") or not parsed.url.host:
        raise ValueError("only HTTP proxies")
    return httpcore.Proxy(url=str(parsed.url), auth=parsed.raw_auth, headers=parsed.headers.raw)
