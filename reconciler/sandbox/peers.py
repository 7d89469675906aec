"""Peer ids, and the addresses that carry them."""

import base64
import hashlib

from msgspec import Struct

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_LOWER = "0123456789abcdefghijklmnopqrstuvwxyz"
#: An Ed25519 key in libp2p's protobuf, and before it the identity multihash that makes a peer id of it.
_KEY = b"\x08\x01\x12\x20"
_IDENTITY = b"\x00\x24"


class Identity(Struct, frozen=True):
    """`peer_id`: as Kubo prints it. `public_key`: base64. `name`: the IPNS name of the same key."""

    peer_id: str
    public_key: str
    name: str


def identity(seed: str) -> Identity:
    """The same one for the same seed. Nobody holds the private key, and nothing here needs it."""
    key = _KEY + hashlib.sha256(seed.encode()).digest()
    multihash = _IDENTITY + key
    return Identity(
        peer_id="1" + _digits(multihash, _ALPHABET),
        public_key=base64.b64encode(key).decode(),
        name="k" + _digits(b"\x01\x72" + multihash, _LOWER),
    )


def peer_of(address: str) -> str:
    """The peer id at the end of a multiaddr, "" without one."""
    head, found, peer = address.rstrip("/").rpartition("/p2p/")
    return peer if found and "/" not in peer and head else ""


def without_peer(address: str) -> str:
    return address.rpartition("/p2p/")[0] if peer_of(address) else address


def _digits(data: bytes, alphabet: str) -> str:
    n, out = int.from_bytes(data, "big"), ""
    while n:
        n, digit = divmod(n, len(alphabet))
        out = alphabet[digit] + out
    return out
