"""CIDs as bytes, as they stand in links: a CIDv0 is a bare sha2-256 multihash, a CIDv1 says version and codec."""

from base64 import b32decode, b32encode

from reconciler.core import cid as cids
from reconciler.core.cid import DAG_PB, RAW, Cid
from reconciler.core.unixfs import varint
from reconciler.core.unixfs.failure import UnixfsError

#: What comes before the 32 bytes of a sha2-256 digest.
V0_PREFIX = b"\x12\x20"
V1_PREFIX = b"\x01\x70\x12\x20"
RAW_PREFIX = b"\x01\x55\x12\x20"

__all__ = ["DAG_PB", "RAW", "RAW_PREFIX", "V0_PREFIX", "V1_PREFIX", "codec", "from_cid", "from_text"]
__all__ += ["identity", "multihash", "to_cid", "to_text", "version"]


def version(cid: bytes) -> int:
    """0 or 1."""
    return 0 if len(cid) == 34 and cid.startswith(V0_PREFIX) else 1


def codec(cid: bytes) -> int:
    """The multicodec of the content: 0x70 is dag-pb, 0x55 raw. Raises UnixfsError for what is no CID."""
    return _split(cid)[0]


def multihash(cid: bytes) -> bytes:
    """What a block store keys its blocks by: the same for a CIDv0 and its CIDv1. Raises UnixfsError."""
    return cid[_split(cid)[1] :]


def identity(cid: bytes) -> bytes | None:
    """The block itself, where the CID holds it instead of a hash (`ipfs add --inline`); else None."""
    start = _split(cid)[1]
    if cid[start : start + 1] != b"\0":
        return None
    size, at = varint.decode(cid, start + 1)
    if len(cid) - at != size:
        raise UnixfsError("a link holds an identity CID that is cut off")
    return cid[at:]


def to_text(cid: bytes) -> str:
    """`Qm…` for a CIDv0, base32 for a CIDv1: how Kubo prints them."""
    return to_cid(cid).text


def to_cid(cid: bytes) -> Cid:
    if version(cid) == 0:
        canonical = _base32(V1_PREFIX[:2] + cid)
        return Cid(cids.spellings(Cid(canonical, canonical))[-1], canonical)
    text = _base32(cid)
    return Cid(text, text)


def from_cid(cid: Cid) -> bytes:
    """The bytes of the version that `cid.text` is written in."""
    digits = cid.canonical[1:].upper()
    data = b32decode(digits + "=" * (-len(digits) % 8))
    return data[2:] if cid.version == 0 else data


def from_text(text: str) -> bytes:
    """Raises CidError."""
    return from_cid(cids.parse(text))


def _base32(data: bytes) -> str:
    return "b" + b32encode(data).decode("ascii").rstrip("=").lower()


def _split(cid: bytes) -> tuple[int, int]:
    """The codec, and where the multihash begins."""
    if len(cid) == 34 and cid.startswith(V0_PREFIX):
        return DAG_PB, 0
    if not cid.startswith(b"\x01"):
        raise UnixfsError("a link holds no CID")
    code, at = varint.decode(cid, 1)
    return code, at
