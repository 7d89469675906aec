"""The decoder against two others: a slow one written from the specification below, and the Rust library."""

import hashlib
from base64 import b32encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multiformats.cid import CID as RustCid  # noqa: N811 - the class is CID there

from reconciler.core.cid import (
    DAG_PB,
    LIBP2P_KEY,
    RAW,
    Cid,
    CidError,
    canonical,
    parse,
    parse_content,
    spellings,
    spells,
)

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
BASE16 = "0123456789abcdef"

# --- a slow decoder, straight from the specifications -------------------------------------------------------


def varint(n: int) -> bytes:
    out = []
    while n > 127:
        out.append(n % 128 + 128)
        n //= 128
    return bytes([*out, n])


def big_endian(data: bytes, alphabet: str) -> str:
    """base36 and base58btc: one number, leading zero bytes kept."""
    n, digits = 0, ""
    for byte in data:
        n = n * 256 + byte
    while n > 0:
        digits = alphabet[n % len(alphabet)] + digits
        n //= len(alphabet)
    return alphabet[0] * (len(data) - len(data.lstrip(b"\0"))) + digits


def in_groups(data: bytes, alphabet: str, size: int) -> str:
    """base16 and base32 (RFC 4648, no padding): groups of bits from the left."""
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % size)
    return "".join(alphabet[int(bits[i : i + size], 2)] for i in range(0, len(bits), size))


def spelled(data: bytes) -> dict[str, str]:
    b32, b16, b36 = in_groups(data, BASE32, 5), in_groups(data, BASE16, 4), big_endian(data, BASE36)
    return {
        "base32": "b" + b32,
        "base32upper": "B" + b32.upper(),
        "base36": "k" + b36,
        "base36upper": "K" + b36.upper(),
        "base16": "f" + b16,
        "base16upper": "F" + b16.upper(),
        "base58btc": "z" + big_endian(data, BASE58),
    }


def read_varint(data: bytes) -> tuple[int, bytes]:
    value = 0
    for i, byte in enumerate(data[:9]):
        value += (byte % 128) * 128**i
        if byte < 128:
            if varint(value) != data[: i + 1]:
                raise ValueError("not minimal")
            return value, data[i + 1 :]
    raise ValueError("cut off or too long")


def slow_decode(text: str) -> tuple[int, bytes]:
    """(codec, multihash), or ValueError."""
    if len(text) == 46 and text.startswith("Qm"):
        n = 0
        for c in text:
            n = n * 58 + BASE58.index(c)
        data = n.to_bytes(35, "big")
        if data[:3] != b"\0\x12\x20":
            raise ValueError("no CIDv0")
        return DAG_PB, data[1:]
    if len(text) > 512 or not text:
        raise ValueError("length")
    base, digits = text[0], text[1:]
    if base in "BKF":
        if digits != digits.upper():
            raise ValueError("mixed case")
        base, digits = base.lower(), digits.lower()
    alphabet = {"b": BASE32, "k": BASE36, "f": BASE16, "z": BASE58}[base] if base in "bkfz" else ""
    values = [alphabet.index(c) for c in digits]
    if base in ("k", "z"):
        n = 0
        for value in values:
            n = n * len(alphabet) + value
        zeros = next((i for i, v in enumerate(values) if v), len(values))
        data = b"\0" * zeros + n.to_bytes((n.bit_length() + 7) // 8, "big")
    else:
        bits = "".join(format(v, "05b" if base == "b" else "04b") for v in values)
        whole = len(bits) // 8 * 8
        if "1" in bits[whole:] or len(bits) - whole >= (5 if base == "b" else 4):
            raise ValueError("left over")
        data = bytes(int(bits[i : i + 8], 2) for i in range(0, whole, 8))
    version, rest = read_varint(data)
    codec, multihash = read_varint(rest)
    function, rest = read_varint(multihash)
    length, digest = read_varint(rest)
    if version != 1 or len(digest) != length or (function == 0x12 and length != 32):
        raise ValueError("no CIDv1")
    return codec, multihash


def ours(text: str) -> tuple[int, bytes] | None:
    try:
        cid = parse(text)
    except CidError:
        return None
    return cid.codec, cid.multihash


def slow(text: str) -> tuple[int, bytes] | None:
    try:
        return slow_decode(text)
    except ValueError:
        return None


# --- what there is to decode --------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(0, 300), st.integers(0, 2**63 - 1), st.sampled_from([RAW, DAG_PB, 0x71, 0x0129, LIBP2P_KEY])
)
sha2 = st.binary(min_size=32, max_size=32).map(lambda d: b"\x12\x20" + d)


