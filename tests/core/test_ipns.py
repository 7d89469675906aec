"""IPNS names and records: what a real Kubo made is read as Kubo reads it, and nothing that was tampered with is."""

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.names import LATER, Key, cbor, protobuf

from reconciler.core.dagcbor import DagCborError, Link, decode
from reconciler.core.instant import parse_instant
from reconciler.core.ipns import IpnsError, IpnsName, parse_name
from reconciler.core.ipns_record import Record, best, read
from reconciler.names.signature import verify

DATA = json.loads((Path(__file__).parent.parent / "data/ipns/records.json").read_text())
KUBO: list[dict[str, Any]] = DATA["records"]
PLACE = "/ipfs/bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
NOW = parse_instant("2026-11-22T12:00:00Z")
ED = Key.new("ed25519")


def name_of(key: Key) -> IpnsName:
    return parse_name(key.name)


def refused(key: Key, record: bytes, *, name: IpnsName | None = None) -> str:
    with pytest.raises(IpnsError) as caught:
        read(name or name_of(key), record, verify)
    return str(caught.value)


# --- names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", KUBO, ids=lambda made: made["what"])
def test_all_spellings_that_kubo_prints_are_one_name(made: dict[str, Any]) -> None:
    names = {parse_name(text) for text in made["name"].values()}
    assert [name.text for name in names] == [made["name"]["base36"]]


@pytest.mark.parametrize("kind", ["ed25519", "secp256k1", "rsa", "ecdsa"])
def test_a_name_holds_its_key_if_that_is_small(kind: str) -> None:
    key = Key.new(kind)
    name = name_of(key)
    assert name.multihash == key.multihash
    assert name.is_of(key.public)
    assert not name.is_of(Key.new(kind).public)
    inlined = name.key
    assert (inlined is not None) == (len(key.public) <= 42)
    assert inlined is None or inlined.kind == kind


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither a domain nor the name of a key"),
        ("localhost", "neither a domain nor the name of a key"),
        ("bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", "content is under /ipfs/"),
        ("k51qzi5uqu5diqp3bshgmlffjq6xnrkgajoacouusu3pkilvc05h41hivsvv6", "neither a domain"),
        ("12D3KooWGj5sx51hBx5rKd87sKcAD4WxDtaJoU8igRhhGMHDpbm", "is a character wrong"),
        ("12D3KooWGj5sx51hBx5rKd87sKcAD4WxDtaJoU8igRhhGMHDpbm0", "neither a domain"),
        ("f0172" + "0002" + "0800", "of no kind that IPNS has"),
        ("f0172" + "0000", "is a character wrong"),
        ("f0172" + "1214" + "ab" * 20, "neither a domain"),
        ("f0172" + "1114" + "ab" * 20, "is a character wrong"),
    ],
)
def test_what_is_no_name_says_why(text: str, why: str) -> None:
    with pytest.raises(IpnsError, match=why):
        parse_name(text)


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader_of_names(text: str) -> None:
    try:
        name = parse_name(text)
    except IpnsError:
        return
    assert parse_name(name.text) == name


@given(st.binary(max_size=60), st.sampled_from([b"\x00", b"\x12"]))
def test_no_bytes_break_it_either(digest: bytes, function: bytes) -> None:
    data = b"\x01\x72" + function + bytes([len(digest)]) + digest
    try:
        name = parse_name(f"f{data.hex()}")
    except IpnsError:
        return
    assert name.multihash == data[2:]


# --- records --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", KUBO, ids=lambda made: made["what"])
def test_records_of_a_real_kubo(made: dict[str, Any]) -> None:
    record = read(parse_name(made["name"]["b58mh"]), base64.b64decode(made["record"]), verify)
    told = made["inspect"]["Entry"]
    assert record.value == told["Value"]
    assert record.sequence == told["Sequence"]
    assert record.until == parse_instant(told["Validity"])
    assert record.ttl == told["TTL"] / 1e9
    assert record.expired(NOW) == (made["what"] == "two seconds long")


