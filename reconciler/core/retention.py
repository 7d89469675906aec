"""Earlier roots that stay pinned: which of them are wanted, under which names, and which may go.

A root that is kept is a pin of its own, `<pinName>@<UTC time>`; one under the plain name counts as the oldest. The
current one is whichever holds the current root, so that nothing is ever renamed, and a root that comes back is
found again. What is beyond the number or the age goes last: only in favour of a newer root that is pinned.

A clock that is wrong costs no root: one whose time is more than a day to come stays and takes no place of the
number, and where the service's clock is another than ours no root goes by its age.
"""

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.listed import with_evidence
from reconciler.core.manifest import Manifest
from reconciler.core.model import FAILED, MAX_SKEW, PINNED, Desired, Listing, Remote, Snapshot
from reconciler.core.policy import Retain
from reconciler.core.profile import Profile


class Retained(Struct, frozen=True, kw_only=True):
    """What is wanted once every retention is resolved against a listing, and what it lets go.

    `rotated`: names whose roots are beyond the retention, with the pinned root each yields to, or None if all
    under the name has failed. `rotating`: by the name of a root that is to come, the roots that go once it is
    pinned, newest first. `note` says what was kept because of a clock.
    """

    wanted: Mapping[str, Desired]
    rotated: Mapping[str, Remote | None]
    rotating: Mapping[str, tuple[Remote, ...]] = {}
    note: str = ""


def retained(
    wanted: Mapping[str, Desired],
    listing: Listing,
    profile: Profile,
    *,
    now: datetime,
    lent: Sequence[Remote] = (),
) -> Retained:
    """`wanted` with each retention replaced by the names it means at this service. `now` names a new root.

    `lent` is what services that go hold: earlier roots among them are wanted here, under the names they have there.
    Where the `profile` has one pin for each CID several may keep a root, which bears the name of one of them.
    """
    keeping = {name: d for name, d in wanted.items() if d.spec.retain is not None}
    if not keeping:
        return Retained(wanted=wanted, rotated={})
    kin, far = families(keeping, listing.remotes), families(keeping, lent)
    skew = listing.clock_skew or 0.0
    aged = abs(skew) <= MAX_SKEW
    others = {name: d for name, d in wanted.items() if name not in keeping}
    # Where there is one pin per CID the first name that wants it carries it: under another one, which goes on to
    # another CID, a root would not be kept. What is protected is marked under its own name.
    result = {name: d for name, d in others.items() if d.spec.protect}
    rotated: dict[str, Remote | None] = {}
    rotating: dict[str, tuple[Remote, ...]] = {}
    shared = len(keeping) > 1 and with_evidence(profile, listing).one_pin_per_cid
    for name, d in keeping.items():
        family = _with_shared(name, keeping, kin) if shared else kin[name]
        stays, goes, follow = _resolved(name, d, family, far[name], now, aged=aged)
        result.update(stays)
        # What bears another's name goes when that one lets it go, too.
        rotated.update((n, p) for n, p in goes.items() if n in kin[name])
        own = {h: tuple(p for p in pins if p.name in kin[name]) for h, pins in follow.items()}
        rotating.update((h, pins) for h, pins in own.items() if pins)
    result.update((name, d) for name, d in others.items() if name not in result)
    rotated = {n: p for n, p in rotated.items() if n not in result}
    note = ""
    if not aged and any(
        d.spec.retain is not None and d.spec.retain.age is not None for d in keeping.values()
    ):
        note = f"its clock is {abs(skew) / 3600:.0f} h off ours: no earlier root goes by its age"
    return Retained(wanted=result, rotated=rotated, rotating=rotating, note=note)


def stamped(name: str, now: datetime) -> str:
    return f"{name}@{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def stamp_of(pin_name: str, name: str) -> datetime | None:
    """When the root under this name came; the beginning of time for the plain name, None for a stranger."""
    if name == pin_name:
        return datetime.min.replace(tzinfo=UTC)
    plain, at, time = name.rpartition("@")
    if not at or plain != pin_name or not time.endswith("Z"):
        return None
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def plain_of(name: str, among: Container[str]) -> str | None:
    """Which of the pin names `name` is, or is a kept root of."""
    plain = name if name in among else name.rpartition("@")[0]
    return plain if plain in among and stamp_of(plain, name) is not None else None


def families(names: Collection[str], remotes: Iterable[Remote]) -> dict[str, dict[str, list[Remote]]]:
    """Our pins of each pin name by the name they bear, kept roots among them."""
    found: dict[str, dict[str, list[Remote]]] = {name: {} for name in names}
    for pin in remotes:
        if pin.mine and (plain := plain_of(pin.name, found)) is not None:
            found[plain].setdefault(pin.name, []).append(pin)
    return found


def _with_shared(
    name: str, keeping: Mapping[str, Desired], kin: Mapping[str, Mapping[str, list[Remote]]]
) -> Mapping[str, Sequence[Remote]]:
    """The pins of a name, and those of others that keep roots of the same source, as if they bore this name."""
    d, family = keeping[name], kin[name]
    borrowed: dict[str, list[Remote]] = {}
    for other, pins_of in kin.items():
        if other == name or (keeping[other].cid != d.cid and keeping[other].whence != (d.whence or None)):
            continue
        for theirs, pins in pins_of.items():
            mine = name + theirs.removeprefix(other)
            if mine not in family and mine not in borrowed:
                borrowed[mine] = [replace(p, name=mine) for p in pins]
    return {**family, **borrowed}