@st.composite
def other_hashes(draw: st.DrawFn) -> bytes:
    digest = draw(st.binary(max_size=128))
    function = draw(numbers.filter(lambda n: n != 0x12))
    return varint(function) + varint(len(digest)) + digest


multihashes = st.one_of(sha2, other_hashes())


@given(codec=numbers, multihash=multihashes)
def test_every_spelling_of_a_cid_is_one_cid(codec: int, multihash: bytes) -> None:
    texts = spelled(b"\x01" + varint(codec) + multihash)
    cids = {base: parse(text) for base, text in texts.items()}
    assert len(set(cids.values())) == 1
    for base, cid in cids.items():
        assert cid.text == texts[base]
        assert cid.canonical == texts["base32"]
        assert (cid.version, cid.codec, cid.multihash) == (1, codec, multihash)
        assert canonical(cid.canonical) == cid.canonical


@given(multihash=sha2)
def test_v0_is_the_dag_pb_of_its_digest(multihash: bytes) -> None:
    v0 = parse(big_endian(multihash, BASE58))
    v1 = parse(spelled(b"\x01\x70" + multihash)["base32"])
    assert v0 == v1
    assert hash(v0) == hash(v1)
    assert (v0.version, v1.version) == (0, 1)
    assert v0 != parse(spelled(b"\x01\x55" + multihash)["base32"]), "raw and dag-pb are different content"
    assert spellings(v0) == (v0.text, v1.text)
    assert spellings(v1) == (v1.text, v0.text)


@given(codec=st.sampled_from([RAW, DAG_PB, 0x71, 0x0129, LIBP2P_KEY]), multihash=sha2, base=st.integers(0, 6))
def test_the_rust_library_agrees_on_valid_cids(codec: int, multihash: bytes, base: int) -> None:
    text = list(spelled(b"\x01" + varint(codec) + multihash).values())[base]
    theirs = RustCid.decode(text)
    mine = parse(text)
    assert mine.codec == theirs.codec
    assert mine.canonical == RustCid.decode(mine.canonical).encode("base32")
    assert b"\x01" + varint(mine.codec) + mine.multihash == theirs.to_bytes()


seeds = st.one_of(
    sha2.map(lambda m: big_endian(m, BASE58)),
    st.tuples(st.sampled_from([RAW, DAG_PB, 0x71, 0x0129]), multihashes, st.integers(0, 6)).map(
        lambda t: list(spelled(b"\x01" + varint(t[0]) + t[1]).values())[t[2]]
    ),
)


@given(
    text=seeds,
    at=st.integers(0, 600),
    how=st.sampled_from(["replace", "insert", "delete", "swap", "upper", "lower", "cut"]),
    c=st.sampled_from(sorted(set(BASE58 + BASE36 + "=-_ /\n\0é０"))),
)
def test_a_mutated_cid_is_judged_as_by_the_slow_decoder(text: str, at: int, how: str, c: str) -> None:
    at %= len(text)
    mutated = {
        "replace": text[:at] + c + text[at + 1 :],
        "insert": text[:at] + c + text[at:],
        "delete": text[:at] + text[at + 1 :],
        "swap": text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
        "upper": text[:at] + text[at].upper() + text[at + 1 :],
        "lower": text.lower(),
        "cut": text[:at],
    }[how]
    assert ours(mutated) == slow(mutated)


