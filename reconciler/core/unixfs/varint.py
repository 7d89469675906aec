"""Unsigned varints: seven bits a byte, the lowest first (protobuf's, and the unsigned-varint specification)."""

from reconciler.core.unixfs.failure import UnixfsError

_ONE = [bytes((n,)) for n in range(128)]


def encode(n: int) -> bytes:
    """`n` >= 0 in as few bytes as it needs."""
    if n < 128:
        return _ONE[n]
    out = bytearray()
    while n > 127:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def length(n: int) -> int:
    """How many bytes `encode(n)` has."""
    return (n.bit_length() + 6) // 7 or 1


def decode(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends. Raises UnixfsError if it is cut off or has more than 64 bits."""
    value = shift = 0
    for i in range(at, min(at + 10, len(data))):
        byte = data[i]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, i + 1
        shift += 7
    raise UnixfsError("a number in the block is cut off or has more than 64 bits")
