"""Is what a service calls pinned really retrievable from it? What a verdict means: `core.verified`.

1. which pins: those that a listing shows, or, in a loop, those that nobody has looked at for longest
2. by the gateway that the manifest names for the service; without one, or if it tells nothing, through the node
3. the root, and blocks below it picked by chance, each checked against its CID
4. what was found is remembered: what was found unretrievable is no copy until it is retrieved
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from reconciler.core.cid import CidError
from reconciler.core.errors import NodeError, ServiceError
from reconciler.core.learned import place_of
from reconciler.core.local import LOCAL
from reconciler.core.manifest import Manifest, Service
from reconciler.core.model import PINNED, Remote
from reconciler.core.ownership import listed_cid
from reconciler.core.unixfs import address
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.core.verified import Doubts, NotServedError, Target, UnclearError, Verified
from reconciler.engine.context import Context
from reconciler.engine.dag_sample import Load, chance_of, take_sample
from reconciler.engine.journal import Journal
from reconciler.engine.through_node import Dials, Fetching, asked, is_announced
from reconciler.services.gateway import CONCURRENCY, Gateway, open_gateway

SAMPLE: Final = 3
#: Seconds for one pin, by each way that is tried. A block gets a quarter of it, twice if it does not come.
PATIENCE: Final = 120.0


class Verifier:
    """One run of looks. `below` blocks below each root are looked for, picked by chance from `seed`."""

    def __init__(
        self,
        ctx: Context,
        gateways: Mapping[str, Gateway],
        *,
        below: int = SAMPLE,
        seed: int = 0,
        patience: float = PATIENCE,
    ) -> None:
        self._ctx = ctx
        self._gateways = gateways
        self._below = below
        self._seed = seed
        self._patience = patience
        self._places = {service: asyncio.Semaphore(CONCURRENCY) for service in gateways}
        self._node = asked(ctx.node)
        self._dials = Dials(self._node) if self._node is not None else None
        # The node's books tell how much came from a peer, and not for whom: one pin after another.
        self._turn = asyncio.Lock()

    def lane(self, service: str) -> tuple[str, int]:
        """What looks at a service wait for together, and how many may go on at once."""
        return (service, CONCURRENCY) if service in self._gateways else ("", 1)

    async def one(self, target: Target) -> Verified:
        """What is found of one pin. Raises nothing of ours: what fails is a verdict."""
        started = self._ctx.monotonic()
        found = await self._found(target)
        return replace(found, ms=round(1000 * (self._ctx.monotonic() - started)))

    def close(self) -> None:
        if self._dials is not None:
            self._dials.close()

    async def _found(self, target: Target) -> Verified:
        empty = Verified(
            service=target.service,
            name=target.name,
            cid=target.cid,
            requestid=target.requestid,
            verdict="cannot-tell",
        )
        try:
            root = address.from_text(target.cid)
        except CidError:
            return replace(empty, why="its CID cannot be read")
        gateway = self._gateways.get(target.service)
        reasons: list[str] = []
        if gateway is not None:
            async with self._places[target.service]:
                found = await self._by_gateway(gateway, target, root, empty)
            if found.verdict != "cannot-tell":
                return found
            reasons.append(found.why)
        if self._node is not None:
            async with self._turn:
                found = await self._by_node(target, root, empty)
            if found.verdict != "cannot-tell":
                return found
            reasons.append(found.why)
        elif gateway is None:
            reasons.append("the manifest names no gateway of the service, and no node that could be asked")
        return replace(empty, why="; ".join(reasons))

    async def _by_gateway(self, gateway: Gateway, target: Target, root: bytes, empty: Verified) -> Verified:
        blocks = 0

        async def load(cid: bytes) -> bytes:
            nonlocal blocks
            block = await gateway.block(cid, deadline=self._patience / 4)
            blocks += 1
            return block

        try:
            async with asyncio.timeout(self._patience):
                note = await self._sample(target, root, load)
        except NotServedError as error:
            lie = replace(empty, verdict="unretrievable", missing=error.cid, why=str(error))
            return replace(lie, how="gateway", blocks=blocks)
        except (UnclearError, UnixfsError) as error:
            return replace(empty, blocks=blocks, why=str(error))
        except TimeoutError:
            return replace(empty, blocks=blocks, why=self._late(gateway.host))
        return replace(empty, verdict="retrieved", how="gateway", blocks=blocks, why=note)

    async def _by_node(self, target: Target, root: bytes, empty: Verified) -> Verified:
        assert self._node is not None
        try:
            async with asyncio.timeout(self._patience):
                return await self._through_node(target, root, empty)
        except (UnclearError, UnixfsError) as error:
            return replace(empty, why=str(error))
        except (NodeError, ServiceError) as error:
            return replace(empty, why=error.message)
        except TimeoutError:
            return replace(empty, why=self._late(f"the node at {self._node.where}"))

    async def _through_node(self, target: Target, root: bytes, empty: Verified) -> Verified:
        assert self._node is not None
        assert self._dials is not None
        delegates = target.delegates
        if delegates is None:
            status = await self._ctx.services[target.service].get(target.requestid)
            if status is None or status.status != PINNED:
                return replace(empty, why="it is not called pinned any more")
            delegates = tuple(status.delegates or ())
        peers, itself = await self._dials.reach(delegates)
        if itself and not peers:
            return replace(empty, why="the service names the node itself as where its pins are")
        fetching = Fetching(self._node, peers, deadline=self._patience / 4)
        try:
            note = await self._sample(target, root, fetching.load)
        except NotServedError as error:
            blocks = fetching.named + fetching.other
            lie = replace(empty, verdict="unretrievable", missing=error.cid, why=str(error))
            return replace(lie, how="delegates", blocks=blocks)
        if target.missing in fetching.here:
            return replace(empty, blocks=fetching.named, why=f"the node has {target.missing} by now")
        if fetching.named and not fetching.other:
            some = f"{fetching.local} were in the node before" if fetching.local else ""
            why = "; ".join(text for text in (note, some) if text)
            return replace(empty, verdict="retrieved", how="delegates", blocks=fetching.named, why=why)
        blocks = fetching.named + fetching.other
        announced = await is_announced(self._node, root, peers)
        if announced:
            why = "it came from others" if blocks else "the node has it itself, so nothing was fetched"
            return replace(empty, verdict="announced", how="providers", blocks=blocks, why=why)
        if blocks:
            why = "it came from others than the peers that the service names"
            if not peers:
                why = "the service names no peer of its own, so it may have come from anybody"
            return replace(empty, verdict="retrievable", how="node", blocks=blocks, why=why)
        return replace(empty, why="the node has it itself")

    async def _sample(self, target: Target, root: bytes, load: Load) -> str:
        """What did not come before is asked for again: other blocks that come say nothing of it."""
        first = address.from_text(target.missing) if target.missing else None
        return await take_sample(root, below=self._below, chance=self._chance(root), load=load, first=first)

    def _chance(self, root: bytes) -> random.Random:
        # By the root, so that it does not depend on which pins are looked at before.
        return chance_of(f"{self._seed} {root.hex()}")

    def _late(self, where: str) -> str:
        return f"{where} was not done within {self._patience:g} s"


@asynccontextmanager
async def open_verifier(
    manifest: Manifest,
    ctx: Context,
    *,
    below: int = SAMPLE,
    seed: int = 0,
    patience: float = PATIENCE,
) -> AsyncIterator[Verifier]:
    """With the gateways of the manifest's services. Raises SecretError if the key of one cannot be had."""
    async with AsyncExitStack() as stack:
        gateways: dict[str, Gateway] = {}
        for name, service in manifest.services.items():
            gateway = await stack.enter_async_context(open_gateway(service, environ=ctx.environ))
            if gateway is not None:
                gateways[name] = gateway
        verifier = Verifier(ctx, gateways, below=below, seed=seed, patience=patience)
        stack.callback(verifier.close)
        yield verifier