@given(
    text=st.one_of(
        st.text(max_size=80),
        st.from_regex(r"\A[bBkKfFz][0-9a-zA-Z]{0,70}\Z"),
        st.binary(max_size=60).map(lambda b: spelled(b)["base16"]),
    )
)
@example("b")
@example("f01551220")
@example("kkkk")
@example("b" + "a" * 510)
def test_any_text_is_judged_as_by_the_slow_decoder(text: str) -> None:
    assert ours(text) == slow(text)


@given(text=st.text())
def test_nothing_but_cid_errors_is_raised(text: str) -> None:
    reason, message = "-", "not a CID: -"
    try:
        parse(text)
    except CidError as error:
        reason, message = error.reason, str(error)
    assert reason
    assert message == f"not a CID: {reason}"


# --- vectors ------------------------------------------------------------------------------------------------

VECTORS = [
    # multiformats/cid README: the same CID decoded.
    (
        "zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA",
        0x55,
        "bafkreidon73zkcrwdb5iafqtijxildoonbwnpv7dyd6ef3qdgads2jc4su",
    ),
    # ipfs/docs: v0 and v1 of the same page.
    (
        "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR",
        0x70,
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
    ),
    # The empty UnixFS directory, as every Kubo node has it.
    (
        "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",
        0x70,
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
    ),
    # The empty raw block, as identity and as sha2-256.
    ("bafkqaaa", 0x55, "bafkqaaa"),
    (
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
        0x55,
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    ),
    # An IPNS name (libp2p/specs, peer ids): any codec is a CID.
    (
        "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8",
        0x72,
        "bafzaajaiaejcbzdibmxyzdjbbehgvizh6g5tikvy47mshdy6gwbruvgwvd24seje",
    ),
]


@pytest.mark.parametrize(("text", "codec", "expected"), VECTORS)
def test_known_vectors(text: str, codec: int, expected: str) -> None:
    cid = parse(text)
    assert (cid.codec, cid.canonical, str(cid)) == (codec, expected, text)
    assert slow_decode(text) == (cid.codec, cid.multihash)


def test_the_digest_of_known_content() -> None:
    empty = parse("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")
    assert empty.multihash == b"\x12\x20" + hashlib.sha256(b"").digest()


INVALID = [
    "",
    "Q",
    "bafk",
    # A prefix that looks canonical with a length byte of 0x21.
    "bafybei" + "i" + "a" * 51,
    # Bits left over, a byte left over, padding.
    "bafkqaab",
    "bafkqaaaaa",
    "bafkqaaa=",
    "bafkqaaa======",
    # Mixed case.
    "BafkQAAA",
    "bAFKQAAA",
    # A CIDv0 behind a multibase.
    "zQmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR",
    # sha2-256 of 0 and of 31 bytes.
    "f01551200",
    "f0155121f" + "00" * 31,
    # Varints: not minimal, ten bytes long.
    "f01d5001220" + "00" * 32,
    "f01ffffffffffffffffff011220" + "00" * 32,
    # Versions 0, 2 and 3 in a multibase.
    "f00551220" + "00" * 32,
    "f02551220" + "00" * 32,
    "f03551220" + "00" * 32,
    # What Python's int() and str methods would let through.
    "f0155122_0" + "00" * 32,
    "k_51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8",
    "k٥1qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8",
    "f 0155122000000000000000000000000000000000000000000000000000000000000000",
    # A digit that fills no byte, though all its bits are 0; leading zero digits are leading zero bytes.
    spelled(b"\x01\x55\x00\x01a")["base32"] + "a",
    "k0" + spelled(b"\x01\x55\x00\x01a")["base36"][1:],
    "z1" + spelled(b"\x01\x55\x00\x01a")["base58btc"][1:],
    # base64url, which some tools print peer ids in.
    "uAXASIAAA",
]


@pytest.mark.parametrize("text", INVALID)
def test_invalid(text: str) -> None:
    with pytest.raises(CidError):
        parse(text)