def test_records_of_one_key_are_refused_under_the_name_of_another() -> None:
    for made in KUBO:
        for other in KUBO:
            if other["name"] != made["name"]:
                with pytest.raises(IpnsError):
                    read(parse_name(other["name"]["base36"]), base64.b64decode(made["record"]), verify)


@pytest.mark.parametrize("kind", ["ed25519", "secp256k1", "rsa", "ecdsa"])
@pytest.mark.parametrize("v1", [True, False])
def test_each_kind_of_key(kind: str, v1: bool) -> None:
    key = Key.new(kind)
    record = read(name_of(key), key.record(PLACE, sequence=7, v1=v1), verify)
    assert (record.value, record.sequence) == (PLACE, 7)


@given(st.integers(0, len(KUBO) - 1), st.data())
def test_a_changed_record_is_refused_or_says_the_same(which: int, data: st.DataObject) -> None:
    made = KUBO[which]
    name, raw = parse_name(made["name"]["base36"]), bytearray(base64.b64decode(made["record"]))
    good = read(name, bytes(raw), verify)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        now = read(name, bytes(raw), verify)
    except IpnsError:
        return
    # The V1 signature counts for nothing, and unknown fields are passed over.
    assert (now.value, now.sequence, now.until) == (good.value, good.sequence, good.until)


@given(st.integers(0, len(KUBO) - 1), st.integers(0, 2000))
def test_a_record_that_is_cut_off_is_refused(which: int, end: int) -> None:
    raw = base64.b64decode(KUBO[which]["record"])
    if end < len(raw):
        with pytest.raises(IpnsError):
            read(parse_name(KUBO[which]["name"]["base36"]), raw[:end], verify)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader_of_records(raw: bytes) -> None:
    with pytest.raises(IpnsError):
        read(name_of(ED), raw, verify)


@given(st.binary(max_size=100))
def test_no_signed_bytes_break_it_either(data: bytes) -> None:
    """Whoever has the key may sign anything."""
    with pytest.raises(IpnsError):
        read(name_of(ED), protobuf({8: ED.sign(b"ipns-signature:" + data), 9: data}), verify)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fields": {8: b""}}, "no V2 signature"),
        ({"fields": {9: b""}}, "no V2 signature"),
        ({"fields": {8: b"x" * 64}}, "not that of the name's key"),
        ({"fields": {8: 5}}, "no IPNS record"),
        ({"fields": {1: b"/ipfs/another"}}, "of Value something else"),
        ({"fields": {3: 1}}, "of ValidityType something else"),
        ({"fields": {4: b"2101-01-01T00:00:00Z"}}, "of Validity something else"),
        ({"fields": {5: 9}}, "of Sequence something else"),
        ({"fields": {6: 9}}, "of TTL something else"),
        ({"fields": {1: b""}}, "of Value something else"),
        ({"signed": {"ValidityType": 1}, "v1": False}, "in a way that is not known"),
        ({"signed": {"Validity": b"soon"}}, "no time"),
        ({"signed": {"Validity": b""}}, "no time"),
        ({"signed": {"Value": b"\xff"}}, "no text"),
        ({"signed": {"Sequence": -1}, "v1": False}, "no sequence number"),
        ({"signed": {"Sequence": True}, "v1": False}, "no sequence number"),
        ({"signed": {"Sequence": ...}, "v1": False}, "no sequence number"),
        ({"signed": {"Value": ...}, "v1": False}, "where it leads"),
        ({"signed": {"_note": b"x" * 11_000}}, "10240 are the most"),
    ],
)
def test_what_a_record_may_not_be(changes: dict[str, Any], why: str) -> None:
    assert why in refused(ED, ED.record(PLACE, **changes))


