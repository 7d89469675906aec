"""A request to the API, from its head to its last byte: who may ask, what is asked, and in which shape it is answered.

not POST                                405, text
from a foreign web page                 403, text
no such command                         404, text
the query is wrong                      400, text
`timeout` is no duration                200, nothing
a command fails before its body began   500 (a client's mistake: 400), JSON
after it began                          200 and a body that is not whole; the error is in the trailer
"""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from reconciler.sandbox.node import call as calls
from reconciler.sandbox.node import reply as replies
from reconciler.sandbox.node.call import Arguments, BadEncodingError, BadRequestError, BadTimeoutError
from reconciler.sandbox.node.commands import COMMANDS, GROUPS
from reconciler.sandbox.node.reply import Content, Nothing, Once, Records, Reply, RpcError
from reconciler.sandbox.node.state import State
from reconciler.sandbox.node.upload import Upload
from reconciler.sandbox.node.wire import Exchange

_ROOT = "/api/v0/"
#: Records that are sent in one chunk where there are many.
_TOGETHER = 200
_EXPOSED = "X-Stream-Output, X-Chunked-Output, X-Content-Length"
_DENIED = (
    "Kubo RPC Access Denied: Please provide a valid authorization token "
    "as defined in the API.Authorizations configuration."
)
_PREFLIGHT = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


async def answer(exchange: Exchange, state: State) -> None:
    """Answers one request. What it raises is GoneError alone."""
    if not _may_ask(exchange):
        await _text(exchange, 403, "403 - Forbidden")
        return
    if state.token and exchange.headers.get("authorization") != f"Bearer {state.token}":
        await _text(exchange, 403, _DENIED)
        return
    path = exchange.path.rstrip("/") if exchange.path != "/" else "/"
    if not (path + "/").startswith(_ROOT) or path + "/" == _ROOT:
        await _text(exchange, 404, "404 page not found")
        return
    if exchange.method == "OPTIONS":
        await exchange.start(204, [("Vary", _PREFLIGHT)])
        await exchange.finish()
        return
    if exchange.method != "POST":
        await _text(exchange, 405, "405 - Method Not Allowed", ("Allow", "OPTIONS, POST"))
        return
    await _command(exchange, state, path.removeprefix(_ROOT))


async def _command(exchange: Exchange, state: State, name: str) -> None:
    if name in GROUPS:
        await _head(exchange, state, 200, ("X-Chunked-Output", "1"))
        await exchange.finish()
        return
    command = COMMANDS.get(name)
    if command is None:
        await _text(exchange, 404, "404 page not found")
        return
    upload = Upload(exchange.headers.get("content-type", ""), exchange.read)
    try:
        call = calls.parse(exchange.query, command.usage, file=bool(upload))
    except BadRequestError as error:
        # Of the queries that are wrong, Kubo finds one out only when it has begun to answer.
        more = (("Server", f"kubo/{state.version}"),) if isinstance(error, BadEncodingError) else ()
        await _text(exchange, 400, str(error), *more)
        return
    except BadTimeoutError:
        await _silent(exchange, state)
        return
    if name in state.faults.empty:
        await _silent(exchange, state)
        return
    try:
        state.faults.check(name)
        reply = await command.run(state, call, upload)
        if name in state.faults.cut:
            reply = _cut(reply)
        begun = await _begin(reply)
    except RpcError as error:
        await _refuse(exchange, state, error)
        return
    await _send(exchange, state, reply, begun, call)


async def _begin(reply: Reply) -> bytes | None:
    """The first record, if there are any: an error before it is still a status. Bytes are announced unseen."""
    if isinstance(reply, Records):
        async for value in reply.values:
            return replies.encode(value)
    return None


async def _send(exchange: Exchange, state: State, reply: Reply, begun: bytes | None, call: Arguments) -> None:
    match reply:
        case Once():
            await _once(exchange, state, reply, call)
        case Nothing():
            await _head(exchange, state, 200, ("X-Chunked-Output", "1"))
            await exchange.finish()
        case Records():
            await _head(exchange, state, 200, ("X-Chunked-Output", "1"))
            if begun is not None:
                await exchange.send(begun)
            await _stream(exchange, _lines(reply))
        case Content():
            length = () if reply.length is None else (("X-Content-Length", str(reply.length)),)
            await _head(exchange, state, 200, *length, ("X-Stream-Output", "1"), kind=reply.kind)
            await _stream(exchange, reply.pieces)


