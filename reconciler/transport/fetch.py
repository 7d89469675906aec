"""GET of what anybody may read: no key, no cookie, every answer bounded, redirects followed where they are harmless.

Gateways send a path to a host of its own, so up to `MAX_REDIRECTS` redirects are followed, never from https to http,
and never from a public address to one of this machine or its network: what a stranger's answer names must not make
us knock on doors inside.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self
from urllib.parse import urljoin, urlsplit

import httpx
from msgspec import Struct

from reconciler import __version__
from reconciler.core.endpoint import is_private
from reconciler.core.errors import PinrecError
from reconciler.transport.body import BodyError, read_body
from reconciler.transport.proxy import UNUSABLE, proxy_for
from reconciler.transport.tls import trusted

MAX_REDIRECTS: Final = 3
#: Statuses that lead elsewhere, if they say where.
REDIRECTS: Final = (301, 302, 303, 307, 308)
CONNECT_TIMEOUT: Final = 10.0
#: Connections at once to all hosts together.
CONNECTIONS: Final = 16


class FetchError(Exception):
    """There is no answer. The text is one clear reason, which names the host."""


class Fetched(Struct, frozen=True):
    """What came back, of any status; `kind` is the content type without its parameters, in lower case."""

    status: int
    kind: str
    body: bytes


class Fetch:
    """A client for strangers. Enter it before use; one event loop only."""

    def __init__(self, *, environ: Mapping[str, str], tls: Callable[[], ssl.SSLContext] = trusted) -> None:
        self.requests = 0
        self._environ = environ
        self._tls = tls
        self._stack = AsyncExitStack()
        self._clients: dict[str | None, httpx.AsyncClient] = {}
        self._places = asyncio.Semaphore(CONNECTIONS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        self._clients.clear()

    async def get(self, url: str, *, accept: str, max_body: int, deadline: float) -> Fetched:
        """The answer to GET within `deadline` seconds, redirects and all. Raises FetchError."""
        failure = ""
        try:
            async with asyncio.timeout(deadline), self._places:
                for _ in range(MAX_REDIRECTS + 1):
                    answer = await self._once(url, accept, max_body)
                    if isinstance(answer, Fetched):
                        return answer
                    url = _followed(url, answer)
                failure = f"{_host(url)} redirects again and again"
        except TimeoutError:
            failure = f"{_host(url)} did not answer within {deadline:g} s"
        except BodyError as error:
            failure = f"{_host(url)}: {error}"
        except PinrecError as error:
            failure = error.message
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, ValueError) as error:
            text = "".join(c if c.isprintable() else " " for c in str(error))[:200]
            failure = f"{_host(url)} cannot be reached: {text or type(error).__name__}"
        raise FetchError(failure)

    async def _once(self, url: str, accept: str, max_body: int) -> Fetched | str:
        """The answer, or where it redirects to."""
        client = await self._client(url)
        self.requests += 1
        reached, headers = _reached(url)
        request = client.build_request("GET", reached, headers={"accept": accept, **headers})
        response = await client.send(request, stream=True)
        try:
            target = response.headers.get("location", "")
            if response.status_code in REDIRECTS and target:
                return str(target)
            body = await read_body(response, max_body)
        finally:
            await response.aclose()
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Fetched(response.status_code, kind, body)

    async def _client(self, url: str) -> httpx.AsyncClient:
        parts = urlsplit(url)
        proxy = proxy_for(parts.scheme, parts.hostname or "", self._environ)
        client = self._clients.get(proxy)
        if client is None:
            try:
                made = httpx.AsyncClient(
                    verify=self._tls(),
                    proxy=proxy,
                    trust_env=False,
                    follow_redirects=False,
                    timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
                    headers={"user-agent": f"pinrec/{__version__}", "accept-encoding": "gzip"},
                )
            except (ValueError, ImportError, httpx.InvalidURL):
                made = None
            if made is None:  # raised here, so that nothing that holds a password of the proxy hangs on to it
                raise FetchError(f"{_host(url)} cannot be reached: {UNUSABLE}")
            client = self._clients[proxy] = await self._stack.enter_async_context(made)
        return client


def _followed(url: str, target: str) -> str:
    """Where a redirect leads. Raises FetchError if it is not followed."""
    host = _host(url)
    new = urljoin(url, target)
    parts = urlsplit(new)
    if parts.scheme not in ("http", "https"):
        raise FetchError(f"{host} redirects to something that is neither http nor https")
    if parts.scheme == "http" and urlsplit(url).scheme == "https":
        raise FetchError(f"{host} redirects from https to http")
    if is_private(parts.hostname or "") and not is_private(host.partition(":")[0].strip("[]")):
        raise FetchError(f"{host} redirects to an address on this machine or its network")
    return new


def _reached(url: str) -> tuple[str, dict[str, str]]:
    """Where a URL is asked for. `<cid>.ipfs.localhost`, to which a gateway on this machine sends a path, is this
    machine (RFC 6761), and not every resolver knows that."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not (parts.hostname or "").endswith(".localhost"):
        return url, {}
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"localhost{port}").geturl(), {"host": _host(url)}


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
