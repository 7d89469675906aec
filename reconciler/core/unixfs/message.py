"""The UnixFS message, which is the data of a dag-pb node (UnixFS specification).

message Data {
  required DataType Type = 1;  optional bytes Data = 2;      optional uint64 filesize = 3;
  repeated uint64 blocksizes = 4;  optional uint64 hashType = 5;  optional uint64 fanout = 6;
  optional uint32 mode = 7;    optional UnixTime mtime = 8;
}
"""

from typing import Final

from msgspec import Struct

from reconciler.core.unixfs import dagpb, varint
from reconciler.core.unixfs.failure import UnixfsError

#: `Data.DataType`. RAW is a leaf of a file that is no raw block.
RAW, DIRECTORY, FILE, METADATA, SYMLINK, SHARD = range(6)
KINDS: Final = ("raw", "directory", "file", "metadata", "symlink", "shard")


class Message(Struct, frozen=True, kw_only=True):
    """None is what the block does not say; `filesize` 0 and `data` b"" may be said. `mtime`: seconds, nanoseconds."""

    kind: int
    data: bytes | None = None
    filesize: int | None = None
    blocksizes: tuple[int, ...] = ()
    hash_type: int | None = None
    fanout: int | None = None
    mode: int | None = None
    mtime: tuple[int, int | None] | None = None

    @property
    def what(self) -> str:
        """For messages to people."""
        return KINDS[self.kind]

    @property
    def size(self) -> int:
        """Bytes of content at and below this node: of a file, or of a symlink's target."""
        if self.filesize is not None and self.kind != SYMLINK:
            return self.filesize
        return len(self.data or b"") + sum(self.blocksizes)


def encode(message: Message) -> bytes:
    """Fields in the order of their numbers, as Kubo writes them."""
    out = [b"\x08", varint.encode(message.kind)]
    if message.data is not None:
        out.append(dagpb.field(b"\x12", message.data))
    if message.filesize is not None:
        out += (b"\x18", varint.encode(message.filesize))
    for size in message.blocksizes:
        out += (b"\x20", varint.encode(size))
    if message.hash_type is not None:
        out += (b"\x28", varint.encode(message.hash_type))
    if message.fanout is not None:
        out += (b"\x30", varint.encode(message.fanout))
    if message.mode is not None:
        out += (b"\x38", varint.encode(message.mode))
    if message.mtime is not None:
        out.append(dagpb.field(b"\x42", _encode_time(*message.mtime)))
    return b"".join(out)


def decode(data: bytes | None) -> Message:
    """Raises UnixfsError for a node without data, and for data that is no UnixFS message."""
    if data is None:
        raise UnixfsError("the node is dag-pb, but no UnixFS: it has no data")
    numbers: dict[int, int] = {}
    content: bytes | None = None
    mtime: tuple[int, int | None] | None = None
    blocksizes: list[int] = []
    for number, value in _fields(data):
        if isinstance(value, int):
            if number == 4:
                blocksizes.append(value)
            else:
                numbers[number] = value
        elif number == 2:
            content = value
        elif number == 4:
            blocksizes += _packed(value)
        elif number == 8:
            mtime = _decode_time(value)
    if numbers.get(1, len(KINDS)) >= len(KINDS):
        raise UnixfsError("the node is dag-pb, but its data is no UnixFS message")
    return Message(
        kind=numbers[1], data=content, filesize=numbers.get(3), blocksizes=tuple(blocksizes),
        hash_type=numbers.get(5), fanout=numbers.get(6), mode=numbers.get(7), mtime=mtime,
    )  # fmt: skip


def file_sizes(told: Message, links: int) -> tuple[int, ...]:
    """Bytes of content below each link of a file's node. Raises UnixfsError for what is no node of a file."""
    if told.kind not in (FILE, RAW):
        raise UnixfsError(f"a node of a file is wanted, and this one is a {told.what}")
    if len(told.blocksizes) != links:
        raise UnixfsError(f"the node of a file has {links} links and sizes for {len(told.blocksizes)}")
    return told.blocksizes


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    out: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        tag, at = varint.decode(data, at)
        wire = tag & 7
        if wire == 0:
            value, at = varint.decode(data, at)
            out.append((tag >> 3, value))
            continue
        if wire == 2:
            size, at = varint.decode(data, at)
        elif wire == 5:
            size = 4
        else:
            raise UnixfsError("the node's data is no UnixFS message")
        if at + size > len(data):
            raise UnixfsError("the node's UnixFS message is cut off")
        out.append((tag >> 3, data[at : at + size]))
        at += size
    return out


def _packed(data: bytes) -> list[int]:
    """Some encoders pack repeated numbers into one field; a reader must accept both (protobuf specification)."""
    out, at = [], 0
    while at < len(data):
        value, at = varint.decode(data, at)
        out.append(value)
    return out


def _encode_time(seconds: int, nanoseconds: int | None) -> bytes:
    out = b"\x08" + varint.encode(seconds & (1 << 64) - 1)
    return out if nanoseconds is None else out + b"\x15" + nanoseconds.to_bytes(4, "little")


def _decode_time(data: bytes) -> tuple[int, int | None]:
    seconds, nanoseconds = 0, None
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            seconds = value - (1 << 64) if value >> 63 else value
        elif number == 2 and isinstance(value, bytes):
            nanoseconds = int.from_bytes(value, "little")
    return seconds, nanoseconds