async def verify_pins(
    verifier: Verifier, targets: Iterable[Target], *, stop: asyncio.Event
) -> AsyncIterator[Verified]:
    """What is found of each, as it is found. Ends when `stop` is set, with what is known by then."""
    lanes: dict[str, tuple[deque[Target], int]] = {}
    for target in targets:
        name, width = verifier.lane(target.service)
        lanes.setdefault(name, (deque(), width))[0].append(target)
    results: asyncio.Queue[Verified | asyncio.Task[None]] = asyncio.Queue()

    async def work(queue: deque[Target]) -> None:
        while queue:
            results.put_nowait(await verifier.one(queue.popleft()))

    workers = {
        asyncio.create_task(work(queue))
        for queue, width in lanes.values()
        for _ in range(min(width, len(queue)))
    }
    stopping = asyncio.create_task(_wait_for(stop))
    for task in (*workers, stopping):
        task.add_done_callback(results.put_nowait)
    try:
        while workers:
            found = await results.get()
            if isinstance(found, Verified):
                yield found
            elif found is stopping:
                return
            else:
                workers.discard(found)
                found.result()
    finally:
        for task in (*workers, stopping):
            task.cancel()
        await asyncio.gather(*workers, stopping, return_exceptions=True)


async def _wait_for(stop: asyncio.Event) -> None:
    await stop.wait()


