"""Content identifiers: one strict decoder, one canonical form, equality by (codec, multihash).

    CIDv0   `Qm` + 44 characters: base58btc(0x12 0x20 digest), always dag-pb with sha2-256
    CIDv1   multibase prefix + base(varint 1, varint codec, varint hash, varint length, digest)

Accepted multibases: base32 (`b`, `B`), base36 (`k`, `K`), base16 (`f`, `F`) and base58btc (`z`). Any codec
and any hash are accepted. Strict means that a text has exactly one reading: no padding, no mixed case, no
bits or bytes left over, minimal varints, a digest as long as it claims to be. Sources: the CID, multihash,
unsigned-varint and multibase specifications of the multiformats project.
"""

import re

from msgspec import Struct

#: Longer texts are refused unread: bignum arithmetic grows with the square, and an identity CID of the 128
#: bytes that Kubo allows has 271 characters in base16.
MAX_CHARACTERS = 512

DAG_PB, RAW, LIBP2P_KEY = 0x70, 0x55, 0x72
SHA2_256 = 0x12

_A58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_A32 = "abcdefghijklmnopqrstuvwxyz234567"
_DIGIT58 = {c: i for i, c in enumerate(_A58)}
# Two characters at a time halve the bignum steps, which are what decoding base58 costs.
_PAIR58 = {a + b: x * 58 + y for a, x in _DIGIT58.items() for b, y in _DIGIT58.items()}
_PAIR32 = [a + b for a in _A32 for b in _A32]
_TO_INT32 = str.maketrans(_A32, "0123456789abcdefghijklmnopqrstuv")

# Canonical already: v1, base32, dag-pb | raw | dag-cbor, sha2-256. The first 7 characters end within the byte
# that says 32, so the next is one of a-h; the last carries two bits that must be 0.
_CANONICAL = re.compile(r"b(?:afybei|afkrei|afyrei)[a-h][a-z2-7]{50}[aeimquy4]")
_V0 = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}")
_DIGITS = {
    "b": re.compile(r"[a-z2-7]+"),
    "k": re.compile(r"[0-9a-z]+"),
    "f": re.compile(r"(?:[0-9a-f]{2})+"),
    "z": re.compile(r"[1-9A-HJ-NP-Za-km-z]+"),
}
_BASES = {"b": "base32", "k": "base36", "f": "base16", "z": "base58btc"}
#: Multibases that exist and that no IPFS tool prints CIDs in.
_OTHER_BASES = {
    "0": "base2", "7": "base8", "9": "base10", "v": "base32hex", "V": "base32hex", "t": "base32hexpad",
    "T": "base32hexpad", "c": "base32pad", "C": "base32pad", "h": "base32z", "Z": "base58flickr",
    "m": "base64", "M": "base64pad", "u": "base64url", "U": "base64urlpad",
}  # fmt: skip


class CidError(ValueError):
    """A text that is no CID. `reason` says why, and never repeats the text itself."""

    def __init__(self, reason: str, what: str = "not a CID") -> None:
        super().__init__(f"{what}: {reason}")
        self.reason = reason


class Cid(Struct, frozen=True, gc=False, eq=False):
    """A content identifier: `text` as it was given, `canonical` as CIDv1 in lower-case base32.

    The canonical text is in bijection with (codec, multihash), so equality and hash go by it: `Qm…` equals
    its `bafy…`, and raw never equals dag-pb.
    """

    text: str
    canonical: str

    def __eq__(self, other: object) -> bool:
        return self.canonical == other.canonical if isinstance(other, Cid) else NotImplemented

    def __ne__(self, other: object) -> bool:
        # The base class has one of its own, which would compare by identity.
        return self.canonical != other.canonical if isinstance(other, Cid) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.canonical)

    def __str__(self) -> str:
        return self.text

    @property
    def version(self) -> int:
        """Of the text as given, 0 or 1."""
        return 0 if _V0.fullmatch(self.text) else 1

    @property
    def codec(self) -> int:
        """The multicodec of the content: 0x70 is dag-pb, 0x55 raw."""
        return _split(_from_base32(self.canonical[1:]))[0]

    @property
    def multihash(self) -> bytes:
        """Hash function, length and digest, as the multihash specification lays them out."""
        return _split(_from_base32(self.canonical[1:]))[1]


def parse(text: str) -> Cid:
    """The CID that `text` spells. Raises CidError with a reason that helps."""
    return Cid(text, canonical(text))


def parse_content(text: str) -> Cid:
    """As `parse`, for what shall be pinned: the CID of a key, an IPNS name, stands for no blocks. Raises CidError."""
    cid = parse(text)
    # 0x01 0x72 in base32; it shares these characters with 0x73.
    if cid.canonical.startswith("bafz") and cid.codec == LIBP2P_KEY:
        raise CidError("it is the CID of a key; `path: /ipns/…` follows what it names", "not content")
    return cid


