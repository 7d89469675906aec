"""A CAR file, version 1, as it is written: a header that names the root, then blocks, each with its CID before it.

Source: the CARv1 specification (ipld.io/specs/transport/car/carv1).
"""

from reconciler.core.unixfs import varint


def header(root: bytes) -> bytes:
    """`root`: the CID as bytes. DAG-CBOR: {"roots": [root], "version": 1}."""
    link = b"\xd8\x2a" + _head(2, len(root) + 1) + b"\0" + root
    body = b"\xa2\x65roots" + _head(4, 1) + link + b"\x67version\x01"
    return varint.encode(len(body)) + body


def before(cid: bytes, size: int) -> bytes:
    """What stands before a block of `size` bytes."""
    return varint.encode(len(cid) + size) + cid


def _head(major: int, count: int) -> bytes:
    """The head of a CBOR value; no CID here has 256 bytes."""
    return bytes((major << 5 | count,)) if count < 24 else bytes((major << 5 | 24, count))
