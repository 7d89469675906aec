"""The one door to httpx: a client for one service, with every answer bounded and every failure one of ours.

A request passes, in this order: a place among `concurrency` requests, the breaker, the pace of the service,
a connection, the deadlines. An answer of any status is an answer; what is raised says there is none:

UnreachableError   surely not sent: name not found, refused, connect timeout, TLS, breaker open
LostAnswerError    it may have been sent: reset, read timeout, deadline, an answer cut short
ProtocolError      the answer is too long, or is not what its headers say
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import httpx
from msgspec import Struct
from tenacity import AsyncRetrying, RetryCallState

from reconciler import __version__
from reconciler.core.errors import LostAnswerError, ProtocolError, ServiceError, UnreachableError
from reconciler.core.manifest import Limits
from reconciler.transport.body import BodyError, read_body
from reconciler.transport.breaker import COOL_DOWN, FAILURES, Breaker
from reconciler.transport.pace import MAX_PAUSE, Pace, Sleep, exhausted, retry_after
from reconciler.transport.proxy import UNUSABLE, proxy_for
from reconciler.transport.secret import Secret
from reconciler.transport.tls import advice, trusted

#: Below the 5 s of uvicorn, Node.js and others, so that we close an idle connection before they do.
KEEPALIVE_EXPIRY: Final = 4.0
CONNECT_TIMEOUT: Final = 10.0
READ_TIMEOUT: Final = 30.0
MAX_BODY: Final = 1024 * 1024
#: Attempts for one request in all, by what happened to the last one.
ATTEMPTS: Final = 5
ATTEMPTS_REFUSED: Final = 3
ATTEMPTS_LIMITED: Final = 8
MAX_RETRY_SECONDS: Final = 60.0
BACKOFF: Final = 0.5
MAX_BACKOFF: Final = 20.0

# At DEBUG it writes down the headers of answers, and there are services that echo the key.
logging.getLogger("httpcore").setLevel(logging.INFO)

_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)


class Answer(Struct, frozen=True):
    """What came back: `body` is decompressed, `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class _Again(Exception):  # noqa: N818  it carries an answer through the retry loop, it is no error
    """An answer that asks to come again; `wait` is what it says, or None."""

    def __init__(self, answer: Answer, wait: float | None) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.wait = wait


class Seams(Struct, frozen=True):
    """What tests replace: the two clocks, sleeping, and a number in [0, 1)."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Sleep = asyncio.sleep
    jitter: Callable[[], float] = random.random


class HttpClient:
    """Requests to one service. Enter it before use; one event loop only."""

    def __init__(
        self,
        *,
        service: str,
        endpoint: str,
        key: Secret,
        limits: Limits,
        environ: Mapping[str, str],
        seams: Seams | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self.service = service
        self.requests = 0
        self._endpoint = endpoint
        self._key = key
        self._limits = limits
        url = urlsplit(endpoint)
        self._proxy = proxy_for(url.scheme, url.hostname or "", environ)
        self._seams = seams or Seams()
        self._tls = tls or trusted
        self._places = asyncio.Semaphore(max(1, limits.concurrency))
        self._breaker = Breaker(clock=self._seams.clock)
        self._pace = Pace(limits.requests, clock=self._seams.clock, sleep=self._seams.sleep)
        # A listing counts against both limits where a service has one of its own for it.
        self._listing = (
            Pace(limits.listing, clock=self._seams.clock, sleep=self._seams.sleep) if limits.listing else None
        )
        # One httpx client for each connection, those that are idle; the one used last is at the end. In a pool
        # httpcore polls every idle socket at every request and hands one connection to many at once: with eight
        # in a pool a burst of requests takes half as long again, with more than 32 it collapses.
        self._idle: list[httpx.AsyncClient] = []
        self._no_client = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        proxy = self._proxy
        secure = self._endpoint.lower().startswith("https:") or proxy
        # Without TLS a context is made all the same, and never used: one for all.
        verify = self._tls() if secure else httpx.create_ssl_context(verify=False)
        for _ in range(max(1, self._limits.concurrency)):
            client = self._client(verify, proxy)
            if client is None:
                self._no_client = True
                break
            self._idle.append(await self._stack.enter_async_context(client))
        return self

    def _client(self, verify: ssl.SSLContext, proxy: str | None) -> httpx.AsyncClient | None:
        """None if the proxy cannot be used."""
        timeout = self._limits.timeout
        try:
            return httpx.AsyncClient(
                verify=verify,
                proxy=proxy,
                trust_env=False,  # else it would look for proxies in the environment of the process
                follow_redirects=False,  # a redirect must not carry the key anywhere
                timeout=httpx.Timeout(min(READ_TIMEOUT, timeout), connect=min(CONNECT_TIMEOUT, timeout)),
                limits=httpx.Limits(
                    max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE_EXPIRY
                ),
                headers={
                    "user-agent": f"pinrec/{__version__}",
                    "accept": "application/json",
                    "accept-encoding": "gzip",
                },
            )
        except (ValueError, ImportError, httpx.InvalidURL):
            # Said when something is asked: of several services it may be the only one that goes through it.
            return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        self._idle.clear()

    def redact(self, text: str) -> str:
        """`text` without the key, for whatever a service said."""
        return self._key.redact(text)

    def retry_after(self, answer: Answer) -> float | None:
        """Seconds that `answer` asks to wait, or None."""
        return retry_after(answer.headers, self._seams.now())

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
        """The answer to `method` of `path` (encoded, with its query, beginning with a slash).

        `repeat`: the request may be sent again after an answer of 5xx or none. A 429, and a failure that
        proves that nothing was sent, are tried again in any case.
        """
        if self._no_client:
            raise UnreachableError(
                f"{self.service}: {UNUSABLE}",
                service=self.service,
                hint="see HTTPS_PROXY",
            )
        outcome = await self._attempt(method, path, body, repeat, listing, max_body)
        if isinstance(outcome, Answer):
            return outcome
        return await self._again(outcome, method, path, body, repeat, listing, max_body)

    async def _again(
        self,
        first: "_Again | ServiceError",
        method: str,
        path: str,
        body: bytes | None,
        repeat: bool,
        listing: bool,
        max_body: int,
    ) -> Answer:
        """The attempts after a first one that failed. Kept apart: nearly no request comes here."""
        outcomes: list[Answer | _Again | ServiceError] = [first]

        async def once() -> Answer:
            outcome = (
                outcomes.pop()
                if outcomes
                else await self._attempt(method, path, body, repeat, listing, max_body)
            )
            if isinstance(outcome, Answer):
                return outcome
            raise outcome

        last: Answer | ServiceError
        try:
            last = await AsyncRetrying(
                sleep=self._seams.sleep,
                wait=self._wait,
                stop=self._gives_up,
                retry=lambda state: _may_repeat(state, repeat),
                reraise=True,
            )(once)
        except _Again as again:
            last = again.answer
        except ServiceError as error:
            last = error
        if isinstance(last, Answer):
            return last
        raise last

    def _wait(self, state: RetryCallState) -> float:
        """Full jitter. Where the service said how long, its pace waits; the jitter spreads those who wait."""
        backoff = min(MAX_BACKOFF, BACKOFF * 2.0 ** (state.attempt_number - 1))
        return self._seams.jitter() * backoff

    def _gives_up(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _Again) and error.answer.status == 429:
            too_long = error.wait is not None and error.wait > MAX_PAUSE
            return too_long or state.attempt_number >= ATTEMPTS_LIMITED
        attempts = ATTEMPTS_REFUSED if isinstance(error, UnreachableError) else ATTEMPTS
        late = state.seconds_since_start or 0.0
        return state.attempt_number >= attempts or late >= MAX_RETRY_SECONDS

    async def _attempt(
        self, method: str, path: str, body: bytes | None, repeat: bool, listing: bool, max_body: int
    ) -> "Answer | _Again | ServiceError":
        async with self._places:
            if not self._breaker.lets_through():
                return _LeftAloneError(
                    f"{self.service}: cannot be reached: it failed to answer {FAILURES} times in a row",
                    service=self.service,
                    hint=f"it is tried again after {COOL_DOWN:g} s",
                )
            await self._pace.turn()
            if listing and self._listing:
                await self._listing.turn()
            outcome = await self._send(method, path, body, max_body)
        if not isinstance(outcome, Answer):
            # A body that is too long is an answer, whatever else it is.
            if isinstance(outcome, ProtocolError):
                self._breaker.answered()
            else:
                self._breaker.failed()
            return outcome
        self._breaker.answered()
        pace = self._listing if listing and self._listing else self._pace
        if outcome.status == 429 or outcome.status >= 500:
            wait = retry_after(outcome.headers, self._seams.now())
            if wait:
                pace.pause(wait)
            return _Again(outcome, wait) if repeat or outcome.status == 429 else outcome
        if (wait := exhausted(outcome.headers, self._seams.now())) is not None:
            pace.pause(wait)
        return outcome

    async def _send(
        self, method: str, path: str, body: bytes | None, max_body: int
    ) -> "Answer | ServiceError":
        """One request on the wire. Failures are returned, so that no exception of httpx, which holds the
        request and with it the key, becomes the context of one of ours."""
        headers = {"authorization": f"Bearer {self._key.reveal()}"}
        if body is not None:
            headers["content-type"] = "application/json"
        self.requests += 1
        client = self._idle.pop()  # there are as many as places
        try:
            async with asyncio.timeout(self._limits.timeout):
                request = client.build_request(method, self._endpoint + path, content=body, headers=headers)
                response = await client.send(request, stream=True)
                try:
                    content = await read_body(response, max_body)
                finally:
                    await response.aclose()
                return Answer(response.status_code, response.headers, content)
        except TimeoutError:
            return self._lost(f"no answer within {self._limits.timeout:g} s")
        except BodyError as error:
            return ProtocolError(f"{self.service}: {error}", service=self.service)
        except _NOT_SENT as error:
            return self._unreachable(_cause(error, self._key))
        except (httpx.HTTPError, httpx.StreamError) as error:
            return self._lost(_cause(error, self._key))
        finally:
            self._idle.append(client)

    def _unreachable(self, why: str) -> UnreachableError:
        return UnreachableError(
            f"{self.service}: cannot be reached: {why}",
            service=self.service,
            hint=advice(why, self._proxy),
        )

    def _lost(self, why: str) -> LostAnswerError:
        return LostAnswerError(f"{self.service}: no answer that can be read: {why}", service=self.service)


class _LeftAloneError(UnreachableError):
    """The breaker is open; trying again at once would find it as it is."""


def _cause(error: Exception, key: Secret) -> str:
    """What httpx says of a failure, in one line: its words for failed connections, ours for the rest."""
    if isinstance(error, httpx.TimeoutException):
        return {"ConnectTimeout": "connecting took too long", "PoolTimeout": "no free connection"}.get(
            type(error).__name__, "it took too long"
        )
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        text = "".join(c if c.isprintable() else " " for c in str(error))[:200]
        return key.redact(text) or type(error).__name__
    return "the connection broke" if isinstance(error, httpx.TransportError) else type(error).__name__


def _may_repeat(state: RetryCallState, repeat: bool) -> bool:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _Again):
        return True
    if isinstance(error, UnreachableError):
        return not isinstance(error, _LeftAloneError)
    return repeat and isinstance(error, LostAnswerError)


def shared_tls() -> Callable[[], ssl.SSLContext]:
    """One TLS context for all who ask, made when the first does: reading the CA bundle takes 20 ms."""
    made: list[ssl.SSLContext] = []

    def get() -> ssl.SSLContext:
        if not made:
            made.append(trusted())
        return made[0]

    return get