def canonical(text: str) -> str:
    """CIDv1 in lower-case base32. Raises CidError."""
    if _CANONICAL.fullmatch(text):
        return text
    if _V0.fullmatch(text):
        n = _int58(text)
        if n >> 256 != 0x1220:
            raise CidError("it has the form of a CIDv0 but holds no sha2-256 digest; is a character wrong?")
        return "b" + _to_base32(b"\x01\x70" + n.to_bytes(34, "big"))
    if not 4 <= len(text) <= MAX_CHARACTERS:
        raise CidError(_why_not(text))
    base, digits = text[0], text[1:]
    if base in "BKF" and digits == digits.upper():
        base, digits = base.lower(), digits.lower()
    pattern = _DIGITS.get(base)
    if pattern is None or not pattern.fullmatch(digits):
        raise CidError(_why_not(text))
    if base == "b":
        _split(_from_base32(digits))
        return "b" + digits
    if base == "f":
        data = bytes.fromhex(digits)
    elif base == "k":
        data = _bignum_bytes(digits, int(digits, 36), "0")
    else:
        data = _bignum_bytes(digits, _int58(digits), "1")
    _split(data)
    return "b" + _to_base32(data)


def spellings(cid: Cid) -> tuple[str, ...]:
    """The texts a service may know this CID by, each once: as given, CIDv1 in base32, CIDv0 if it has one.

    Services match `cid=` as text, and few normalise.
    """
    texts = [cid.text, cid.canonical]
    # 0x01 0x70 0x12 0x20 in base32: dag-pb with a sha2-256 digest, all that a CIDv0 can name.
    if cid.canonical.startswith("bafybei") and len(cid.canonical) == 59:
        texts.append(_to_base58(_from_base32(cid.canonical[1:])[2:]))
    return tuple(dict.fromkeys(texts))


def spells(text: str, cid: Cid) -> bool:
    """Whether `text` is any spelling of `cid`: a pin of such a name is an unnamed one.

    Most names are told apart by their look alone.
    """
    if text == cid.text or text == cid.canonical:
        return True
    return len(text) >= 4 and text[0] in "QbBkKfFz" and text.isalnum() and _is(text, cid.canonical)


def _is(text: str, wanted: str) -> bool:
    try:
        return canonical(text) == wanted
    except CidError:
        return False


# --- bytes --------------------------------------------------------------------------------------------------


