"""IPNS names: the multihash of a public key, in all its spellings (IPNS record specification, "IPNS Name").

    k51qzi5uqu5d…       CIDv1, libp2p-key, base36: the usual one, and the canonical one here
    bafzaajaiaejc…      CIDv1, libp2p-key, base32; base16 and base58btc (z…) too
    12D3KooW…, Qm…      the bare multihash in base58btc: a peer id

An Ed25519 key is small enough to be the name itself (multihash `identity`); of an RSA key the name is a sha2-256.
"""

import re
from hashlib import sha256
from typing import Final, Literal

from msgspec import Struct

from reconciler.core import cid as cids
from reconciler.core.unixfs import varint
from reconciler.core.unixfs.failure import UnixfsError

IDENTITY: Final = 0x00
#: Keys are inlined up to this many bytes (libp2p peer id specification), which no RSA key is.
MAX_INLINED: Final = 42
_A36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_A58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PEER_ID: Final = re.compile(r"(?:1|Qm)[1-9A-HJ-NP-Za-km-z]{40,60}")
_KINDS: Final = ("rsa", "ed25519", "secp256k1", "ecdsa")
KeyKind = Literal["rsa", "ed25519", "secp256k1", "ecdsa"]


class IpnsError(ValueError):
    """A text that is no IPNS name, or bytes that are no record of one. The text is one clear reason."""


class PublicKey(Struct, frozen=True, kw_only=True):
    """`data` is as the libp2p peer id specification lays it out: 32 bytes of an Ed25519 key, a compressed point of
    a secp256k1 one, and the DER of a SubjectPublicKeyInfo for RSA and ECDSA."""

    kind: KeyKind
    data: bytes


class IpnsName(Struct, frozen=True):
    """`text` is canonical, in base36, so that equal names are equal."""

    text: str
    multihash: bytes

    def __str__(self) -> str:
        return self.text

    @property
    def key(self) -> PublicKey | None:
        """The public key, where the name is the key. Raises IpnsError if what is in it is none."""
        return public_key(self.multihash[2:]) if self.multihash[0] == IDENTITY else None

    def is_of(self, serialised: bytes) -> bool:
        """Whether this is the name of a key, given as the protobuf `PublicKey`."""
        if self.multihash[0] == IDENTITY:
            return self.multihash[2:] == serialised
        return self.multihash[2:] == sha256(serialised).digest()


def parse_name(text: str) -> IpnsName:
    """The name that `text`, without `/ipns/`, spells. Raises IpnsError."""
    if _PEER_ID.fullmatch(text):
        return _named(_from_base58(text))
    try:
        cid = cids.parse(text)
    except cids.CidError as error:
        raise IpnsError(f"it is neither a domain nor the name of a key: {error.reason}") from None
    if cid.codec != cids.LIBP2P_KEY:
        raise IpnsError("it is the CID of content and not the name of a key; content is under /ipfs/")
    return _named(cid.multihash)


def public_key(serialised: bytes) -> PublicKey:
    """`message PublicKey { required KeyType Type = 1; required bytes Data = 2; }`. Raises IpnsError."""
    try:
        fields = dict(protobuf(serialised))
    except UnixfsError:
        raise IpnsError("the public key cannot be read") from None
    kind, data = fields.get(1), fields.get(2)
    if not isinstance(kind, int) or kind >= len(_KINDS) or not isinstance(data, bytes):
        raise IpnsError("the public key is of no kind that IPNS has")
    return PublicKey(kind=_KINDS[kind], data=data)


def protobuf(data: bytes) -> list[tuple[int, int | bytes]]:
    """(number, value) of each field, in their order. Raises UnixfsError for what is no message."""
    out: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        tag, at = varint.decode(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = varint.decode(data, at)
            out.append((number, value))
            continue
        size = {1: 8, 5: 4}.get(wire, 0)
        if wire == 2:
            size, at = varint.decode(data, at)
        elif not size:
            raise UnixfsError("a field of the message is of no type that protobuf has")
        if not number or size > len(data) - at:
            raise UnixfsError("the message is cut off")
        out.append((number, data[at : at + size]))
        at += size
    return out


def _named(multihash: bytes) -> IpnsName:
    function, size = (multihash[0], multihash[1]) if len(multihash) > 2 else (-1, -1)
    whole = size == len(multihash) - 2
    if function == IDENTITY and whole and 0 < size <= MAX_INLINED:
        public_key(multihash[2:])
    elif function != cids.SHA2_256 or not whole or size != 32:
        raise IpnsError("it holds no key, nor the sha2-256 of one; is a character wrong?")
    return IpnsName("k" + _to_base36(b"\x01\x72" + multihash), multihash)


def _from_base58(text: str) -> bytes:
    number = 0
    for digit in text:
        number = number * 58 + _A58.index(digit)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _to_base36(data: bytes) -> str:
    """For data that does not begin with a zero byte, as a CIDv1 never does."""
    number, out = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 36)
        out = _A36[digit] + out
    return out
