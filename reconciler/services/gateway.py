"""A service's trustless gateway: single blocks, each checked here (Trustless Gateway specification).

what the gateway does                       what that says of the block
200, the bytes of the CID                   it is served
200, other bytes                            not served: wrong bytes, if the gateway is one (see below)
404, 410, 451                               not served, if the gateway is one (see below)
504, or no answer within the deadline       asked once more; then not served, if the gateway is one
401, 403, 429, other 5xx, a refused         nothing
connection, a redirect with a key

"Is one": it gives the empty block `bafkqaaa`, whose CID holds its content, so that every gateway has it (Gateway
request probing, in the same specification). So no wrong address and no gateway that is down makes a pin a lie.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from reconciler.core import blockhash
from reconciler.core.errors import ServiceError
from reconciler.core.manifest import Limits, Service
from reconciler.core.unixfs import address
from reconciler.core.verified import NotServedError, UnclearError
from reconciler.transport.fetch import REDIRECTS, Fetch, FetchError
from reconciler.transport.http import HttpClient
from reconciler.transport.secret import resolve

#: What bitswap moves has at most 2 MiB.
MAX_BLOCK: Final = 4 * 1024 * 1024
RAW: Final = "application/vnd.ipld.raw"
#: The identity CID of nothing.
PROBE: Final = "bafkqaaa"
#: Seconds for the probe: nothing has to be looked for.
PROBE_DEADLINE: Final = 15.0
#: Requests at once to one gateway.
CONCURRENCY: Final = 4
_GONE: Final = (404, 410, 451)


class Reply(Struct, frozen=True):
    """An answer of any status."""

    status: int
    body: bytes = b""


#: GET of a path below the gateway. Raises TimeoutError, and UnclearError if there is no answer.
Ask = Callable[[str, float], Awaitable[Reply]]


class Gateway:
    """One gateway for as long as a run lasts. `host` is how to name it to a person; `keyed`: it is asked with a key."""

    def __init__(self, host: str, ask: Ask, *, keyed: bool = False) -> None:
        self.host = host
        self._keyed = keyed
        self._ask = ask
        self._probe: asyncio.Task[str] | None = None

    async def block(self, cid: bytes, *, deadline: float) -> bytes:
        """The block of `cid`, within `deadline` seconds for each of two attempts.

        Raises NotServedError and UnclearError.
        """
        text = address.to_text(cid)
        path = f"/ipfs/{text}?format=raw"
        reply, why = await self._try(path, deadline)
        if reply is None:
            reply, why = await self._try(path, deadline)
        if reply is None:
            await self._must_be_a_gateway(why, deadline)
            raise NotServedError(text, f"{why}, twice")
        if reply.status in _GONE:
            why = f"{self.host} answers {reply.status}"
            await self._must_be_a_gateway(why, deadline)
            raise NotServedError(text, why)
        if reply.status in REDIRECTS and self._keyed:
            raise UnclearError(f"{self.host} redirects, which is not followed with a key")
        if reply.status in REDIRECTS:
            raise UnclearError(f"{self.host} redirects ({reply.status}) and does not say where to")
        if reply.status != 200:
            raise UnclearError(f"{self.host} answers {reply.status}")
        if not blockhash.is_block(cid, reply.body):
            why = f"{self.host} gave bytes that are not those of the CID"
            await self._must_be_a_gateway(why, deadline)
            raise NotServedError(text, why)
        return reply.body

    def close(self) -> None:
        if self._probe is not None:
            self._probe.cancel()

    async def _try(self, path: str, deadline: float) -> tuple[Reply | None, str]:
        """The answer, or None and why it is worth another attempt."""
        try:
            async with asyncio.timeout(deadline):
                reply = await self._ask(path, deadline)
        except TimeoutError:
            return None, f"{self.host} gave nothing within {deadline:g} s"
        if reply.status == 504:
            return None, f"{self.host} answers 504"
        return reply, ""

    async def _must_be_a_gateway(self, but: str, deadline: float) -> None:
        """Raises UnclearError if it is none, does not work, or takes longer than that for anything."""
        if self._probe is None or (self._probe.done() and self._probe.cancelled()):
            self._probe = asyncio.create_task(self._probed(min(deadline, PROBE_DEADLINE)))
        if failure := await asyncio.shield(self._probe):
            raise UnclearError(f"{but}, and no trustless gateway answers there: {failure}")

    async def _probed(self, deadline: float) -> str:
        """Why it is no gateway, or ""."""
        try:
            async with asyncio.timeout(deadline):
                reply = await self._ask(f"/ipfs/{PROBE}?format=raw", deadline)
        except TimeoutError:
            return f"the empty block did not come within {deadline:g} s"
        except UnclearError as error:
            return str(error)
        if reply.status == 200 and not reply.body:
            return ""
        return f"the empty block {PROBE} is answered with {reply.status}" + (
            " and other bytes" if reply.status == 200 else ""
        )


@asynccontextmanager
async def open_gateway(service: Service, *, environ: Mapping[str, str]) -> AsyncIterator[Gateway | None]:
    """The gateway that the manifest names for a service, if it does. Raises SecretError if its key cannot be had.

    A key goes to the host of `gateway` and nowhere else: with one, redirects are not followed.
    """
    verify = service.verify
    if verify is None or not verify.gateway:
        yield None
        return
    host = urlsplit(verify.gateway).netloc
    if verify.key is None:
        async with Fetch(environ=environ) as fetch:
            with contextlib.closing(Gateway(host, _anonymous(fetch, verify.gateway))) as gateway:
                yield gateway
        return
    key = resolve(verify.key, environ=environ, what=f"the key for the gateway of service {service.name}")
    # Its own deadline is the longest there may be; each request has a shorter one.
    limits = Limits(concurrency=CONCURRENCY, timeout=600.0)
    client = HttpClient(
        service=service.name, endpoint=verify.gateway, key=key, limits=limits, environ=environ
    )
    async with client:
        with contextlib.closing(Gateway(host, _with_key(client), keyed=True)) as gateway:
            yield gateway


def _anonymous(fetch: Fetch, url: str) -> Ask:
    async def ask(path: str, deadline: float) -> Reply:
        try:
            # A second more, so that it is the deadline of the caller that ends it.
            answer = await fetch.get(url + path, accept=RAW, max_body=MAX_BLOCK, deadline=deadline + 1)
        except FetchError as error:
            raise UnclearError(str(error)) from None
        return Reply(answer.status, answer.body)

    return ask


def _with_key(client: HttpClient) -> Ask:
    async def ask(path: str, _deadline: float) -> Reply:
        try:
            answer = await client.request("GET", path, repeat=False, max_body=MAX_BLOCK)
        except ServiceError as error:
            raise UnclearError(error.message) from None
        return Reply(answer.status, answer.body)

    return ask
