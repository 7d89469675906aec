"""What the diff found at one service, and which keys an action concerns."""

from collections.abc import Mapping

from msgspec import Struct

from reconciler.core.local import LOCAL
from reconciler.core.manifest import Service
from reconciler.core.model import Desired, Listing, PinKey, Remote
from reconciler.core.plan import Action, Replace


class ServiceDiff(Struct, kw_only=True):
    """What the diff found at one service, before any guard. Filled while the keys are gone through."""

    service: Service
    listing: Listing
    wanted: Mapping[str, Desired]
    expired: Mapping[str, Desired]
    #: At a retiring service: names that the manifest wants on other services, and those it wants on none.
    released: frozenset[str] = frozenset()
    stranded: Mapping[str, Desired] = {}
    #: Earlier roots beyond their retention, each with the pin it yields to.
    rotated: Mapping[str, Remote | None] = {}
    #: Earlier roots that go once the root of this name, which is to come, is pinned.
    rotating: Mapping[str, tuple[Remote, ...]] = {}
    actions: list[Action] = []
    unchanged: int = 0
    held: int = 0
    waiting: int = 0
    #: Names of ours seen there; adopted ones are not counted, they never enlarge the base of a percentage.
    ours: set[str] = set()
    #: How many names are there that the manifest adopts.
    adopted: int = 0
    #: Whether a CID is taken to exist once here.
    one: bool = True
    #: What the profile changed in what is done here, told once.
    notes: list[str] = []


def touched(action: Action) -> tuple[PinKey, ...]:
    """The keys whose pins an action rests on or changes."""
    keys = [PinKey(action.service, action.name)]
    if isinstance(action, Replace) and action.was:
        keys.append(PinKey(action.service, action.was))
    return tuple(keys)


def familiar(diffs: Mapping[str, ServiceDiff]) -> bool:
    """Whether a service holds what is ours at the node, under a name that is wanted there.

    Whose manifest it is shows less in the names of the node: they stay what they were when an entry is renamed.
    """
    here = {p.cid.canonical for p in diffs[LOCAL].listing.remotes if p.mine}
    return any(
        p.mine and p.cid.canonical in here and p.name in diff.wanted
        for service, diff in diffs.items()
        if service != LOCAL
        for p in diff.listing.remotes
    )
