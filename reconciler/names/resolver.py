"""From a path to a CID, through as many names as it takes.

    /ipns/docs.example.org/guide  ─DNS─▶  /ipns/k51…/v2/guide  ─record─▶  /ipfs/bafy…/v2/guide  ─blocks─▶  bafy…

Nothing is guessed: a step that fails makes the answer `NotKnown`, with the step and the reason.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from reconciler.core.cid import Cid
from reconciler.core.content_path import ContentPath, Domain, PathError, parse_path
from reconciler.core.dnslink import PLACES, DnslinkError, link_of
from reconciler.core.ipns import IpnsName
from reconciler.core.manifest import Names
from reconciler.core.question import NotKnown, Resolved
from reconciler.names.below import NoSuchPathError, below
from reconciler.names.gateways import GatewayError, Gateways
from reconciler.names.memory import Memory
from reconciler.transport.dns import Dns, DnsError
from reconciler.transport.fetch import Fetch

#: Names behind names: boxo gives up after as many (namesys, DefaultDepthLimit).
MAX_NAMES: Final = 32
#: Seconds for a path as a whole.
DEADLINE: Final = 60.0
#: Paths that are followed at once.
AT_ONCE: Final = 16


class _StuckError(Exception):
    """A step that failed, on its way to the answer."""

    def __init__(self, why: str, *, hint: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


class Resolver:
    """Follows paths. `now` is nanoseconds since 1970: an expired record leads nowhere."""

    def __init__(
        self,
        *,
        dns: Dns,
        gateways: Gateways,
        memory: Memory | None = None,
        now: Callable[[], int] = time.time_ns,
        deadline: float = DEADLINE,
    ) -> None:
        self._dns = dns
        self._gateways = gateways
        self._memory = memory or Memory()
        self._now = now
        self._deadline = deadline
        self._places = asyncio.Semaphore(AT_ONCE)

    async def resolve(self, text: str) -> Resolved | NotKnown:
        """Where a path leads now. Never raises for what the world may do."""
        way: list[str] = []
        failure = _StuckError("")
        try:
            async with self._places, asyncio.timeout(self._deadline):
                path = await self._named(_parsed(text, "it"), way)
                cid = await self._content(path, way)
            return Resolved(cid=cid, via=" and ".join(dict.fromkeys(way)))
        except _StuckError as stuck:
            failure = stuck
        except TimeoutError:
            failure = _StuckError(f"it could not be followed to its end within {self._deadline:g} s")
        return NotKnown(why=f"{text} is not known: {failure.why}", hint=failure.hint)

    async def _named(self, path: ContentPath, way: list[str]) -> ContentPath:
        """The path with all names in it followed."""
        seen: list[str] = []
        while not isinstance(path.root, Cid):
            place = str(path.root)
            if place in seen:
                ring = " → ".join([*seen[seen.index(place) :], place])
                raise _StuckError(f"the names lead in a circle: {ring}")
            if len(seen) >= MAX_NAMES:
                raise _StuckError(f"it leads through more than {MAX_NAMES} names")
            seen.append(place)
            if isinstance(path.root, Domain):
                step = await self._dnslink(path.root)
                way.append("DNSLink")
            else:
                step, host = await self._record(path.root)
                way.append(f"the gateway {host}")
            path = ContentPath(step.root, (*step.rest, *path.rest))
        return path

    async def _dnslink(self, domain: Domain) -> ContentPath:
        for prefix in PLACES:
            asked = f"{prefix}{domain}"
            try:
                # A name that could not be asked for is no name without a link: the next place is not looked at.
                link = link_of(await self._dns.txt(asked))
            except DnsError as error:
                raise _StuckError(str(error), hint=error.hint) from None
            except DnslinkError as error:
                raise _StuckError(f"the DNSLink of {asked}: {error}", hint=f"see `dig TXT {asked}`") from None
            if link is not None:
                return link
        raise _StuckError(
            f"{domain} has no DNSLink",
            hint=f"a TXT record of _dnslink.{domain} is to say dnslink=/ipfs/<cid>",
        )

    async def _record(self, name: IpnsName) -> tuple[ContentPath, str]:
        try:
            found = await self._gateways.records(name)
        except GatewayError as error:
            raise _StuckError(
                f"no gateway has a record of the name: {error}",
                hint="`names: {gateways: […]}` names other gateways; a node finds records itself (`node:`)",
            ) from None
        record = self._memory.best(name, [r for r, _ in found], self._now())
        if record is None:
            raise _StuckError(
                f"the record of {name} has expired",
                hint="whoever holds the key has to publish it again: ipfs name publish",
            )
        # What is remembered was found before, wherever that was.
        host = next((h for r, h in found if r.raw == record.raw), found[0][1])
        return _parsed(record.value, f"the value of {name}"), host

    async def _content(self, path: ContentPath, way: list[str]) -> Cid:
        assert isinstance(path.root, Cid)
        if not path.rest:
            return path.root

        async def load(cid: bytes) -> bytes:
            block, host = await self._gateways.block(cid)
            way.append(f"the gateway {host}")
            return block

        try:
            return await below(path.root, path.rest, load)
        except NoSuchPathError as error:
            raise _StuckError(str(error)) from None
        except GatewayError as error:
            raise _StuckError(
                f"a block on the way could not be had: {error}",
                hint="`names: {gateways: […]}` names other gateways; a node fetches blocks itself (`node:`)",
            ) from None


@asynccontextmanager
async def open_resolver(
    names: Names, *, environ: Mapping[str, str], memory: Memory | None = None
) -> AsyncIterator[Resolver]:
    """A resolver as the manifest sets it up. Nothing is asked yet."""
    async with Fetch(environ=environ) as fetch:
        yield Resolver(dns=Dns(names.dns), gateways=Gateways(names.gateways, fetch), memory=memory)


def _parsed(text: str, what: str) -> ContentPath:
    """Raises _StuckError."""
    try:
        return parse_path(text)
    except PathError as error:
        reason = str(error)
    raise _StuckError(f"{what} is no path: {reason}")
