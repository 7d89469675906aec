"""Blocks through the node beside the services, and what shows that they came from a service.

Kubo cannot fetch from one peer alone. So the node is connected to all peers that the service names (`delegates`), a
block is asked for that it has not, and its own books (`bitswap/ledger`) say how much of what it got those peers sent:

    the block came, and the named peers sent at least its size       it is the service's
    the block came otherwise                                         somebody has it
    it did not come, and all named peers are connected               the service does not give it
    it did not come, and one of them could not be reached            nothing

One pin after another is looked at, since the books do not say which block. What is fetched stays in the node until it
collects its garbage, and what it had before shows nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Final, Protocol

from reconciler.core import blockhash
from reconciler.core.errors import NodeError
from reconciler.core.question import Identity
from reconciler.core.unixfs import address
from reconciler.core.verified import NotServedError, UnclearError
from reconciler.engine.dial import LONGEST
from reconciler.node.swarm import Provider

#: Seconds for one dial, and for looking for providers.
DIAL_DEADLINE: Final = 10.0
PROVIDERS_DEADLINE: Final = 20.0
PROVIDERS: Final = 50
#: Addresses of one pin that are dialled. The API allows 20 delegates.
MOST_ADDRESSES: Final = 20
#: Seconds between looks at the node's books after a block came.
_BOOKS: Final = (0.0, 0.05, 0.2, 0.5)
#: Texts of Kubo for a block that nobody gave, beside a deadline that passed.
_NOBODY: Final = ("could not find", "no providers", "not found")


class Node(Protocol):
    """What of a node is asked here. Every call raises NodeError."""

    @property
    def where(self) -> str: ...

    async def identity(self) -> Identity: ...
    async def has(self, cid: str, *, deadline: float | None = None) -> bool: ...
    async def connect(self, address: str, *, deadline: float | None = None) -> None: ...
    async def block_get(self, cid: str, *, offline: bool = False, deadline: float | None = None) -> bytes: ...
    async def received_from(self, peer_id: str, *, deadline: float | None = None) -> int: ...
    def find_providers(
        self, cid: str, *, most: int = 20, deadline: float | None = None
    ) -> AsyncIterator[Provider]: ...


def asked(node: object) -> Node | None:
    """`node` if it can be asked all this; one that is declared and absent cannot."""
    from reconciler.node.client import KuboNode

    return node if isinstance(node, KuboNode) else None


class Dials:
    """The named peers that the node could be connected to, each address tried once in a run."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._dialled: dict[str, asyncio.Task[bool]] = {}
        self._self = ""

    async def reach(self, delegates: Iterable[str]) -> tuple[dict[str, bool], bool]:
        """Peer id → whether it was reached by one of its addresses; and whether the node itself is named.

        Raises NodeError if the node does not say who it is.
        """
        by_peer: dict[str, list[str]] = {}
        for delegate in list(dict.fromkeys(delegates))[:MOST_ADDRESSES]:
            if peer := peer_of(delegate):
                by_peer.setdefault(peer, []).append(delegate)
        if by_peer and not self._self:
            self._self = (await self._node.identity()).peer_id
        itself = by_peer.pop(self._self, None) is not None
        return {peer: await self._any(addresses) for peer, addresses in by_peer.items()}, itself

    async def _any(self, addresses: list[str]) -> bool:
        for delegate in addresses:
            if delegate not in self._dialled:
                self._dialled[delegate] = asyncio.create_task(self._dial(delegate))
        return any(await asyncio.gather(*(asyncio.shield(self._dialled[a]) for a in addresses)))

    async def _dial(self, delegate: str) -> bool:
        try:
            async with asyncio.timeout(DIAL_DEADLINE):
                await self._node.connect(delegate, deadline=DIAL_DEADLINE)
        except (NodeError, TimeoutError):
            return False
        return True

    def close(self) -> None:
        for task in self._dialled.values():
            task.cancel()


class Fetching:
    """Blocks of one pin. `peers`: those that the service names, and whether each was reached."""

    def __init__(self, node: Node, peers: dict[str, bool], *, deadline: float) -> None:
        self._node = node
        self._peers = peers
        self._deadline = deadline
        #: Blocks that were here before, that came from named peers, and that came otherwise.
        self.local = self.named = self.other = 0
        self.here: set[str] = set()

    async def load(self, cid: bytes) -> bytes:
        """Raises NotServedError and UnclearError."""
        text = address.to_text(cid)
        try:
            if await self._node.has(text):
                self.local += 1
                self.here.add(text)
                return await self._node.block_get(text, offline=True)
            before = await self._received()
            block = await self._fetched(text)
            named = before is not None and await self._came(before + len(block))
        except NodeError as error:
            raise UnclearError(error.message) from None
        if not blockhash.is_block(cid, block):
            raise UnclearError(f"the node gave bytes that are not those of {text}")
        if named:
            self.named += 1
        else:
            self.other += 1
        return block

    async def _fetched(self, text: str) -> bytes:
        try:
            return await self._node.block_get(text, deadline=self._deadline)
        except NodeError as error:
            if not error.late and not any(words in error.text for words in _NOBODY):
                raise
        late = f"nobody gave it to the node within {self._deadline:g} s"
        nobody = f"{text}: {late}"
        if not self._peers:
            raise UnclearError(f"{nobody}, and the service names no peer of its own")
        reached = sum(self._peers.values())
        if reached < len(self._peers):
            raise UnclearError(
                f"{nobody}; of {len(self._peers)} peers that the service names {reached} were reached"
            )
        raise NotServedError(text, f"{late}, though it is connected to all peers that the service names")

    async def _came(self, total: int) -> bool:
        """Whether the named peers have sent as much by now: the books may be a moment behind the block."""
        for pause in _BOOKS:
            await asyncio.sleep(pause)
            received = await self._received()
            if received is None or received >= total:
                return received is not None
        return False

    async def _received(self) -> int | None:
        """Bytes that the named peers have sent so far; None if the node does not say."""
        if not self._peers:
            return None
        total = 0
        for peer in self._peers:
            try:
                total += await self._node.received_from(peer)
            except NodeError as error:
                if error.unreachable or error.late or error.lost:
                    raise
                return None
        return total


async def is_announced(node: Node, cid: bytes, peers: Iterable[str]) -> bool:
    """Whether one of `peers` is found among those who say that they have a block."""
    wanted = frozenset(peers)
    if not wanted:
        return False
    text = address.to_text(cid)
    with contextlib.suppress(NodeError, TimeoutError):
        async with (
            asyncio.timeout(PROVIDERS_DEADLINE),
            contextlib.aclosing(_closable(node, text)) as found,
        ):
            async for provider in found:
                if provider.peer_id in wanted:
                    return True
    return False


async def _closable(node: Node, text: str) -> AsyncGenerator[Provider]:
    async for provider in node.find_providers(text, most=PROVIDERS, deadline=PROVIDERS_DEADLINE):
        yield provider


def peer_of(delegate: str) -> str:
    """The peer id at the end of a multiaddr, "" if there is none that a node could be told."""
    if len(delegate) > LONGEST or not delegate.isascii() or not delegate.isprintable():
        return ""
    head, _, peer = delegate.rstrip("/").rpartition("/")
    return peer if head.endswith(("/p2p", "/ipfs")) and peer.isalnum() else ""
