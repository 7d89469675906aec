"""A client that remembers what it heard: codes, headers and times, which the operations of the seam leave out."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from msgspec import Struct

from reconciler.core.errors import ServiceError
from reconciler.core.manifest import Service
from reconciler.services import wire
from reconciler.services.client import HttpPinningService, encode_query
from reconciler.services.protocol import Page, Query
from reconciler.transport.http import MAX_BODY, Answer, HttpClient
from reconciler.transport.pace import http_date
from reconciler.transport.secret import Secret, resolve

#: A page of 1001 pins with everything they may hold.
MAX_PAGE = 32 * MAX_BODY
#: Headers that say how hard a service may be worked.
_RATE = ("ratelimit", "x-ratelimit", "x-rate-limit", "retry-after")


class Heard(Struct, frozen=True):
    """`kind`: list, get, add, replace or delete. `seconds` includes waiting for the service's pace."""

    kind: str
    status: int
    seconds: float


class Reply(Struct, frozen=True, kw_only=True):
    """An answer to GET /pins. `page` None: it is none that can be read."""

    status: int
    page: Page | None

    def __bool__(self) -> bool:
        return self.page is not None


class Tape:
    """An `HttpClient` with a memory; stands where one stands."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self.heard: list[Heard] = []
        #: rate headers, as last seen
        self.rates: dict[str, str] = {}

    @property
    def requests(self) -> int:
        return self._http.requests

    def redact(self, text: str) -> str:
        return self._http.redact(text)

    def retry_after(self, answer: Answer) -> float | None:
        return self._http.retry_after(answer)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        repeat: bool,
        listing: bool = False,
        max_body: int = MAX_BODY,
    ) -> Answer:
        began = time.perf_counter()
        answer = await self._http.request(
            method, path, body=body, repeat=repeat, listing=listing, max_body=max_body
        )
        self.heard.append(Heard(_kind(method, path), answer.status, time.perf_counter() - began))
        for key, value in answer.headers.items():
            if key.lower().startswith(_RATE):
                self.rates[key.lower()] = self._http.redact(value)[:60]
        return answer

    async def ask(self, query: Query) -> Reply:
        """GET /pins, once, whatever is answered. Raises ServiceError if nothing is."""
        text = encode_query(query)
        answer = await self.request(
            "GET", f"/pins?{text}" if text else "/pins", repeat=False, listing=True, max_body=MAX_PAGE
        )
        if not answer.ok:
            empty = answer.status == 404 and answer.body.strip()[:1] in (b"", b"{")
            return Reply(status=answer.status, page=Page(count=0, results=()) if empty else None)
        try:
            count, results = wire.decode_results(answer.body)
        except (wire.WireError, UnicodeDecodeError, RecursionError):
            return Reply(status=answer.status, page=None)
        date = http_date(answer.headers.get("date", ""))
        skew = None if date is None else date - time.time()
        return Reply(status=answer.status, page=Page(count=count, results=results, skew=skew))

    async def status_of(self, method: str, path: str) -> int:
        """Only the code of an answer; 0 if there is none."""
        try:
            return (await self.request(method, path, repeat=False, listing=path.startswith("/pins?"))).status
        except ServiceError:
            return 0


def _kind(method: str, path: str) -> str:
    if method == "GET":
        return "get" if path.startswith("/pins/") else "list"
    if method == "POST":
        return "replace" if path.startswith("/pins/") else "add"
    return "delete"


class Taped(Struct, frozen=True, kw_only=True):
    """A service with its tape, and a tape of somebody who has no right to be there."""

    service: HttpPinningService
    tape: Tape
    stranger: Tape


@asynccontextmanager
async def open_taped(spec: Service, *, environ: Mapping[str, str]) -> AsyncIterator[Taped]:
    """One service of a manifest, ready to be examined. Raises SecretError."""
    key = resolve(spec.key, environ=environ, what=f"the key of service {spec.name}")

    def client(secret: Secret) -> HttpClient:
        return HttpClient(
            service=spec.name, endpoint=spec.endpoint, key=secret, limits=spec.limits, environ=environ
        )

    async with client(key) as ours, client(Secret("pinrec-doctor-no-key")) as strangers:
        tape = Tape(ours)
        yield Taped(service=HttpPinningService(spec.name, tape), tape=tape, stranger=Tape(strangers))
