"""Records and blocks from trustless gateways, each checked here (Trustless Gateway specification)."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from reconciler.core.ipns import IpnsError, IpnsName
from reconciler.core.ipns_record import MAX_RECORD, Record, read
from reconciler.core.unixfs import address
from reconciler.names.signature import verify
from reconciler.transport.fetch import Fetch, Fetched, FetchError

RECORD: Final = "application/vnd.ipfs.ipns-record"
BLOCK: Final = "application/vnd.ipld.raw"
#: What bitswap moves has at most 2 MiB.
MAX_BLOCK: Final = 4 * 1024 * 1024
#: Seconds for one answer: a gateway may have to look for the record in the DHT.
DEADLINE: Final = 30.0
#: Once one gateway has given a record, others are waited for so long: one of them may have a newer one.
GRACE: Final = 3.0

#: Multihash code → the hash, as far as blocks of files and folders have it.
_HASHES: Final = {0x12: "sha256", 0x13: "sha512", 0x14: "sha3_512", 0x16: "sha3_256"}


class GatewayError(Exception):
    """No gateway gave what was asked for. The text has one reason for each that was asked."""


class Gateways:
    """`urls` without a path, in the order in which they are asked for blocks."""

    def __init__(
        self, urls: Sequence[str], fetch: Fetch, *, deadline: float = DEADLINE, grace: float = GRACE
    ) -> None:
        self._urls = tuple(url.rstrip("/") for url in urls)
        self._fetch = fetch
        self._deadline = deadline
        self._grace = grace

    @property
    def count(self) -> int:
        return len(self._urls)

    async def records(self, name: IpnsName) -> list[tuple[Record, str]]:
        """What all gateways that answer have, with their hosts, in the order of the gateways; expired records too.
        Raises GatewayError if that is nothing."""
        tasks = {asyncio.create_task(self._record(url, name)): url for url in self._urls}
        found: list[tuple[Record, str]] = []
        reasons: dict[str, str] = {}
        # Each has a deadline of its own.
        waiting: set[asyncio.Task[Record]] = set(tasks)
        wait: float | None = None
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    break
                for task in done:
                    host = _host(tasks[task])
                    try:
                        found.append((task.result(), host))
                        wait = self._grace
                    except (FetchError, IpnsError) as error:
                        reasons[host] = str(error)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        if not found:
            raise GatewayError(_all(reasons) or "there is no gateway to ask")
        order = [_host(url) for url in self._urls]
        return sorted(found, key=lambda pair: order.index(pair[1]))

    async def block(self, cid: bytes) -> tuple[bytes, str]:
        """A block, and the host it came from. Raises GatewayError, and UnixfsError for what is no CID."""
        text = address.to_text(cid)
        multihash = address.multihash(cid)
        hashed = _HASHES.get(multihash[0])
        if hashed is None:
            raise GatewayError(f"{text} has a hash that cannot be checked here")
        reasons: dict[str, str] = {}
        for url in self._urls:
            host = _host(url)
            try:
                answer = await self._fetch.get(
                    f"{url}/ipfs/{text}?format=raw", accept=BLOCK, max_body=MAX_BLOCK, deadline=self._deadline
                )
            except FetchError as error:
                reasons[host] = str(error)
                continue
            if answer.status != 200:
                reasons[host] = _refusal(host, answer)
            elif hashlib.new(hashed, answer.body).digest() != multihash[2:]:
                reasons[host] = f"{host} gave bytes that are not those of {text}"
            else:
                return answer.body, host
        raise GatewayError(_all(reasons) or "there is no gateway to ask")

    async def _record(self, url: str, name: IpnsName) -> Record:
        """Raises FetchError and IpnsError, both with the host."""
        host = _host(url)
        answer = await self._fetch.get(
            f"{url}/ipns/{name}?format=ipns-record",
            accept=RECORD,
            max_body=MAX_RECORD,
            deadline=self._deadline,
        )
        if answer.status != 200:
            raise FetchError(_refusal(host, answer))
        try:
            return read(name, answer.body, verify)
        except IpnsError as error:
            reason = str(error)
        raise IpnsError(f"{host}: {reason}")


def _refusal(host: str, answer: Fetched) -> str:
    # Gateways tell why in a line of text, and proxies before them in a page.
    text = answer.body[:300].decode("utf-8", "replace") if answer.kind in ("", "text/plain") else ""
    said = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:160]
    return f"{host} answers {answer.status}" + (f": {said}" if said else "")


def _all(reasons: dict[str, str]) -> str:
    return "; ".join(reasons.values())


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
