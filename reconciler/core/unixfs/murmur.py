"""Murmur3, the x64 variant with 128 bits, of which UnixFS uses the first 64 (multicodec 0x22, murmur3-x64-64).

It places the names of a sharded directory. It is no cryptographic hash: names can be made that collide.
"""

CODE = 0x22

_MASK = (1 << 64) - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F


def murmur3(data: bytes) -> int:
    """The first 64 bits of the hash, as a number whose highest bits are used first."""
    h1 = h2 = 0
    size = len(data)
    for at in range(0, size - 15, 16):
        k1 = int.from_bytes(data[at : at + 8], "little") * _C1 & _MASK
        h1 ^= (k1 << 31 & _MASK | k1 >> 33) * _C2 & _MASK
        h1 = ((h1 << 27 & _MASK | h1 >> 37) + h2) * 5 + 0x52DCE729 & _MASK
        k2 = int.from_bytes(data[at + 8 : at + 16], "little") * _C2 & _MASK
        h2 ^= (k2 << 33 & _MASK | k2 >> 31) * _C1 & _MASK
        h2 = ((h2 << 31 & _MASK | h2 >> 33) + h1) * 5 + 0x38495AB5 & _MASK
    if tail := data[size & ~15 :]:
        if len(tail) > 8:
            k2 = int.from_bytes(tail[8:], "little") * _C2 & _MASK
            h2 ^= (k2 << 33 & _MASK | k2 >> 31) * _C1 & _MASK
        k1 = int.from_bytes(tail[:8], "little") * _C1 & _MASK
        h1 ^= (k1 << 31 & _MASK | k1 >> 33) * _C2 & _MASK
    h1 ^= size
    h2 ^= size
    h1 = h1 + h2 & _MASK
    h2 = h2 + h1 & _MASK
    return _mixed(h1) + _mixed(h2) & _MASK


def _mixed(h: int) -> int:
    h = (h ^ h >> 33) * 0xFF51AFD7ED558CCD & _MASK
    h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return h ^ h >> 33
