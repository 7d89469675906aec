"""The plan from what is desired and what was observed: diff, guard, and put in order. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.desire import Desire
from reconciler.core.diff import diff_service
from reconciler.core.errors import UsageError
from reconciler.core.explain import Explanation
from reconciler.core.globs import Globs
from reconciler.core.guards import guard
from reconciler.core.last_copy import guard_last_copies
from reconciler.core.listed import ref
from reconciler.core.local import LOCAL
from reconciler.core.manifest import Manifest, Service
from reconciler.core.model import FAILED, Desired, Listing, Owner, PinKey, Remote, Snapshot
from reconciler.core.ownership import listed_cid
from reconciler.core.plan import (
    Action,
    Add,
    Blocked,
    Delete,
    Estimate,
    Finding,
    Fingerprint,
    Keep,
    Overrides,
    Plan,
    Replace,
    Retry,
    ServicePlan,
)
from reconciler.core.pruning import Leaving
from reconciler.core.retention import lendable, retained, with_roots
from reconciler.core.service_diff import ServiceDiff, touched
from reconciler.core.telling import tell
from reconciler.core.unknowing import owns
from reconciler.core.verified import Doubts

_ORDER: dict[type, int] = {Add: 0, Replace: 1, Retry: 2, Delete: 3, Blocked: 4, Keep: 5}


class Planned(Struct, frozen=True, kw_only=True):
    """A plan with what it was made of: what an apply, an explanation or a status needs beside it."""

    plan: Plan
    manifest: Manifest
    desire: Desire
    snapshot: Snapshot
    diffs: Mapping[str, ServiceDiff]
    #: Differences that a saved plan does not hold: listed, not applied.
    newer: tuple[Action, ...] = ()
    #: Pins that are called pinned and are no copies.
    doubts: Doubts = Doubts()


class Stamp(Struct, frozen=True, kw_only=True):
    """What makes one plan distinct from another with the same content, and the time it is made at."""

    pinrec: str
    id: str
    created: str
    digest: str
    resolved: dict[str, str]
    now: datetime
    #: Since when names have not been wanted, where that is remembered.
    leaving: Leaving | None = None
    #: Bytes of pinned roots, by canonical CID, where the node knows them.
    sizes: Mapping[str, int] = {}
    #: The time that names of new roots bear, if another than `now`: that of a saved plan.
    named: datetime | None = None
    #: Pins that were found unretrievable and not retrieved since, where that is remembered: they count as failed.
    doubts: Doubts = Doubts()


def make_plan(
    manifest: Manifest, desire: Desire, snapshot: Snapshot, overrides: Overrides, stamp: Stamp
) -> Planned:
    """Raises UsageError if `overrides` name a service or a target that is not there."""
    _check_services(manifest, overrides)
    diffs: dict[str, ServiceDiff] = {}
    findings: list[Finding] = []
    retires = any(s.state == "retiring" for s in manifest.services.values())
    lent = lendable(manifest, desire.by_service, snapshot)
    names = frozenset(desire.names()).union(p.name for p in lent) if retires else frozenset()
    by_service = dict(desire.by_service)
    for name, service in manifest.services.items():
        listing = snapshot.listings[name]
        # A node is no home for the earlier roots of a service that goes, and may not have them any more.
        here = () if name == LOCAL else lent
        roots = retained(by_service[name], listing, service.profile, now=stamp.named or stamp.now, lent=here)
        if lent or listing.reachable:
            by_service[name] = dict(roots.wanted)
        if not listing.reachable:
            findings.append(
                Finding(
                    guard="unknown",
                    severity="unknown",
                    service=name,
                    message=f"nothing is known of {name}: {listing.why}",
                    override=listing.hint,
                    count=len(desire.by_service[name]),
                )
            )
            continue
        diffs[name] = diff_service(
            service,
            by_service[name],
            desire.expired[name],
            listing,
            released=names if service.state == "retiring" else frozenset(),
            stranded=with_roots(desire.stranded[name], listing.remotes),
            roots=roots,
        )
    desire = replace(desire, by_service=by_service)
    _check_targets(desire, diffs, overrides)
    everything = {name: diff.actions for name, diff in diffs.items()}
    for diff in diffs.values():
        diff.actions = _narrowed(diff, overrides)
        tell(diff, stamp.doubts)
    guarded = guard(
        manifest, desire, diffs, overrides, now=stamp.now, leaving=stamp.leaving, sizes=stamp.sizes
    )
    actions, last = guard_last_copies(desire, diffs, guarded.actions, stamp.doubts)
    for name, diff in diffs.items():
        diff.actions = everything[name]
    ordered = tuple(a for acts in actions.values() for a in sorted(acts, key=_rank))
    plan = Plan(
        pinrec=stamp.pinrec,
        id=stamp.id,
        created=stamp.created,
        owner=manifest.owner,
        manifest=manifest.path,
        digest=stamp.digest,
        resolved=stamp.resolved,
        overrides=overrides,
        services=tuple(
            _service_plan(
                s, snapshot.listings[n], diffs.get(n), actions.get(n, ()), len(desire.by_service[n])
            )
            for n, s in manifest.services.items()
        ),
        actions=ordered,
        findings=tuple(sorted((*findings, *guarded.findings, *last), key=lambda f: (f.service, f.guard))),
        guards=guarded.lines,
        fingerprints=fingerprints(ordered, snapshot, diffs),
        notes=tuple(
            f"{n.file}:{n.line}: {n.message}" if n.line else f"{n.file}: {n.message}" for n in manifest.notes
        ),
    )
    return Planned(
        plan=plan,
        manifest=manifest,
        desire=desire,
        snapshot=snapshot,
        diffs=diffs,
        doubts=stamp.doubts,
    )


# --- narrowing ----------------------------------------------------------------------------------------------------


def _check_services(manifest: Manifest, overrides: Overrides) -> None:
    for name in overrides.services:
        if name not in manifest.services:
            known = ", ".join(manifest.services) or "none"
            raise UsageError(
                f"--service {name}: no such service in {manifest.path}", hint=f"declared: {known}"
            )
    sources = [*(source.name for source in manifest.sources), *manifest.policies]
    for key in overrides.allow_shrink:
        if key not in sources:
            known = ", ".join(sources) or "none"
            raise UsageError(
                f"--allow-shrink {key}: no such list file or policy in {manifest.path}",
                hint=f"declared: {known}",
            )


def _check_targets(desire: Desire, diffs: Mapping[str, ServiceDiff], overrides: Overrides) -> None:
    if not overrides.targets:
        return
    names = desire.names()
    names.update(n for d in diffs.values() for n in (*d.ours, *d.expired))
    for target in overrides.targets:
        if not any(Globs((target,)).match(n) is not None for n in names):
            raise UsageError(
                f"--target {target}: matches no name",
                hint="names are listed by `pinrec ls` and in the manifest",
            )


def _narrowed(diff: ServiceDiff, overrides: Overrides) -> list[Action]:
    """What this run may do here: nothing at a suspended or unnamed service, only what `--target` matches."""
    service, actions = diff.service, diff.actions
    if overrides.services and service.name not in overrides.services:
        actions = []
    elif overrides.targets:
        globs = Globs(overrides.targets)
        actions = [a for a in actions if any(globs.match(k.name) is not None for k in touched(a))]
    if left_out := sum(not isinstance(a, Keep) for a in diff.actions) - sum(
        not isinstance(a, Keep) for a in actions
    ):
        diff.notes.append(f"{left_out} changes are left out by --service or --target")
    if service.state == "suspended":
        return [_suspended(a) for a in actions]
    return actions


def _suspended(action: Action) -> Action:
    if isinstance(action, Keep):
        return action
    would = {Add: "add", Replace: "replace", Retry: "retry", Delete: "delete"}.get(type(action), "change")
    return Keep(
        service=action.service,
        name=action.name,
        cid=action.cid,
        origin=action.origin,
        reason="suspended",
        detail=f"{would} is not done",
    )


def _rank(action: Action) -> tuple[int, str, str, str, str]:
    victim = action.victim.ref if isinstance(action, Delete) else None
    created, requestid = (victim.created, victim.requestid) if victim else ("", "")
    return _ORDER[type(action)], action.name, action.reason, created, requestid


# --- the lines of a service ----------------------------------------------------------------------------------------


def _service_plan(
    service: Service,
    listing: Listing,
    diff: ServiceDiff | None,
    actions: Iterable[Action],
    desired: int,
) -> ServicePlan:
    return ServicePlan(
        service=service.name,
        state=service.state,
        profile=service.profile.name,
        reachable=listing.reachable,
        complete=listing.complete,
        why=listing.why,
        seen=listing.seen,
        ours=len(diff.ours) if diff else 0,
        adopted=diff.adopted if diff else 0,
        desired=desired,
        unchanged=diff.unchanged if diff else 0,
        held=diff.held if diff else 0,
        waiting=diff.waiting if diff else 0,
        listing_requests=listing.requests,
        estimate=estimate(service, actions, one=diff.one if diff else False),
        notes=tuple(diff.notes) if diff else (),
    )


def estimate(service: Service, actions: Iterable[Action], *, one: bool) -> Estimate:
    """Requests an apply takes at least, and how long the declared limit makes them last."""
    requests = 0
    for a in actions:
        if isinstance(a, Add | Retry):
            requests += 2 if one else 1
        elif isinstance(a, Replace):
            requests += (2 if one else 1) + sum(3 + len(v.needs) for v in a.olds)
        elif isinstance(a, Delete):
            requests += 2 + len(a.victim.needs) + bool(a.victim.elsewhere) + bool(a.stand)
    rate = service.limits.requests
    return Estimate(requests=requests, seconds=requests * rate.seconds / rate.count if rate else 0.0)


# --- what the plan rests on ---------------------------------------------------------------------------------------


def fingerprint(pins: Iterable[Remote]) -> tuple[Fingerprint, ...]:
    return tuple(
        sorted(
            Fingerprint(
                requestid=p.requestid,
                created=p.created,
                cid=p.cid.canonical,
                name=p.listed_name,
                owner=p.owner.value,
                failed=p.status == FAILED,
            )
            for p in pins
        )
    )


def fingerprints(
    actions: Sequence[Action], snapshot: Snapshot, diffs: Mapping[str, ServiceDiff]
) -> dict[str, tuple[Fingerprint, ...]]:
    """What was there under every key that a change touches; with one pin per CID, of that CID too."""
    changes = [a for a in actions if not isinstance(a, Keep | Blocked)]
    under: dict[PinKey, list[Remote]] = {key: [] for a in changes for key in touched(a)}
    of_cid: dict[tuple[str, str], list[Remote]] = {
        (a.service, listed_cid(a.cid).canonical): [] for a in changes if diffs[a.service].one
    }
    for service in {a.service for a in changes}:
        # One pass over what may be a million records, for the few that a change touches.
        names = {key.name for key in under if key.service == service}
        cids = {cid for at, cid in of_cid if at == service}
        for pin in snapshot.listings[service].remotes:
            if pin.name in names:
                under[PinKey(service, pin.name)].append(pin)
            if cids and pin.cid.canonical in cids:
                of_cid[service, pin.cid.canonical].append(pin)
    found: dict[str, tuple[Fingerprint, ...]] = {}
    for action in changes:
        same = of_cid.get((action.service, listed_cid(action.cid).canonical), ())
        for key in touched(action):
            pins = {p.requestid: p for p in (*under[key], *same)}
            found[str(key)] = fingerprint(pins.values())
    return found


def explain(planned: Planned, name: str, service: str) -> Explanation:
    """The whole story of one key: desired, actual, owner, guards, and the rules that led to the decision."""
    diff = planned.diffs.get(service)
    listing = planned.snapshot.listings[service]
    desired = planned.desire.by_service[service].get(name)
    remotes = tuple(p for p in listing.remotes if p.name == name or (desired and p.cid == desired.cid))
    actions = tuple(
        a for a in planned.plan.actions if a.service == service and name in {k.name for k in touched(a)}
    )
    findings = tuple(
        f for f in planned.plan.findings if f.service in ("", service) and (not f.keys or name in f.keys)
    )
    steps = _steps(name, desired, remotes, listing, diff, actions, planned)
    return Explanation(
        service=service,
        name=name,
        desired=desired,
        remotes=remotes,
        steps=steps,
        actions=actions,
        findings=findings,
    )


def _steps(
    name: str,
    desired: Desired | None,
    remotes: tuple[Remote, ...],
    listing: Listing,
    diff: ServiceDiff | None,
    actions: tuple[Action, ...],
    planned: Planned,
) -> tuple[str, ...]:
    steps = []
    if desired is not None:
        steps.append(
            f"desired: {desired.cid} by {desired.origin}"
            + (f", from {desired.whence}" if desired.whence else "")
        )
    elif name in planned.desire.expired[listing.service]:
        gone = planned.desire.expired[listing.service][name]
        steps.append(f"no longer desired: {gone.origin} expired on {gone.spec.expires}")
    elif own := [u for u in planned.desire.unknown if u.service in ("", listing.service) and owns(u)(name)]:
        steps += [f"not known whether it is desired: {u.source}: {u.why}" for u in own]
    else:
        steps.append(f"not desired: no entry of {planned.manifest.path} wants it on {listing.service}")
    if diff is None:
        return (*steps, f"nothing is known of the service: {listing.why}; nothing is done")
    steps.append(
        f"listing: {listing.seen} pins, {'whole' if listing.complete else 'not whole: ' + listing.why}"
    )
    under = [p for p in remotes if p.mine and p.name == name]
    w = [p for p in remotes if desired and p.mine and p.cid == desired.cid and (diff.one or p.name == name)]
    o = [p for p in under if not desired or p.cid != desired.cid]
    steps.append(f"ours under the name: {len(w)} with the desired CID, {len(o)} with another")
    pinned = [p for p in (*w, *o) if p.status == "pinned"]
    if pinned and desired:
        stand = max(pinned, key=lambda p: p.age)
        steps.append(
            f"the newest pinned one is {ref(stand).requestid} ({stand.cid}); it stays until a newer one is pinned"
        )
    foreign = [p for p in remotes if not p.mine]
    if foreign:
        marked = sum(p.owner is Owner.OTHER for p in foreign)
        steps.append(f"not ours: {len(foreign)} ({marked} of another owner or ignored); never touched")
    steps.extend(f"guard {a.guard}: {a.reason}" for a in actions if isinstance(a, Blocked))
    if not actions:
        steps.append(
            "decision: nothing to do"
            if desired or under
            else "decision: nothing, it is not ours and not desired"
        )
    for a in actions:
        what = f"blocked ({a.would})" if isinstance(a, Blocked) else type(a).__name__.lower()
        steps.append(f"decision: {what}, reason {a.reason}")
    return tuple(steps)
