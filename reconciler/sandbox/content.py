"""The blocks that a service holds, and which of them it gives away: all of them, or as a service that lies."""

from collections.abc import Iterator, Mapping
from typing import Literal

from reconciler.core.cid import CidError
from reconciler.core.unixfs import address
from reconciler.core.unixfs.failure import UnixfsError

#: "root": only blocks that are themselves pinned. "wrong": other bytes than those of the CID.
Serves = Literal["all", "root", "nothing", "wrong"]


class Content:
    """`held`: by multihash, to be filled by whoever fetches."""

    def __init__(self, serves: Serves = "all") -> None:
        self.held: dict[bytes, bytes] = {}
        self.serves = serves
        self._roots: set[bytes] = set()

    def pinned(self, cid: str) -> None:
        """A pin of this CID was made."""
        try:
            self._roots.add(address.multihash(address.from_text(cid)))
        except (CidError, UnixfsError):
            return

    def is_given(self, multihash: bytes) -> bool:
        """Whether somebody who asks gets the block."""
        if multihash not in self.held or self.serves == "nothing":
            return False
        return self.serves != "root" or multihash in self._roots

    def at_gateway(self, cid: bytes) -> bytes | None:
        """What the gateway answers with: the bytes, or None for nothing."""
        inline = address.identity(cid)
        if inline is not None:
            # Every gateway has it, whatever it holds: the CID says all.
            return inline
        key = address.multihash(cid)
        if not self.is_given(key):
            return None
        block = self.held[key]
        return block[::-1] + b"\n" if self.serves == "wrong" else block


class Given(Mapping[bytes, bytes]):
    """What of it peers get. Wrong bytes are none: a peer knows a block by its hash, and drops what it did not want."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def __getitem__(self, multihash: bytes) -> bytes:
        if multihash not in self:
            raise KeyError(multihash)
        return self._content.held[multihash]

    def __contains__(self, multihash: object) -> bool:
        content = self._content
        return content.serves != "wrong" and isinstance(multihash, bytes) and content.is_given(multihash)

    def __iter__(self) -> Iterator[bytes]:
        return (key for key in list(self._content.held) if key in self)

    def __len__(self) -> int:
        # Of all that is held: it is asked to see whether something came.
        return len(self._content.held)
