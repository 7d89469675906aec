"""Bytes and CIDs: every hash that can be computed here, against `hashlib` and fixed vectors; and what blocks link."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import blockhash
from reconciler.core.links import links
from reconciler.core.unixfs import address, dagpb
from reconciler.core.unixfs.failure import UnixfsError

RAW = b"\x01\x55"
#: Multihash prefix (code, length) by what computes the digest. Codes: the multicodec table.
HASHES = {
    "sha1": (b"\x11\x14", lambda d: hashlib.sha1(d).digest()),
    "sha2-256": (b"\x12\x20", lambda d: hashlib.sha256(d).digest()),
    "sha2-512": (b"\x13\x40", lambda d: hashlib.sha512(d).digest()),
    "sha3-512": (b"\x14\x40", lambda d: hashlib.sha3_512(d).digest()),
    "sha3-256": (b"\x16\x20", lambda d: hashlib.sha3_256(d).digest()),
    "sha2-384": (b"\x20\x30", lambda d: hashlib.sha384(d).digest()),
    "blake2b-256": (b"\xa0\xe4\x02\x20", lambda d: hashlib.blake2b(d, digest_size=32).digest()),
    "blake2b-512": (b"\xc0\xe4\x02\x40", lambda d: hashlib.blake2b(d, digest_size=64).digest()),
    "blake2s-256": (b"\xe0\xe4\x02\x20", lambda d: hashlib.blake2s(d, digest_size=32).digest()),
    "sha2-512 cut to 256 bits": (b"\x13\x20", lambda d: hashlib.sha512(d).digest()[:32]),
    "identity": (b"\x00\x05", lambda d: d),
}


@pytest.mark.parametrize("name", HASHES)
def test_a_block_is_told_from_any_other(name: str) -> None:
    prefix, digest = HASHES[name]
    cid = RAW + prefix + digest(b"hello")
    assert blockhash.can_check(cid)
    assert blockhash.is_block(cid, b"hello") is True
    assert blockhash.is_block(cid, b"hellp") is False
    assert blockhash.is_block(cid, b"hello\n") is False


@given(st.binary(), st.binary())
def test_no_other_bytes_are_taken_for_a_block(one: bytes, other: bytes) -> None:
    cid = RAW + b"\x12\x20" + hashlib.sha256(one).digest()
    assert blockhash.is_block(cid, other) is (one == other)


@pytest.mark.parametrize(
    "multihash",
    [b"\x1e\x20" + bytes(32), b"\x12\x04" + hashlib.sha256(b"hello").digest()[:4], b"\x12\x28" + bytes(40)],
    ids=["blake3", "four bytes of sha2-256", "more than sha2-256 has"],
)
def test_what_proves_nothing_is_not_known(multihash: bytes) -> None:
    assert not blockhash.can_check(RAW + multihash)
    assert blockhash.is_block(RAW + multihash, b"hello") is None


def test_what_is_no_cid_is_refused() -> None:
    with pytest.raises(UnixfsError):
        blockhash.can_check(b"\x05nonsense")


def test_links_by_codec() -> None:
    one, two = (RAW + b"\x12\x20" + bytes([n]) * 32 for n in (1, 2))
    node = dagpb.encode([dagpb.Link("b", one, 1), dagpb.Link("a", two, 2), dagpb.Link("c", one, 1)], None)
    multihash = b"\x12\x20" + bytes(32)
    assert links(b"\x01\x70" + multihash, node) == (one, two, one)
    assert links(multihash, node) == (one, two, one)
    assert links(b"\x01\x55" + multihash, node) == ()
    cbor = b"\x82\xa1\x61a\xd8\x2a\x58\x25\x00" + one + b"\xd8\x2a\x58\x25\x00" + two
    assert links(b"\x01\x71" + multihash, cbor) == (one, two)
    assert links(b"\x01\x85\x01" + multihash, b"{}") is None
    with pytest.raises(UnixfsError, match="no dag-cbor"):
        links(b"\x01\x71" + multihash, b"\xff")
    assert address.codec(b"\x01\x71" + multihash) == 0x71