def lendable(
    manifest: Manifest, wanted: Mapping[str, Mapping[str, Desired]], snapshot: Snapshot
) -> list[Remote]:
    """The roots that retiring services keep for retentions that other services go on with."""
    retiring = [name for name, service in manifest.services.items() if service.state == "retiring"]
    if not retiring:
        return []
    plain = {n for w in wanted.values() for n, d in w.items() if d.spec.retain is not None}
    return [
        pin
        for name in retiring
        for pin in (snapshot.listings[name].remotes if plain else ())
        if pin.mine and plain_of(pin.name, plain) is not None
    ]


def with_roots(stranded: Mapping[str, Desired], remotes: Iterable[Remote]) -> Mapping[str, Desired]:
    """What no active service is to hold, with the earlier roots that its retention keeps."""
    keeping = {name: d for name, d in stranded.items() if d.spec.retain is not None}
    if not keeping:
        return stranded
    return {
        **stranded,
        **{
            n: replace(keeping[name], name=n, cid=pins[0].cid)
            for name, family in families(keeping, remotes).items()
            for n, pins in family.items()
        },
    }


def _resolved(
    name: str,
    d: Desired,
    family: Mapping[str, Sequence[Remote]],
    far: Mapping[str, Sequence[Remote]],
    now: datetime,
    *,
    aged: bool,
) -> tuple[dict[str, Desired], dict[str, Remote | None], dict[str, tuple[Remote, ...]]]:
    retain = d.spec.retain
    assert retain is not None
    current = _current(d, family)
    lent = _current(d, {n: pins for n, pins in far.items() if n not in family})
    there = current or lent
    here = there.name if there is not None else _fresh(name, {**far, **family}, now)
    spec = replace(d.spec, retain=None)
    stays = {here: replace(d, name=here, spec=spec, named=True)}
    goes: dict[str, Remote | None] = {}
    # Newest first, each with the time its successor came, which is when it ceased to be the root.
    times = sorted((t, n) for n in {**far, **family} if (t := stamp_of(name, n)) is not None)
    until = {n: times[i + 1][0] if i + 1 < len(times) else None for i, (_, n) in enumerate(times)}
    roots: list[Remote] = []
    seen = {d.cid.canonical}
    held = {p.cid.canonical for pins in family.values() for p in pins if p.status != FAILED}
    brought: set[str] = set()
    for _, n in reversed(times):
        if n == here:
            continue
        pinned = [p for p in family.get(n, ()) if p.status == PINNED]
        if all(p.status == FAILED for p in family.get(n, ())):
            if bring := [
                p for p in far.get(n, ()) if p.status == PINNED and p.cid.canonical not in held | seen
            ]:
                root = max(bring, key=_age)
                seen.add(root.cid.canonical)
                roots.append(root)
                brought.add(n)
                continue
            if n not in family:
                continue
        if not pinned:
            waiting = [p for p in family[n] if p.status != FAILED]
            if waiting:
                # It may be pinned a moment later; then it takes its place among the others.
                root = max(waiting, key=_age)
                stays[n] = Desired(name=n, cid=root.cid, spec=spec)
            else:
                goes[n] = None
            continue
        root = max(pinned, key=_age)
        if root.cid.canonical in seen:
            goes[n] = None  # in whose favour is said below
            continue
        seen.add(root.cid.canonical)
        roots.append(root)
    stand = current if current is not None and current.status == PINNED else None
    follow: list[Remote] = []
    came = {n: t for t, n in times}
    place = 0
    for root in roots:
        ahead = (came[root.name] - now).total_seconds() > MAX_SKEW
        kept = ahead or (retain.age is not None and not aged) or _kept(retain, place, until[root.name], now)
        place += not ahead
        if root.name in brought:
            if kept or not (stand or (lent is not None and lent.status == PINNED)):
                stays[root.name] = Desired(name=root.name, cid=root.cid, spec=spec)
            elif root.name in family:
                goes[root.name] = None
        elif current is None and not kept:
            follow.append(root)
        elif stand is None or kept:
            stays[root.name] = Desired(name=root.name, cid=root.cid, spec=spec)
        else:
            goes[root.name] = stand
    for n, favour in list(goes.items()):
        if favour is None and any(p.status == PINNED for p in family[n]):
            if stand is not None:
                goes[n] = stand
            else:
                del goes[n]
                root = max((p for p in family[n] if p.status == PINNED), key=_age)
                stays[n] = Desired(name=n, cid=root.cid, spec=spec)
    return stays, goes, {here: tuple(follow)} if follow else {}


def _kept(retain: Retain, place: int, until: datetime | None, now: datetime) -> bool:
    """Whether an earlier root stays: the `place`-th newest of them, replaced at `until`."""
    if retain.count is not None:
        return place < retain.count - 1
    assert retain.age is not None
    return until is None or now - until <= timedelta(seconds=retain.age)


def _current(d: Desired, family: Mapping[str, Sequence[Remote]]) -> Remote | None:
    """The pin that holds the current root: a pinned one before one that waits before one that failed."""
    holds = [p for pins in family.values() for p in pins if p.cid == d.cid]
    rank = {PINNED: 2, FAILED: 0}
    return max(holds, key=lambda p: (rank.get(p.status, 1), p.age), default=None)


def _fresh(name: str, family: Mapping[str, Sequence[Remote]], now: datetime) -> str:
    here = stamped(name, now)
    return here if here not in family else f"{here[:-1]}.{now:%f}Z"


def _age(pin: Remote) -> tuple[int, str]:
    return pin.age
