"""A pinning service over HTTP: the operations of API v1.0.0 on top of `transport.http`."""

import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, Protocol
from urllib.parse import quote, urlencode

from reconciler.core.errors import LostAnswerError, NotFoundError, ProtocolError, RateLimitedError
from reconciler.core.manifest import Service
from reconciler.core.model import PinRequest, PinStatus
from reconciler.services import wire
from reconciler.services.failure import failure
from reconciler.services.protocol import Page, PinningService, Query
from reconciler.transport.http import MAX_BODY, Answer, HttpClient, Seams, shared_tls
from reconciler.transport.pace import http_date
from reconciler.transport.secret import resolve

#: An ordinary PinStatus takes 360 bytes; one with 20 origins, delegates and full meta takes 16 kB.
BYTES_PER_PIN: Final = 16 * 1024
MAX_PAGE: Final = 512 * 1024 * 1024
MAX_CIDS: Final = 10
DEFAULT_PAGE: Final = 1000


class Http(Protocol):
    """What of `transport.http.HttpClient` is used here, so that somebody may listen in between."""

    @property
    def requests(self) -> int: ...

    def redact(self, text: str) -> str: ...

    def retry_after(self, answer: Answer) -> float | None: ...

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        repeat: bool,
        listing: bool = False,
        max_body: int = MAX_BODY,
    ) -> Answer: ...


class HttpPinningService:
    """Implements `services.protocol.PinningService`."""

    def __init__(self, name: str, http: Http, *, seams: Seams | None = None) -> None:
        self.name = name
        self._http = http
        self._now = (seams or Seams()).now

    @property
    def requests(self) -> int:
        return self._http.requests

    async def pins(self, query: Query) -> Page:
        # A service that ignores `limit` sends its favourite page: the bound is never below a common one.
        bound = min(max(query.limit or 0, DEFAULT_PAGE) * BYTES_PER_PIN, MAX_PAGE)
        path = f"/pins?{encode_query(query)}" if query != _PLAIN else "/pins"
        answer = await self._http.request("GET", path, repeat=True, listing=True, max_body=bound)
        skew = self._skew(answer)
        if answer.status == 404 and _says_nothing_is_there(answer):
            return Page(count=0, results=(), skew=skew, absent=True)
        if not answer.ok:
            raise self._failure("list", answer)
        try:
            count, results = wire.decode_results(answer.body)
        except (wire.WireError, UnicodeDecodeError, RecursionError):
            pass
        else:
            return Page(count=count, results=results, skew=skew)
        raise self._unreadable("list", answer)

    async def add(self, pin: PinRequest) -> PinStatus:
        answer = await self._http.request("POST", "/pins", body=wire.encode(pin), repeat=False)
        if not answer.ok:
            raise self._failure("add", answer)
        # An empty 2xx: ipfs-cluster sends one and has created nothing; others might have.
        return self._written("add", answer)

    async def get(self, requestid: str) -> PinStatus | None:
        answer = await self._http.request("GET", _of(requestid), repeat=True)
        if answer.status in (404, 410):
            return None
        if not answer.ok:
            raise self._failure("get", answer)
        try:
            return wire.decode_status(answer.body)
        except (wire.WireError, UnicodeDecodeError, RecursionError):
            pass
        raise self._unreadable("get", answer)

    async def replace(self, requestid: str, pin: PinRequest) -> PinStatus | None:
        answer = await self._http.request("POST", _of(requestid), body=wire.encode(pin), repeat=False)
        if not answer.ok:
            raise self._failure("replace", answer)
        if answer.body.strip() in (b"", b"{}", b"null"):
            return None
        return self._written("replace", answer)

    async def delete(self, requestid: str) -> bool:
        answer = await self._http.request("DELETE", _of(requestid), repeat=True)
        if answer.status in (404, 410):
            return False
        if not answer.ok:
            raise self._failure("delete", answer)
        return True

    def _written(self, action: str, answer: Answer) -> PinStatus:
        try:
            return wire.decode_status(answer.body)
        except (wire.WireError, UnicodeDecodeError, RecursionError):
            pass
        raise LostAnswerError(
            f"{self.name}: {action}: HTTP {answer.status} with a body that is no pin status",
            service=self.name,
            status=answer.status,
        )

    def _unreadable(self, action: str, answer: Answer) -> ProtocolError:
        return ProtocolError(
            f"{self.name}: {action}: HTTP {answer.status} with a body that is not what the API says",
            service=self.name,
            status=answer.status,
            hint="is the endpoint that of a Pinning Service API v1.0.0?",
        )

    def _failure(self, action: str, answer: Answer) -> Exception:
        error = failure(self.name, action, answer, redact=self._http.redact)
        error.retry_after = self._http.retry_after(answer)
        if isinstance(error, RateLimitedError) and error.retry_after:
            error.message += f"; it asks to come again in {_span(error.retry_after)}"
        if isinstance(error, NotFoundError) and action in ("list", "add"):
            error.hint = "is the endpoint right? It is given without /pins"
        return error

    def _skew(self, answer: Answer) -> float | None:
        date = http_date(answer.headers.get("date", ""))
        return None if date is None else date - self._now()


