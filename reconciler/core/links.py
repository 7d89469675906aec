"""What a block links to, by its codec: dag-pb and dag-cbor are read, raw blocks link to nothing."""

from typing import Final

from reconciler.core import dagcbor
from reconciler.core.cid import DAG_PB, RAW
from reconciler.core.unixfs import address, dagpb
from reconciler.core.unixfs.failure import UnixfsError

DAG_CBOR: Final = 0x71
#: Codecs of which nothing is linked: raw bytes, CBOR and JSON without links.
_LEAVES: Final = (RAW, 0x51, 0x0200)


def links(cid: bytes, block: bytes) -> tuple[bytes, ...] | None:
    """The CIDs that `block` links, in order, each as often as it does; None if its codec is not read here.

    Raises UnixfsError for a block that is not what its codec says.
    """
    codec = address.codec(cid)
    if codec in _LEAVES:
        return ()
    if codec == DAG_PB:
        return tuple(link.cid for link in dagpb.decode(block).links)
    if codec == DAG_CBOR:
        return tuple(_within(_decoded(block)))
    return None


def _decoded(block: bytes) -> dagcbor.Value:
    try:
        return dagcbor.decode(block)
    except dagcbor.DagCborError as error:
        raise UnixfsError(f"the block is no dag-cbor: {error}") from None


def _within(value: dagcbor.Value) -> list[bytes]:
    match value:
        case dagcbor.Link():
            return [value.cid]
        case list():
            return [cid for item in value for cid in _within(item)]
        case dict():
            return [cid for item in value.values() for cid in _within(item)]
    return []
