"""placeholder: being written"""

from msgspec import Struct


class Cid(Struct, frozen=True, gc=False, eq=False):
    """A content identifier: `text` as it was given, `canonical` as CIDv1 in lower-case base32.

    The canonical text is in bijection with (codec, multihash), so equality and hash go by it: `Qm…` equals its
    `bafy…`, and raw never equals dag-pb.
    """

    text: str
    canonical: str

    def __eq__(self, other: object) -> bool:
        return self.canonical == other.canonical if isinstance(other, Cid) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.canonical)

    def __str__(self) -> str:
        return self.text
