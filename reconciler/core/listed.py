"""One service's records, found by name and by CID."""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.learned import ID_IS_CID
from reconciler.core.model import PINNED, Desired, Listing, Owner, Remote
from reconciler.core.plan import PinRef
from reconciler.core.profile import Profile


def ref(pin: Remote) -> PinRef:
    return PinRef(
        requestid=pin.requestid,
        cid=pin.cid.text,
        name=pin.listed_name,
        owner=pin.owner.value,
        status=pin.status,
        created=pin.created,
    )


class Index(Struct, frozen=True, kw_only=True):
    """One service's records by name and by CID, and who wants which CID there."""

    by_name: dict[str, list[Remote]]
    by_cid: dict[str, list[Remote]]
    #: canonical CID → names that want it, in manifest order
    wanted_by: dict[str, list[str]]

    @classmethod
    def of(cls, remotes: Iterable[Remote], wanted: Mapping[str, Desired]) -> "Index":
        by_name: dict[str, list[Remote]] = {}
        by_cid: dict[str, list[Remote]] = {}
        # setdefault would make a list for each of a million pins only to throw it away.
        for pin in remotes:
            cid = pin.cid.canonical
            if cid in by_cid:
                by_cid[cid].append(pin)
            else:
                by_cid[cid] = [pin]
            owner = pin.owner
            if owner is Owner.OURS or pin.mine:
                if pin.name in by_name:
                    by_name[pin.name].append(pin)
                else:
                    by_name[pin.name] = [pin]
        wanted_by: dict[str, list[str]] = {}
        for name, entry in wanted.items():
            cid = entry.cid.canonical
            if cid in wanted_by:
                wanted_by[cid].append(name)
            else:
                wanted_by[cid] = [name]
        return cls(by_name=by_name, by_cid=by_cid, wanted_by=wanted_by)


def with_evidence(profile: Profile, listing: Listing) -> Profile:
    """Two pinned pins of one CID prove that a second add makes a pin of its own.

    Where the requestid is the CID they prove nothing: two spellings of one CID are two entries there. And where a
    listing has shown that it is, no second add can make one.
    """
    if profile.second_add == "new" and any(c.fact == ID_IS_CID for c in listing.against):
        return replace(profile, second_add="unknown")
    if profile.second_add != "unknown":
        return profile
    seen: set[str] = set()
    for pin in listing.remotes:
        if pin.status != PINNED or pin.requestid == pin.cid.text:
            continue
        if pin.cid.canonical in seen:
            return replace(profile, second_add="new")
        seen.add(pin.cid.canonical)
    return profile


def age(pin: Remote) -> tuple[int, str]:
    return pin.age