def test_the_signature_of_v1_counts_for_nothing() -> None:
    assert read(name_of(ED), ED.record(PLACE, fields={2: b"garbage"}), verify).value == PLACE
    only_v1 = ED.record(PLACE, fields={8: b"", 2: ED.sign(PLACE.encode() + LATER.encode() + b"0")})
    assert "no V2 signature" in refused(ED, only_v1)


def test_what_else_is_signed_is_passed_over() -> None:
    more = {"_app": {"list": [1, None, 2.5, b"x"]}}
    assert read(name_of(ED), ED.record(PLACE, signed=more), verify).value == PLACE


def test_a_key_beside_the_record_has_to_be_the_name_s() -> None:
    key, other = Key.new("rsa"), Key.new("rsa")
    assert "not that of the name" in refused(key, other.record(PLACE))
    assert "lacks the public key" in refused(key, key.record(PLACE, fields={7: b""}))
    assert "not that of the name" in refused(key, key.record(PLACE, fields={7: b"no key at all"}))
    # Their own key beside a record for our name, which holds no key to compare with but its hash.
    assert "not that of the name's key" in refused(key, other.record(PLACE, fields={7: key.public}))
    assert "not that of the name" in refused(ED, ED.record(PLACE, fields={7: Key.new().public}))


def test_a_weak_or_wrong_key_is_none() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    weak = Key("rsa", rsa.generate_private_key(65537, 1024))
    assert "1024 bits" in refused(weak, weak.record(PLACE))
    mislabelled = Key("rsa", Key.new("ecdsa").private)
    name = parse_name(mislabelled.name)
    record = Key("ecdsa", mislabelled.private).record(PLACE, fields={7: mislabelled.public})
    assert "of another kind" in refused(mislabelled, record, name=name)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.binary(max_size=2)), min_size=1, max_size=8)
)
def test_the_best_record_is_the_best_in_any_order(drawn: list[tuple[int, int, bytes]]) -> None:
    name = name_of(ED)
    records = [Record(name=name, value="", sequence=s, until=u, raw=r) for s, u, r in drawn]
    chosen = best(records)
    random.Random(1).shuffle(records)
    assert chosen == best(records)
    assert chosen is not None
    assert all((r.sequence, r.until) <= (chosen.sequence, chosen.until) for r in records)
    assert best([]) is None


# --- DAG-CBOR -------------------------------------------------------------------------------------------------

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.binary(max_size=300)
    | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=4), inner, max_size=5),
)


@given(values)
def test_what_is_written_is_read(value: Any) -> None:
    got = decode(cbor(value))
    assert got == value
    assert cbor(got) == cbor(value)


@pytest.mark.parametrize(
    "data",
    [
        "", "18", "1817", "1900ff", "1a0000ffff", "1b00000000ffffffff",  # a number in too many bytes, or cut off
        "5f4101ff", "9fff", "bfff",  # lengths left open
        "f97e00", "fa7fc00000", "fb7ff0000000000000", "fb7ff8000000000000", "f7", "f818", "ff",  # no such value
        "c001", "d82a01", "d82a40", "d82a4101", "d82b4100",  # tags
        "a10101", "a2616201616101", "a2616101616102", "a262616101616201",  # keys: no text, order, twice, length first
        "61ff", "6261", "4261", "8201", "a161", "0101",  # no UTF-8, cut off, something behind
        "81" * 40 + "01",  # too deep
        "9bffffffffffffffff01",  # more than anybody has
    ],
)  # fmt: skip
def test_only_one_spelling_is_read(data: str) -> None:
    with pytest.raises(DagCborError):
        decode(bytes.fromhex(data))


def test_a_link_is_the_bytes_of_its_cid() -> None:
    assert decode(bytes.fromhex("d82a450001551200")) == Link(bytes.fromhex("01551200"))


@given(st.binary(max_size=40))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    try:
        value = decode(data)
    except DagCborError:
        return
    assert isinstance(value, Link) or "Link" in repr(value) or cbor(value) == data
