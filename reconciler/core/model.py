"""The nouns that travel between the six verbs."""

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType

from reconciler.core.cid import Cid
from reconciler.core.instant import parse_instant
from reconciler.core.learned import Contradiction
from reconciler.core.manifest import Spec

QUEUED, PINNING, PINNED, FAILED = "queued", "pinning", "pinned", "failed"
#: Every status of the API; listings always name all four, since the default is `pinned` alone.
STATUSES = (QUEUED, PINNING, PINNED, FAILED)

#: Reserved keys of `meta`.
META_OWNER, META_SOURCE, META_PROTECT, META_SIZE = "pinrec", "pinrec.source", "pinrec.protect", "pinrec.size"
PREFIX_ROOT = "pinrec/"


# --- the API's own objects (API v1.0.0, components/schemas) ---------------------------------------------------


class PinBody(Struct, frozen=True, gc=False):
    """`Pin`. Services send null or leave out what is empty; `meta` values that are no strings are dropped."""

    cid: str
    name: str | None = None
    origins: list[str] | None = None
    meta: dict[str, str] | None = None


class PinStatus(Struct, frozen=True, gc=False):
    """`PinStatus`, as decoded from a service. `created` is kept as the text it came as."""

    requestid: str
    status: str
    created: str
    pin: PinBody
    delegates: list[str] | None = None
    info: dict[str, str] | None = None


class PinRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of POST /pins and POST /pins/{requestid}: exactly what is sent."""

    cid: str
    name: str | UnsetType = UNSET
    origins: tuple[str, ...] | UnsetType = UNSET
    meta: dict[str, str] | UnsetType = UNSET


# --- desire ---------------------------------------------------------------------------------------------------


class PinKey(Struct, frozen=True, order=True, gc=False):
    """Identity of a pin for us: the service and the name; the CID is the value.

    `name` is without the owner's prefix; an unnamed pin goes by its canonical CID.
    """

    service: str
    name: str

    def __str__(self) -> str:
        return f"{self.service}/{self.name}"


class Desired(Struct, frozen=True, gc=False):
    """A pin that the manifest wants, shared by all services it is wanted on."""

    name: str
    cid: Cid
    spec: Spec
    line: int = 0
    named: bool = True
    #: How a CID that came from outside the manifest was found ("env SITE_CID"), else "".
    whence: str = ""
    #: Bytes of the whole DAG, where somebody knows; kept in meta, so that a shrunken source is seen.
    size: int | None = None
    #: The peer id of the node it comes from; kept in meta, so that another node is seen.
    node: str = ""

    @property
    def origin(self) -> str:
        """Where a person finds it: `pins.yaml:14`, `policy all-in-mfs`."""
        if self.spec.policy:
            return f"policy {self.spec.policy}"
        return f"{self.spec.file}:{self.line}" if self.line else self.spec.file


class Unknown(Struct, frozen=True, kw_only=True):
    """Something that could not be known. Nothing it could own is deleted or replaced.

    `service` "" means every service. `names` are the keys it could own; `patterns` globs of them. `meant` is what
    a person switched off on purpose: its pins stay as they are, and no exit code tells of it.
    """

    source: str
    why: str
    service: str = ""
    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    hint: str = ""
    meant: bool = False


# --- observation ----------------------------------------------------------------------------------------------


class Owner(StrEnum):
    """Whose a listed pin is. Only OURS and ADOPTED are ever changed."""

    OURS = "ours"
    ADOPTED = "adopted"
    #: adopted with `prune: true`: may be deleted when not desired
    PRUNABLE = "prunable"
    UNMARKED = "unmarked"
    #: marked by another owner, or matched by `ignore`
    OTHER = "other"


class Remote(Struct, frozen=True, kw_only=True, gc=False):
    """A pin as it was listed. `name` is the key name, `listed_name` what the service said (absent is "")."""

    requestid: str
    cid: Cid
    name: str
    listed_name: str
    status: str
    #: As listed; parsed only to order.
    created: str
    owner: Owner
    meta: dict[str, str] = {}
    info: dict[str, str] = {}

    @property
    def mine(self) -> bool:
        # By identity: comparing members of an enum costs ten times as much, and a listing has a million of them.
        owner = self.owner
        return owner is Owner.OURS or owner is Owner.ADOPTED or owner is Owner.PRUNABLE

    @property
    def age(self) -> tuple[int, str]:
        """Newest is greatest: by the service's own instant, then by requestid. Unreadable is oldest."""
        try:
            return parse_instant(self.created), self.requestid
        except ValueError:
            return 0, self.requestid


#: Seconds. Where a service's clock is further from ours nothing is deleted because of a date.
MAX_SKEW = 24 * 3600.0


class Listing(Struct, frozen=True, kw_only=True):
    """What one service was seen to hold, of what concerns us.

    Absence is evidence only if `complete`. `reachable` False: nothing is known of the service at all.
    """

    service: str
    remotes: tuple[Remote, ...] = ()
    complete: bool = False
    reachable: bool = True
    why: str = ""
    #: What a person may do about it.
    hint: str = ""
    #: All pins seen, foreign ones too; ours among them by name.
    seen: int = 0
    requests: int = 0
    #: Seconds that the service's `Date` header was ahead of our clock, None if it sent none.
    clock_skew: float | None = None
    #: Whether a 404 was all that came back.
    absent: bool = False
    #: Whether a mark of ours came back in meta: proof that the service keeps it.
    mark_seen: bool = False
    #: What it showed of the service that the profile has otherwise.
    against: tuple[Contradiction, ...] = ()


class Snapshot(Struct, frozen=True, kw_only=True):
    listings: dict[str, Listing]