async def _once(exchange: Exchange, state: State, reply: Once, call: Arguments) -> None:
    if call.encoding == "text" and reply.text:
        await _head(exchange, state, 200, kind="text/plain")
        await exchange.send(reply.text.encode())
    else:
        await _head(exchange, state, 200)
        await exchange.send(replies.encode(reply.value))
    await exchange.finish()


async def _lines(reply: Records) -> AsyncIterator[bytes]:
    held: list[bytes] = []
    try:
        async for value in reply.values:
            held.append(replies.encode(value))
            if not reply.many or len(held) == _TOGETHER:
                yield b"".join(held)
                held.clear()
    except RpcError:
        yield b"".join(held)
        raise
    yield b"".join(held)


async def _stream(exchange: Exchange, pieces: AsyncIterator[bytes]) -> None:
    """What is raised now has no other place than the trailer."""
    trailers: list[tuple[str, str]] = []
    try:
        async for piece in pieces:
            await exchange.send(piece)
    except RpcError as error:
        trailers.append(("X-Stream-Error", error.message.replace("\n", " ")))
    await exchange.finish(trailers)


def _cut(reply: Reply) -> Reply:
    """The same, with its last record or second half missing."""
    match reply:
        case Records():
            return Records(_all_but_last(reply.values), reply.many)
        case Content():
            return Content(_first_half(reply.pieces), reply.kind, reply.length)
        case _:
            raise RpcError("the sandbox was asked to fail")


async def _all_but_last(values: "AsyncIterator[replies.Value]") -> "AsyncIterator[replies.Value]":
    held: list[replies.Value] = []
    async for value in values:
        if held:
            yield held.pop()
        held.append(value)
    raise RpcError("the sandbox was asked to fail")


async def _first_half(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece[: (len(piece) + 1) // 2]
        break
    raise RpcError("the sandbox was asked to fail")


async def _refuse(exchange: Exchange, state: State, error: RpcError) -> None:
    await _head(exchange, state, 400 if error.code == 1 else 500)
    await exchange.send(replies.error(error))
    await exchange.finish()


async def _head(
    exchange: Exchange, state: State, status: int, *more: tuple[str, str], kind: str = "application/json"
) -> None:
    origin = exchange.headers.get("origin")
    await exchange.start(
        status,
        [
            ("Access-Control-Allow-Headers", _EXPOSED),
            *([("Access-Control-Allow-Origin", origin)] if origin else []),
            ("Access-Control-Expose-Headers", _EXPOSED),
            ("Content-Type", kind),
            ("Server", f"kubo/{state.version}"),
            ("Trailer", "X-Stream-Error"),
            ("Vary", "Origin"),
            *more,
            ("Transfer-Encoding", "chunked"),
        ],
    )


async def _silent(exchange: Exchange, state: State) -> None:
    await exchange.start(
        200, [("Server", f"kubo/{state.version}"), ("Vary", "Origin"), ("Content-Length", "0")]
    )
    await exchange.finish()


async def _text(exchange: Exchange, status: int, line: str, *more: tuple[str, str]) -> None:
    body = (line + "\n").encode()
    await exchange.start(
        status,
        [
            *more,
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Vary", "Origin"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Length", str(len(body))),
        ],
    )
    await exchange.send(body)
    await exchange.finish()


def _may_ask(exchange: Exchange) -> bool:
    """Web pages may not, unless they are the node's own or on this machine; a browser that hides its page may not."""
    origin, referer = exchange.headers.get("origin"), exchange.headers.get("referer")
    if exchange.method == "OPTIONS":
        return True
    if origin is not None:
        return _is_own(origin, exchange)
    if referer is not None:
        return _is_own(referer, exchange)
    return not exchange.headers.get("user-agent", "").startswith("Mozilla")


def _is_own(page: str, exchange: Exchange) -> bool:
    at = urlsplit(page)
    return at.scheme in ("http", "https") and (
        at.hostname in ("localhost", "127.0.0.1", "::1") or at.netloc == exchange.headers.get("host")
    )
