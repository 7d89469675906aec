"""In front of the application: reads a request whole, asks the faults, keeps the log, lets one answer out.

ASGI, because only there a connection can be left without an answer.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from email.utils import formatdate

import msgspec
from msgspec import Struct, structs
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.sandbox.failure import FailureError
from reconciler.sandbox.faults import Answer, Delay, Drop, Fault, Faults, Happen, Received
from reconciler.sandbox.pin import MAX_BODY

#: What befalls a pin: the event, the Authorization header, and the requestid or "".
Befall = Callable[[Happen, str, str], None]

_log = logging.getLogger(__name__)
#: Logged bodies are cut to this.
_LOGGED_BODY = 1 << 14
#: A slow body comes in so many pieces.
_SIPS = 20
_TOO_LARGE = FailureError(413, "PAYLOAD_TOO_LARGE", f"A body has at most {MAX_BODY} bytes").answer()
_BROKEN = FailureError(500, "INTERNAL_SERVER_ERROR", "The sandbox has a defect; its log tells more").answer()


class Record(Struct, frozen=True, kw_only=True):
    """A request and the status it was answered with; 0 if it was not answered."""

    request: Received
    status: int

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def query(self) -> str:
        return self.request.query

    @property
    def json(self) -> object:
        return self.request.json


class RequestLog:
    """The last `size` requests, oldest first. A record is there before its answer leaves."""

    def __init__(self, size: int) -> None:
        self._records: deque[Record] = deque(maxlen=size)
        self._lock = threading.Lock()

    def add(self, record: Record) -> None:
        with self._lock:
            self._records.append(record)

    def clear(self) -> None:
        with self._lock:
            self._records.clear()

    def read(self) -> tuple[Record, ...]:
        with self._lock:
            return tuple(self._records)


class Door:
    """`abort` closes the connection of a client address at once. `clock` is what the Date header says."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        faults: Faults,
        log: RequestLog,
        abort: Callable[[tuple[str, int]], None],
        befall: Befall,
        clock: Callable[[], float],
    ) -> None:
        self._app = app
        self._faults = faults
        self._log = log
        self._abort = abort
        self._befall = befall
        self._clock = clock
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        if body is None:
            await self._send(send, _TOO_LARGE)
            return
        self._count += 1
        request = Received(
            number=self._count,
            time=time.time(),
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            body=body,
        )
        answer: Answer | None
        try:
            answer = await self._answer(scope, request)
        except Exception:  # noqa: BLE001 (the outermost handler: whatever broke, the client gets a Failure)
            _log.exception("%s %s", request.method, request.path)
            answer = _BROKEN
        if len(body) > _LOGGED_BODY:
            request = structs.replace(request, body=body[:_LOGGED_BODY])
        self._log.add(Record(request=request, status=answer.status if answer else 0))
        if answer:
            await self._send(send, answer)
            if answer.cut is None or answer.cut >= len(answer.body):
                return
        self._abort(tuple(scope["client"]))
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _answer(self, scope: Scope, request: Received) -> Answer | None:
        """None: the connection is to be dropped."""
        fault = await _wait(self._faults.before(request))
        if isinstance(fault, Drop):
            return None
        if isinstance(fault, Answer):
            return fault
        if isinstance(fault, Happen):
            self._happens(fault, scope, _requestid(request))
        answer = await self._ask(scope, request.body)
        fault = await _wait(self._faults.after(request, answer))
        if isinstance(fault, Drop):
            return None
        if isinstance(fault, Happen):
            self._happens(fault, scope, _requestid(request) or _written(request, answer))
        return fault if isinstance(fault, Answer) else answer

    def _happens(self, event: Happen, scope: Scope, requestid: str) -> None:
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        self._befall(event, headers.get("authorization", ""), requestid)

    async def _ask(self, scope: Scope, body: bytes) -> Answer:
        status, headers, parts = 500, {}, []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in message["headers"]}
            else:
                parts.append(message.get("body", b""))

        await self._app(scope, receive, send)
        return Answer(status=status, body=b"".join(parts), headers=headers)

    async def _send(self, send: Send, answer: Answer) -> None:
        headers = {"date": formatdate(self._clock(), usegmt=True)}
        headers |= {k.lower(): v for k, v in answer.headers.items()}
        if answer.status != 204:
            headers["content-length"] = str(len(answer.body))
        raw = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        body = answer.body if answer.cut is None else answer.body[: answer.cut]
        whole = len(body) == len(answer.body)
        if not answer.seconds:
            await send({"type": "http.response.body", "body": body, "more_body": not whole})
            return
        step = max(1, -(-len(body) // _SIPS))
        for at in range(0, len(body), step):
            await asyncio.sleep(answer.seconds / _SIPS)
            await send({"type": "http.response.body", "body": body[at : at + step], "more_body": True})
        if whole:
            await send({"type": "http.response.body", "body": b""})


def _requestid(request: Received) -> str:
    return request.path.removeprefix("/pins/") if request.path.startswith("/pins/") else ""


def _written(request: Received, answer: Answer) -> str:
    """The requestid that an answer to a POST tells, else ""."""
    if request.method != "POST" or answer.status >= 300:
        return ""
    try:
        found = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return ""
    said = found.get("requestid", found.get("requestId")) if isinstance(found, dict) else None
    return str(said or "")


async def _wait(fault: Fault | None) -> Fault | None:
    if isinstance(fault, Drop | Delay) and fault.seconds > 0:
        await asyncio.sleep(fault.seconds)
    return fault


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None if it is too large, or as much as came before the client went."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message["body"]
        more = message["more_body"]
        if len(body) > MAX_BODY:
            return None
    return body