def target_of(service: str, pin: Remote, delegates: tuple[str, ...] | None = None) -> Target:
    return Target(
        service=service, requestid=pin.requestid, cid=pin.cid.text, name=pin.name, delegates=delegates
    )


def with_missing(doubts: Doubts, targets: Iterable[Target]) -> list[Target]:
    """The targets, those in doubt with the block that did not come."""
    found = ((t, doubts.of(t.service, t.requestid, listed_cid(t.cid).canonical)) for t in targets)
    return [replace(t, missing=doubt.missing) if doubt is not None else t for t, doubt in found]


def next_to_verify(
    journal: Journal, owner: str, service: Service, pins: Iterable[Remote], *, most: int
) -> list[Target]:
    """The pinned pins of ours at a service that nobody has looked at for longest, those never looked at first.

    Up to half of them are pins in doubt, so that what was mended is a copy again soon. Raises PinrecError.
    """
    if service.name == LOCAL:
        return []
    place = place_of(service.endpoint)
    looked = journal.looked_at(owner, service.name, place=place)
    doubts = Doubts(journal.doubts(owner, service.name, place=place))

    def looked_at(pin: Remote) -> tuple[float, str]:
        at = looked.get((pin.requestid, pin.cid.canonical))
        return (0.0 if at is None else at.timestamp()), pin.requestid

    ours = sorted((p for p in pins if p.mine and p.status == PINNED), key=looked_at)
    doubted = [p for p in ours if doubts.of(service.name, p.requestid, p.cid.canonical) is not None]
    first = doubted[: (most + 1) // 2]
    again = {p.requestid for p in first}
    rest = [p for p in ours if p.requestid not in again][: most - len(first)]
    return with_missing(doubts, (target_of(service.name, pin) for pin in (*first, *rest)))


def remember(journal: Journal, owner: str, service: Service, found: Verified, now: datetime) -> None:
    """What was found of a pin of a service, and when."""
    journal.verified(
        owner,
        service.name,
        found.requestid,
        place=place_of(service.endpoint),
        cid=listed_cid(found.cid).canonical,
        name=found.name,
        verdict=found.verdict,
        now=now,
        missing=found.missing,
    )


def forget_gone(journal: Journal, owner: str, service: Service, there: Collection[str]) -> None:
    """`there` are the ids of all pins of ours in a whole listing: nothing is remembered of others. Raises
    PinrecError."""
    looked = journal.looked_at(owner, service.name, place=place_of(service.endpoint))
    journal.forget_verified(owner, service.name, {rid for rid, _ in looked} - set(there))
