"""The node's pins, in memory. Recursive and direct ones; what is pinned below them is found by walking."""

from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from reconciler.core.unixfs import address
from reconciler.sandbox.node.reply import RpcError

Mode: TypeAlias = Literal["recursive", "direct"]


class Pin(Struct, frozen=True):
    cid: bytes
    mode: Mode
    name: str


class Pins:
    """Keyed by CID as Kubo's are: a CIDv0 and its CIDv1 are two pins of one block."""

    def __init__(self) -> None:
        self._pins: dict[bytes, Pin] = {}

    def add(self, cid: bytes, *, recursive: bool, name: str) -> None:
        """A name that is not given takes away the one that is there. Raises RpcError for direct over recursive."""
        old = self.find(cid)
        if old is not None and old.mode == "recursive" and not recursive:
            raise RpcError(f"pin: {address.to_text(cid)} already pinned recursively")
        self._pins[cid] = Pin(cid, "recursive" if recursive else "direct", name)

    def find(self, cid: bytes) -> Pin | None:
        return self._pins.get(cid)

    def remove(self, cid: bytes, *, recursive: bool = True) -> None:
        """Raises RpcError for what is not pinned, and for a recursive pin that is taken for a direct one."""
        pin = self.find(cid)
        if pin is None:
            raise RpcError("not pinned or pinned indirectly")
        if pin.mode == "recursive" and not recursive:
            raise RpcError(f"{address.to_text(cid)} is pinned recursively")
        del self._pins[cid]

    def __iter__(self) -> Iterator[Pin]:
        """In the order of their CIDs' bytes, which is that of Kubo's store."""
        return iter(sorted(self._pins.values(), key=lambda pin: pin.cid))
