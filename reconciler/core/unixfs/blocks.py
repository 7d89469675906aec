"""Where blocks come from and go to, and what is known of one that was written."""

from collections.abc import Callable
from hashlib import sha256
from typing import TypeAlias

from msgspec import Struct

from reconciler.core.unixfs import address

#: The block of a CID. What it raises for a block that it has not is its own affair and passes through.
Get: TypeAlias = Callable[[bytes], bytes]
#: Takes (CID, block), children before their parents. A block that occurs twice may come twice.
Sink: TypeAlias = Callable[[bytes, bytes], None]
Buffer: TypeAlias = bytes | bytearray | memoryview


class Entry(Struct, frozen=True, gc=False):
    """A root, as a directory links it. `tsize`: bytes of all blocks below it and its own, repeated ones repeated.

    The same number is `CumulativeSize` in Kubo's answers.
    """

    cid: bytes
    tsize: int


class Part(Struct, frozen=True, gc=False):
    """A piece of a file, as its parent links it. `size`: bytes of the file's content in it."""

    cid: bytes
    tsize: int
    size: int

    @property
    def entry(self) -> Entry:
        return Entry(self.cid, self.tsize)


class Writer:
    """Names blocks, and hands them to the sink if there is one. `version`: of the CIDs of dag-pb nodes."""

    __slots__ = ("_prefix", "sink")

    def __init__(self, version: int, sink: Sink | None) -> None:
        self._prefix = address.V1_PREFIX if version else address.V0_PREFIX
        self.sink = sink

    def node(self, block: bytes) -> bytes:
        """The CID of a dag-pb block."""
        cid = self._prefix + sha256(block).digest()
        if self.sink is not None:
            self.sink(cid, block)
        return cid

    def framed(self, head: bytes, content: Buffer, tail: bytes) -> bytes:
        """The CID of the dag-pb block head + content + tail, which is only put together for a sink."""
        digest = sha256(head)
        digest.update(content)
        digest.update(tail)
        cid = self._prefix + digest.digest()
        if self.sink is not None:
            self.sink(cid, b"".join((head, content, tail)))
        return cid

    def raw(self, content: Buffer) -> bytes:
        """The CID of a raw block, which is a CIDv1 whatever `version` says."""
        cid = address.RAW_PREFIX + sha256(content).digest()
        if self.sink is not None:
            self.sink(cid, bytes(content))
        return cid


def load(cid: bytes, get: Get) -> bytes:
    """The block of `cid`: out of the CID itself if it is an identity CID, else by `get`."""
    inline = address.identity(cid)
    return get(cid) if inline is None else inline
