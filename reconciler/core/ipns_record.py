"""A record of an IPNS name: what is signed in it, and whether to believe it (IPNS record specification).

    message IpnsEntry {
      optional bytes value = 1;           optional bytes signatureV1 = 2;   optional ValidityType validityType = 3;
      optional bytes validity = 4;        optional uint64 sequence = 5;     optional uint64 ttl = 6;
      optional bytes pubKey = 7;          optional bytes signatureV2 = 8;   optional bytes data = 9;
    }

`data` is a DAG-CBOR map, and all that counts: `signatureV2` is over "ipns-signature:" + data. The fields of V1 are
copies for old readers; a record whose copies differ from what is signed is refused, and signatureV1 is not looked at.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from msgspec import Struct

from reconciler.core import dagcbor
from reconciler.core.instant import parse_instant
from reconciler.core.ipns import IpnsError, IpnsName, PublicKey, protobuf, public_key
from reconciler.core.unixfs.failure import UnixfsError

#: Records over it may be ignored, the specification says, and Kubo does.
MAX_RECORD: Final = 10 * 1024
SIGNED: Final = b"ipns-signature:"
_EOL: Final = 0
_VALUE, _SIGNATURE_V1, _PUBLIC_KEY, _SIGNATURE_V2, _DATA = 1, 2, 7, 8, 9
#: Number of a V1 field → the key of its signed copy. Both have defaults in protobuf where they are left out.
_COPIES: Final = {1: "Value", 3: "ValidityType", 4: "Validity", 5: "Sequence", 6: "TTL"}

#: Whether a signature over a message is that of a key. Raises IpnsError for a key that nothing can be checked with.
Verify: TypeAlias = Callable[[PublicKey, bytes, bytes], bool]


class Record(Struct, frozen=True, kw_only=True):
    """What the owner of a name signed. `value` is a path; `until` is nanoseconds since 1970; `ttl` seconds."""

    name: IpnsName
    value: str
    sequence: int
    until: int
    ttl: float = 0.0
    #: As it came, to tell apart what nothing else does.
    raw: bytes = b""

    def expired(self, now: int) -> bool:
        """At `now`, in nanoseconds since 1970."""
        return now > self.until


def read(name: IpnsName, raw: bytes, verify: Verify) -> Record:
    """The record, once its signature is found to be that of the name's key. Whether it is still valid is another
    question. Raises IpnsError."""
    if len(raw) > MAX_RECORD:
        raise IpnsError(f"the record has {len(raw)} bytes, {MAX_RECORD} are the most")
    fields: dict[int, int | bytes] = {}
    try:
        fields.update(protobuf(raw))
    except UnixfsError:
        raise IpnsError("it is no IPNS record") from None
    signature, data = _bytes(fields, _SIGNATURE_V2), _bytes(fields, _DATA)
    if not signature or not data:
        raise IpnsError("the record has no V2 signature, which all records need since 2021")
    if not verify(_key(name, _bytes(fields, _PUBLIC_KEY)), SIGNED + data, signature):
        raise IpnsError("the record's signature is not that of the name's key")
    try:
        signed = dagcbor.decode(data)
    except dagcbor.DagCborError as error:
        raise IpnsError(f"the record's data is no DAG-CBOR: {error}") from None
    if not isinstance(signed, dict):
        raise IpnsError("the record's data is no map")
    if _bytes(fields, _SIGNATURE_V1) or _bytes(fields, _VALUE):
        _same(fields, signed)
    return _record(name, raw, signed)


def best(records: Iterable[Record]) -> Record | None:
    """The one that counts: the highest sequence, then the longest validity, then the bytes, so that the order in
    which they came never does (boxo, ipns/record.go `compare` and validation.go `selectRecord`)."""
    return max(records, key=lambda r: (r.sequence, r.until, r.raw), default=None)


def _key(name: IpnsName, serialised: bytes) -> PublicKey:
    if serialised:
        if not name.is_of(serialised):
            raise IpnsError("the record's public key is not that of the name")
        return public_key(serialised)
    key = name.key
    if key is None:
        raise IpnsError("the record lacks the public key, which the name does not hold")
    return key


def _same(fields: dict[int, int | bytes], signed: "dict[str, dagcbor.Value]") -> None:
    for number, key in _COPIES.items():
        copy = fields.get(number, b"" if key in ("Value", "Validity") else 0)
        if copy != signed.get(key):
            raise IpnsError(f"the record says of {key} something else than what is signed")


def _record(name: IpnsName, raw: bytes, signed: "dict[str, dagcbor.Value]") -> Record:
    value, validity, kind = signed.get("Value"), signed.get("Validity"), signed.get("ValidityType")
    sequence, ttl = signed.get("Sequence"), signed.get("TTL", 0)
    if not isinstance(value, bytes) or not isinstance(validity, bytes):
        raise IpnsError("the record does not say where it leads, or for how long")
    if type(sequence) is not int or sequence < 0 or type(kind) is not int:
        raise IpnsError("the record has no sequence number, or no kind of validity")
    if kind != _EOL:
        raise IpnsError(f"the record is valid in a way that is not known here ({kind})")
    try:
        until = parse_instant(validity.decode("ascii"))
        path = value.decode()
    except (ValueError, IndexError):
        raise IpnsError("the record's validity is no time, or its value no text") from None
    seconds = ttl / 1_000_000_000 if type(ttl) is int and ttl > 0 else 0.0
    return Record(name=name, value=path, sequence=sequence, until=until, ttl=seconds, raw=raw)


def _bytes(fields: dict[int, int | bytes], number: int) -> bytes:
    value = fields.get(number, b"")
    if not isinstance(value, bytes):
        raise IpnsError("it is no IPNS record")
    return value
