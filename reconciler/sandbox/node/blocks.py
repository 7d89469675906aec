"""The node's blocks, and waiting for those that it has not.

A lookup that needs a block from elsewhere waits for it: for ever, or as long as its patience lasts.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from reconciler.core.unixfs import address
from reconciler.core.unixfs.blocks import Get
from reconciler.sandbox.network import MissingError, Network
from reconciler.sandbox.node.reply import RpcError

T = TypeVar("T")
#: Seconds between two looks whether somebody has a block by now.
_LOOK = 0.02
LATE = "context deadline exceeded"


class Patience(Struct, frozen=True):
    """`until`: on the loop's clock, None for ever. `offline`: nobody is asked."""

    until: float | None = None
    offline: bool = False


OFFLINE = Patience(offline=True)


class Blocks:
    """By multihash, so that a CIDv0 and its CIDv1 are one block."""

    def __init__(self, network: Network) -> None:
        self.held: dict[bytes, bytes] = {}
        #: Bytes of blocks that came from each peer.
        self.received: dict[str, int] = {}
        self._network = network
        self._who = ""

    def belong_to(self, peer_id: str) -> None:
        self._who = peer_id

    def put(self, cid: bytes, block: bytes) -> None:
        if address.identity(cid) is None:
            self.held[address.multihash(cid)] = block

    def get(self, cid: bytes) -> bytes:
        """Raises MissingError."""
        inline = address.identity(cid)
        block = self.held.get(address.multihash(cid)) if inline is None else inline
        if block is None:
            raise MissingError(cid)
        return block

    def has(self, cid: bytes) -> bool:
        return address.identity(cid) is not None or address.multihash(cid) in self.held

    async def fetch(self, cid: bytes, patience: Patience) -> bytes:
        """The block, from here or from a connected peer. Raises RpcError when patience is at its end."""
        key = address.multihash(cid)
        while not self.has(cid):
            if patience.offline:
                text = address.to_text(cid)
                raise RpcError(f"block was not found locally (offline): ipld: could not find {text}")
            for peer in self._network.connected(self._who):
                block = peer.blocks.get(key)
                if block is not None:
                    self.held[key] = block
                    self.received[peer.peer_id] = self.received.get(peer.peer_id, 0) + len(block)
                    break
            else:
                if patience.until is not None and asyncio.get_running_loop().time() >= patience.until:
                    raise RpcError(LATE)
                await asyncio.sleep(_LOOK)
        return self.get(cid)

    async def settle(self, work: Callable[[Get], T], patience: Patience) -> T:
        """What `work` gives, which is done anew whenever a block that it missed has come."""
        while True:
            try:
                return work(self.get)
            except MissingError as missing:
                await self.fetch(missing.cid, patience)