_PLAIN: Final = Query()


def _span(seconds: float) -> str:
    whole = math.ceil(seconds)
    return (
        f"{whole} s"
        if whole < 120
        else f"{round(whole / 60)} min"
        if whole < 7200
        else f"{round(whole / 3600)} h"
    )


def encode_query(query: Query) -> str:
    """The query string of GET /pins: lists comma-joined and sent once, meta as JSON, `:` and `+` encoded."""
    if len(query.cid) > MAX_CIDS:
        raise ValueError(f"the API takes at most {MAX_CIDS} CIDs")
    fields = {
        "cid": ",".join(query.cid),
        "name": query.name,
        "match": query.match,
        "status": ",".join(query.status),
        "before": query.before,
        "after": query.after,
        "limit": None if query.limit is None else str(query.limit),
        "meta": None if query.meta is None else json.dumps(query.meta, separators=(",", ":")),
    }
    # An empty `cid` or `status` means all at some services and nothing at others: what is empty is left out.
    sent = {key: value for key, value in fields.items() if value or (key == "name" and value is not None)}
    return urlencode(sent, quote_via=quote, safe="")


def _of(requestid: str) -> str:
    # Ids are opaque: base64 with slashes at Filebase. A dot segment would be resolved away by the URL parser.
    encoded = quote(requestid, safe="")
    return "/pins/" + (encoded.replace(".", "%2E") if set(requestid) <= {"."} else encoded)


def _says_nothing_is_there(answer: Answer) -> bool:
    """Whether a 404 is the answer of a service about its pins, and not that of a web server about a path."""
    body = answer.body.strip()
    return not body or body.startswith(b"{")


@asynccontextmanager
async def open_services(
    specs: Mapping[str, Service], *, environ: Mapping[str, str], seams: Seams | None = None
) -> AsyncIterator[dict[str, PinningService]]:
    """The services of a manifest, ready to be asked, by name.

    Every key is resolved before the first connection is made: raises SecretError. Services share a TLS
    context and nothing else; each has its own connections, pace and breaker.
    """
    keys = {
        name: resolve(spec.key, environ=environ, what=f"the key of service {name}")
        for name, spec in specs.items()
    }
    tls = shared_tls()
    async with AsyncExitStack() as stack:
        services: dict[str, PinningService] = {}
        for name, spec in specs.items():
            http = HttpClient(
                service=name,
                endpoint=spec.endpoint,
                key=keys[name],
                limits=spec.limits,
                environ=environ,
                seams=seams,
                tls=tls,
            )
            services[name] = HttpPinningService(name, await stack.enter_async_context(http), seams=seams)
        yield services
