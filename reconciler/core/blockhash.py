"""Whether bytes are those of a CID: the hashes that IPFS blocks have, as far as they can be computed here.

Codes and names: the multicodec table. blake3 and other hashes that `hashlib` has not are not known, which is said.
"""

import hashlib
from typing import Final

from reconciler.core.unixfs import address, varint

IDENTITY: Final = 0x00
_FIXED: Final = {
    0x11: "sha1",
    0x12: "sha256",
    0x13: "sha512",
    0x14: "sha3_512",
    0x15: "sha3_384",
    0x16: "sha3_256",
    0x17: "sha3_224",
    0x20: "sha384",
}
#: blake2b-8 to blake2b-512 and blake2s-8 to blake2s-256, a code for each byte of digest.
_BLAKE2B: Final = range(0xB201, 0xB241)
_BLAKE2S: Final = range(0xB241, 0xB261)
#: No digest of fewer bytes proves anything (boxo `verifcid`, which refuses them too).
_SHORTEST: Final = 20


def is_block(cid: bytes, block: bytes) -> bool | None:
    """Whether `block` is the block of `cid` (as bytes); None if its hash cannot be checked here.

    Raises UnixfsError for what is no CID.
    """
    code, digest = _parts(cid)
    if code == IDENTITY:
        return block == digest
    computed = _digest(code, len(digest), block)
    return None if computed is None else computed[: len(digest)] == digest


def can_check(cid: bytes) -> bool:
    """Whether `is_block` would know. Raises UnixfsError for what is no CID."""
    code, digest = _parts(cid)
    return code == IDENTITY or _digest(code, len(digest), b"") is not None


def hash_code(cid: bytes) -> int:
    """The multicodec of the hash. Raises UnixfsError for what is no CID."""
    return _parts(cid)[0]


def _parts(cid: bytes) -> tuple[int, bytes]:
    multihash = address.multihash(cid)
    code, at = varint.decode(multihash, 0)
    _, at = varint.decode(multihash, at)
    return code, multihash[at:]


def _digest(code: int, length: int, data: bytes) -> bytes | None:
    if length < _SHORTEST:
        return None
    if code in _FIXED:
        whole = hashlib.new(_FIXED[code], data, usedforsecurity=False).digest()
    elif code in _BLAKE2B:
        whole = hashlib.blake2b(data, digest_size=code - _BLAKE2B.start + 1).digest()
    elif code in _BLAKE2S:
        whole = hashlib.blake2s(data, digest_size=code - _BLAKE2S.start + 1).digest()
    else:
        return None
    # A multihash may hold the beginning of a digest, never more than it.
    return whole if length <= len(whole) else None