def _split(data: bytes) -> tuple[int, bytes]:
    """(codec, multihash) of the bytes of a CIDv1, checked to the last byte."""
    version, at = _varint(data, 0)
    if version != 1:
        if version == SHA2_256:
            raise CidError("it is a bare multihash in a multibase; a CIDv0 is written without one, as Qm…")
        raise CidError(f"its version is {version}, only 0 and 1 exist; is a character wrong?")
    codec, at = _varint(data, at)
    start = at
    function, at = _varint(data, at)
    length, at = _varint(data, at)
    left = len(data) - at
    if left != length:
        gap = "cut off" if left < length else "followed by something that does not belong to it"
        raise CidError(f"its digest should have {length} bytes and has {left}; the CID is {gap}")
    if function == SHA2_256 and length != 32:
        raise CidError(f"a sha2-256 digest has 32 bytes, this one {length}")
    return codec, data[start:]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned varint of at most 9 bytes and the place after it (unsigned-varint specification)."""
    value = shift = 0
    for i in range(at, min(at + 9, len(data))):
        byte = data[i]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if byte == 0 and i > at:
                raise CidError("it holds a number in more bytes than needed")
            return value, i + 1
    raise CidError("it is cut off" if len(data) - at < 9 else "it holds a number of more than 9 bytes")


def _from_base32(digits: str) -> bytes:
    left_over = len(digits) * 5 % 8
    n = int(digits.translate(_TO_INT32), 32)
    if left_over > 4 or n & ((1 << left_over) - 1):
        raise CidError("its last character carries bits that belong to no byte; is it cut off or mistyped?")
    return (n >> left_over).to_bytes(len(digits) * 5 // 8, "big")


def _to_base32(data: bytes) -> str:
    bits = len(data) * 8
    pad = -bits % 10
    n = int.from_bytes(data, "big") << pad
    pairs = [_PAIR32[n >> shift & 1023] for shift in range(bits + pad - 10, -1, -10)]
    return "".join(pairs)[: (bits + 4) // 5]


def _int58(digits: str) -> int:
    n = 0
    if len(digits) % 2:
        n, digits = _DIGIT58[digits[0]], digits[1:]
    for i in range(0, len(digits), 2):
        n = n * 3364 + _PAIR58[digits[i : i + 2]]
    return n


def _to_base58(data: bytes) -> str:
    """For data that does not begin with a zero byte, as a CIDv0 never does."""
    n, out = int.from_bytes(data, "big"), ""
    while n:
        n, digit = divmod(n, 58)
        out = _A58[digit] + out
    return out


def _bignum_bytes(digits: str, n: int, zero: str) -> bytes:
    """In base36 and base58btc each leading zero digit is a leading zero byte."""
    zeros = len(digits) - len(digits.lstrip(zero))
    return b"\0" * zeros + n.to_bytes((n.bit_length() + 7) // 8, "big")


# --- what a person may have meant ---------------------------------------------------------------------------

_IN_PATH = re.compile(r"(?:/|^ipfs://|^dweb:/|^https?://)(?:ip[fn]s/)?([0-9A-Za-z]{4,512})(?=[/?#]|$)")
_SUBDOMAIN = re.compile(r"https?://([0-9a-z]{4,512})\.ip[fn]s\.", re.IGNORECASE)


def _why_not(text: str) -> str:
    """The likeliest reason that `text` is refused before its bytes are looked at."""
    if not text:
        return "it is empty"
    stripped = text.strip()
    if not stripped:
        return "it is only whitespace"
    if stripped != text:
        return f"it {'begins' if text[0].isspace() else 'ends'} with whitespace"
    if len(text) > MAX_CHARACTERS and "/" not in text[:16]:
        return f"it has {len(text)} characters, no CID has more than {MAX_CHARACTERS}"
    if "/" in text or ":" in text:
        return _why_path(text[:2048])
    if len(text) < 4:
        return "it is too short"
    if text[:2].lower() == "qm":
        return _why_not_v0(text)
    if text.startswith(("12D3Koo", "16Uiu2")):
        return "it is a peer id, not content"
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return "it is a bare hex digest; the CID that IPFS gave the content is needed"
    base, digits = text[0], text[1:]
    if base in _OTHER_BASES and re.fullmatch(r"[-_0-9A-Za-z+/=]+", digits):
        return (
            f"it begins like {_OTHER_BASES[base]} (multibase {base!r}), which CIDs are not written in; "
            "use base32, base36, base58btc or base16"
        )
    pattern = _DIGITS.get(base.lower())
    if pattern is None or base == "Z":
        return "it begins like no CID (Qm…, b…, k…, z… or f…)"
    name = _BASES[base.lower()]
    if base != "z" and digits != digits.lower() and (base.islower() or digits != digits.upper()):
        return f"{name} is written in lower case, or all in upper case after {base.upper()!r}; this is mixed"
    if base.lower() == "f" and pattern.fullmatch(digits.lower() + "0"):
        return "base16 has an even number of digits; is it cut off?"
    return _bad_character(text, 1, "abcdefghijklmnopqrstuvwxyz0123456789" if name == "base36" else "", name)


def _why_not_v0(text: str) -> str:
    if len(text) != 46:
        return (
            f"a CIDv0 (Qm…) has 46 characters, this has {len(text)}; is it cut off or followed by something?"
        )
    if not text.startswith("Qm"):
        return "a CIDv0 begins with Qm and its case matters; this one was changed to another case"
    return _bad_character(text, 2, _A58, "base58")


def _bad_character(text: str, start: int, alphabet: str, name: str) -> str:
    allowed = alphabet or {"base32": _A32, "base16": "0123456789abcdef", "base58btc": _A58}[name]
    if name in ("base32", "base16", "base36"):
        allowed += allowed.upper()
    for i, c in enumerate(text[start:], start + 1):
        if c not in allowed:
            shown = repr(c) if c.isprintable() and c.isascii() else f"U+{ord(c):04X}"
            return f"character {i}, {shown}, does not occur in {name}"
    return f"it is no {name}"


def _why_path(text: str) -> str:
    if text.startswith(("/ipns/", "ipns://")) or ".ipns." in text:
        return "it is an IPNS name, whose content may change; give the CID it resolves to"
    match = _SUBDOMAIN.search(text)
    found = match.group(1) if match else ""
    rest = text[match.end() :].partition("/")[2] if match else ""
    if not found:
        for match in _IN_PATH.finditer(text):
            if _is_cid(match.group(1)):
                found, rest = match.group(1), text[match.end() :].strip("/")
                break
    kind = "a URL" if "://" in text else "a path"
    if not found or not _is_cid(found):
        return f"it is {kind}"
    if rest and rest[0] not in "?#":
        return f"it is {kind} into the content of another CID; give the CID of what it leads to"
    return f"it is {kind}; write only {found}"


def _is_cid(text: str) -> bool:
    try:
        canonical(text)
    except CidError:
        return False
    return True