@pytest.mark.parametrize("first", "bBkKfFzQmu/ \0")
def test_hostile_sizes_are_refused_unread(first: str) -> None:
    for filler in ("1", "a", "z", "\n", "/a"):
        with pytest.raises(CidError):
            parse(first + filler * 100_000)


V0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"
V1 = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"

REASONS = [
    (V0 + "\n", "ends with whitespace"),
    (" " + V0, "begins with whitespace"),
    ("   ", "only whitespace"),
    ("", "empty"),
    (V0.lower(), "its case matters"),
    (V0[:-1], "has 46 characters, this has 45"),
    (V0[:-1] + "0", "character 46, '0', does not occur in base58"),
    ("Qm" + "z" * 44, "holds no sha2-256 digest"),
    (V1[:-1] + "I", "this is mixed"),
    (V1[:20] + "1" + V1[21:], "character 21, '1', does not occur in base32"),
    (V1[:-2], "cut off"),
    (V1 + "a" * 8, "followed by something"),
    (f"/ipfs/{V1}", f"a path; write only {V1}"),
    (f"ipfs://{V1}", f"a URL; write only {V1}"),
    (f"https://ipfs.io/ipfs/{V0}?x=1", f"a URL; write only {V0}"),
    (f"https://{V1}.ipfs.dweb.link/", f"a URL; write only {V1}"),
    (f"https://{V1}.ipfs.dweb.link/a/b", "into the content of another CID"),
    (f"/ipfs/{V0}/readme", "into the content of another CID"),
    ("/ipns/docs.ipfs.tech", "IPNS name"),
    ("https://example.com/", "it is a URL"),
    ("12D3KooWQYbwuuY1VtJDBw9XtFoGq6Z1J4bRGRcVnpwbjvvkQ8mG", "a peer id"),
    ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "a bare hex digest"),
    ("uAXASIAAA", "base64url"),
    ("hello world", "begins like no CID"),
    ("x" * 600, "no CID has more than 512"),
    ("f01551220" + "0" * 63, "even number of digits"),
    ("z" + V0, "bare multihash"),
]


@pytest.mark.parametrize(("text", "reason"), REASONS)
def test_reasons_help(text: str, reason: str) -> None:
    with pytest.raises(CidError) as caught:
        parse(text)
    assert reason in caught.value.reason


def test_spellings_are_distinct_and_all_mean_the_cid() -> None:
    upper = parse(V1.upper())
    assert spellings(upper) == (V1.upper(), V1, V0)
    assert {canonical(s) for s in spellings(upper)} == {V1}
    raw = parse("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")
    assert spellings(raw) == (raw.text,)
    assert spellings(parse("bafkqaaa")) == ("bafkqaaa",)


@pytest.mark.parametrize(
    "name", [V0, V1, V1.upper(), "k2jmtxs1a0d8wlwa8bdi2ogdzz5wxcsyxpkpvgmqrv95p9ue3n1u6e0d"]
)
def test_a_name_that_spells_the_cid(name: str) -> None:
    same = name.startswith(("Q", "b", "B"))
    assert spells(name, parse(V1)) is same


@pytest.mark.parametrize("name", ["", "website", "b", "blog/2026", "bafkqaaa", "Q" * 46, "zebra1", V1[:-1]])
def test_a_name_that_does_not_spell_the_cid(name: str) -> None:
    assert not spells(name, parse(V1))


def test_a_cid_equals_no_text() -> None:
    assert parse(V1) != V1
    assert {parse(V1): 1}[parse(V0)] == 1
    assert Cid(V0, V1) == parse(V0)


def test_the_cid_of_a_key_is_a_cid_and_no_content() -> None:
    key = parse("k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8")
    for text in (key.text, key.canonical, key.canonical.upper()):
        assert parse(text) == key
        with pytest.raises(CidError, match="not content: it is the CID of a key"):
            parse_content(text)
    # The codec beside it begins alike.
    other = "b" + b32encode(b"\x01\x73\x00\x01a").decode().lower().rstrip("=")
    assert parse_content(other).text == other
