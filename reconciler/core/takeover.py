"""Which pins of an account a new manifest can want without changing anything there.

A name is what a pin is to us, so a name that stands for several pins at a service cannot be taken over as it is: the
older ones would be superseded, and deleted. Such names, and all else that a manifest cannot say, are left out with
the reason. What is left in is proved: the manifest is planned against the very listing it came from, and a name for
which anything would be done is left out, too, and ignored.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from reconciler.core.cid import CidError, parse_content
from reconciler.core.desire import desire
from reconciler.core.globs import escape
from reconciler.core.manifest import Adopt, Entry, Manifest, Service, Spec
from reconciler.core.model import FAILED, META_OWNER, PINNED, Listing, Owner, PinStatus, Remote, Snapshot
from reconciler.core.ownership import Rules, classifier, record, split_name
from reconciler.core.plan import Keep, Overrides
from reconciler.core.planning import Stamp, make_plan

#: So many names are adopted one by one; more by `*`, which for names that are wanted is the same.
MAX_ADOPTED = 200
#: How often a name may turn out not to be left alone, before all is left out that does not fit.
_ROUNDS = 5


class Wanted(Struct, frozen=True, kw_only=True):
    """An entry of the new manifest; `name` is "" for a pin without a name."""

    name: str
    cid: str
    services: tuple[str, ...]


class LeftOut(Struct, frozen=True, kw_only=True):
    """What is there and not in the manifest. `cid` is the newest pinned one if the name could be wanted with it."""

    name: str
    services: tuple[str, ...]
    why: str
    cid: str = ""


class Takeover(Struct, frozen=True, kw_only=True):
    """`foreign` counts pins by the owner whose mark they bear; `waiting` and `with_meta` those that are in."""

    wanted: tuple[Wanted, ...]
    left_out: tuple[LeftOut, ...] = ()
    adopt: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    foreign: Mapping[str, int] = {}
    waiting: int = 0
    with_meta: int = 0


Check = Callable[[str], tuple[str, str] | None]


def take_over(
    owner: str,
    services: Mapping[str, Service],
    pins: Mapping[str, Sequence[PinStatus]],
    *,
    check: Check,
    now: datetime,
    previous: tuple[str, ...] = (),
) -> Takeover:
    """`pins` are whole listings by service; `check` says what is wrong with a name, or None.

    Marks of `owner` and of the `previous` owners are ours.
    """
    rules = Rules.of(Manifest(owner=owner, previous_owners=previous, services=dict(services), entries=[]))
    foreign: Counter[str] = Counter()
    fit: dict[tuple[str, str], list[tuple[str, Remote]]] = {}
    left: dict[tuple[str, str, str], list[str]] = {}
    for service, listed in pins.items():
        by_name: dict[str, list[Remote]] = {}
        for status in listed:
            pin = record(rules, status)
            if pin.owner is Owner.OTHER:
                foreign[pin.meta.get(META_OWNER) or split_name(pin.listed_name)[0]] += 1
            else:
                by_name.setdefault(pin.name, []).append(pin)
        for name, same in by_name.items():
            why, cid = _odd(name, same, check)
            if why:
                left.setdefault((name, cid, why), []).append(service)
            else:
                fit.setdefault((name, same[0].cid.canonical), []).append((service, same[0]))
    # As the file will have them: where a CID exists once, the first entry that wants it carries it.
    fit = dict(sorted(fit.items(), key=lambda item: ([service for service, _ in item[1]], item[0])))
    ignore: list[str] = []
    for _ in range(_ROUNDS):
        found = _made((owner, *previous), fit, ignore)
        moving = _moving(found, services, pins, now)
        if not moving:
            break
        for name in moving:
            ignore.append(name)
            for key in [k for k in fit if k[0] == name]:
                where = [service for service, _ in fit.pop(key)]
                left.setdefault((name, "", "it would not be left as it is"), []).extend(where)
    chosen = _made((owner, *previous), fit, sorted(ignore))
    remotes = [remote for there in fit.values() for _, remote in there]
    return Takeover(
        wanted=tuple(
            Wanted(
                name="" if name == cid else name,
                cid=there[0][1].cid.text,
                services=tuple(service for service, _ in there),
            )
            for (name, cid), there in fit.items()
        ),
        left_out=tuple(
            LeftOut(name=name, cid=cid, why=why, services=tuple(where))
            for (name, cid, why), where in sorted(left.items())
        ),
        adopt=tuple(a.match for a in chosen.adopt),
        ignore=chosen.ignore,
        foreign=dict(sorted(foreign.items())),
        waiting=sum(r.status != PINNED for r in remotes),
        with_meta=sum(bool(set(r.meta) - {META_OWNER}) for r in remotes),
    )


def _odd(name: str, same: Sequence[Remote], check: Check) -> tuple[str, str]:
    """Why these pins of one name cannot be wanted as they are, or "", and the CID that could be wanted."""
    newest = max(same, key=lambda p: (p.status == PINNED, p.status != FAILED, p.age))
    try:
        parse_content(newest.cid.text)
    except CidError as error:
        return f"its CID cannot be wanted: {error}", ""
    if name != newest.cid.canonical and (wrong := check(name)) is not None:
        return wrong[0], ""
    if all(p.status == FAILED for p in same):
        return "it has failed there", ""
    if len(same) == 1:
        return "", ""
    cids = len({p.cid.canonical for p in same})
    of = f"with {cids} CIDs" if cids > 1 else "of one CID"
    return f"{len(same)} pins of this name, {of}; this is the newest", newest.cid.text


def _made(
    owners: tuple[str, ...],
    fit: Mapping[tuple[str, str], Sequence[tuple[str, Remote]]],
    ignore: Iterable[str],
) -> Manifest:
    """The manifest that would want all that fits; without its services."""
    specs: dict[tuple[str, ...], Spec] = {}
    entries, adopt = [], []
    for (name, cid), there in fit.items():
        where = tuple(service for service, _ in there)
        spec = specs.setdefault(where, Spec(services=where))
        entries.append(Entry("" if name == cid else name, there[0][1].cid, spec))
        if any(remote.owner is Owner.UNMARKED for _, remote in there):
            adopt.append(name)
    globs = [escape(name) for name in adopt] if len(adopt) <= MAX_ADOPTED else ["*"]
    return Manifest(
        owner=owners[0],
        previous_owners=owners[1:],
        services={},
        entries=entries,
        adopt=tuple(Adopt(match=match) for match in dict.fromkeys(globs)),
        ignore=tuple(dict.fromkeys(escape(name) for name in ignore)),
    )


def _moving(
    manifest: Manifest,
    services: Mapping[str, Service],
    pins: Mapping[str, Sequence[PinStatus]],
    now: datetime,
) -> list[str]:
    """The names for which an apply of this manifest would do anything at all, or would be kept from it."""
    from msgspec.structs import replace

    manifest = replace(manifest, services=dict(services))
    wanted = desire(manifest, now=now)
    rules = Rules.of(manifest)
    listings = {}
    for name in services:
        remotes: list[Remote] = []
        classify = classifier(rules, wanted.by_service[name], remotes.append)
        for pin in pins[name]:
            classify(pin)
        listings[name] = Listing(
            service=name,
            remotes=tuple(remotes),
            complete=True,
            seen=len(pins[name]),
            mark_seen=any(r.owner is Owner.OURS and META_OWNER in r.meta for r in remotes),
        )
    stamp = Stamp(pinrec="", id="", created="", digest="", resolved={}, now=now)
    plan = make_plan(manifest, wanted, Snapshot(listings=listings), Overrides(allow_empty=True), stamp).plan
    # Under a wanted name the second half is that of a duplicate which is not pinned yet.
    quiet = ("waiting", "satisfied", "wait-second-half")
    return list(
        dict.fromkeys(
            a.name
            for a in plan.actions
            if not (isinstance(a, Keep) and a.reason in quiet and a.name in wanted.by_service[a.service])
        )
    )
