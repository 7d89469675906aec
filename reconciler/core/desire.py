"""Verb 1, desire: what the manifest wants of each service, as data."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

from msgspec import Struct

from reconciler.core.cid import CidError, parse, spells
from reconciler.core.errors import ManifestError, Problem
from reconciler.core.local import LOCAL
from reconciler.core.manifest import MAX_NAME_BYTES, CidRef, Entry, Manifest, Replicas, Spec
from reconciler.core.model import Desired, Unknown
from reconciler.core.ownership import name_sent
from reconciler.core.policy import Policy, ReplaceMode
from reconciler.core.question import NotKnown
from reconciler.core.wanting import Want, Wanted

#: Characters of a name that cannot be, in a message.
_SHOWN = 60


class Desire(Struct, frozen=True, kw_only=True):
    """Wanted pins by service and name, in manifest order.

    `expired` holds entries whose date has come by our clock; the diff believes it only where the service's clock
    agrees. `stranded` holds, by retiring service, entries that no active service is to hold in its stead.
    `unknown` is what a source could own but could not say; `wants` is what policies said, by policy.
    """

    by_service: dict[str, dict[str, Desired]]
    expired: dict[str, dict[str, Desired]]
    stranded: dict[str, dict[str, Desired]]
    unknown: tuple[Unknown, ...] = ()
    wants: Mapping[str, tuple[Want, ...]] = {}

    def names(self) -> set[str]:
        return {name for wanted in self.by_service.values() for name in wanted}


def rendezvous(owner: str, name: str, services: Sequence[str], count: int) -> tuple[str, ...]:
    """The `count` services that hold a pin: highest random weight of (owner, name, service).

    It depends on nothing that is observed, so an unreachable service keeps its share and nothing wanders.
    """

    def weight(service: str) -> bytes:
        return blake2b("\0".join((owner, name, service)).encode(), digest_size=8).digest()

    chosen = set(sorted(services, key=weight, reverse=True)[:count])
    return tuple(s for s in services if s in chosen)


def desire(
    manifest: Manifest,
    *,
    now: datetime.datetime,
    resolved: Mapping[str, str] | None = None,
    policies: Mapping[str, Wanted] | None = None,
    nowhere: Mapping[str, NotKnown] | None = None,
) -> Desire:
    """What is wanted at `now` (UTC). `resolved` holds the CIDs of references, by `str(CidRef)`; `policies` what
    each policy says, by its name; `nowhere` holds the references of which nobody knows where they lead.

    What a policy found for a name that is taken is not known. Raises ManifestError if references turn out to be no
    CIDs, or to want two CIDs for one key.
    """
    by_service: dict[str, dict[str, Desired]] = {name: {} for name in manifest.services}
    expired: dict[str, dict[str, Desired]] = {name: {} for name in manifest.services}
    stranded: dict[str, dict[str, Desired]] = {name: {} for name in manifest.services}
    retiring = frozenset(n for n, s in manifest.services.items() if s.state == "retiring")
    # A copy of one's own is no home for what a service that goes has held.
    active = frozenset(n for n, s in manifest.services.items() if s.state == "active" and n != LOCAL)
    beside = LOCAL in manifest.services
    problems: list[Problem] = []
    unnamable: list[Unknown] = []
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    today = now.date()
    said, lost = policies or {}, nowhere or {}
    for wanted in _all(manifest, resolved or {}, said, lost, problems):
        spec = wanted.spec
        services = spec.services
        if isinstance(services, Replicas):
            of = tuple(s for s in services.of if s not in retiring)
            chosen = rendezvous(manifest.owner, wanted.name, of, services.count)
            leaving = tuple(s for s in services.of if s in retiring)
            services = shared.setdefault(chosen + leaving, chosen + leaving)
        if beside and spec.local:
            services = shared.setdefault((*services, LOCAL), (*services, LOCAL))
        index = expired if spec.expires is not None and today >= spec.expires else by_service
        if retiring and not retiring.isdisjoint(services):
            if index is by_service and active.isdisjoint(services):
                for service in retiring.intersection(services):
                    stranded[service].setdefault(wanted.name, wanted)
            services = tuple(s for s in services if s not in retiring)
        for service in services:
            if spec.policy and (
                bad := _unnamable(wanted, manifest, service, index[service].get(wanted.name))
            ):
                unnamable.append(bad)
                continue
            first = index[service].setdefault(wanted.name, wanted)
            if first is not wanted and first.cid != wanted.cid:
                problems.append(
                    Problem(
                        file=spec.file,
                        line=wanted.line,
                        message=f"{wanted.name!r} on {service} is {wanted.cid} here and {first.cid} at {first.origin}",
                        hint="one name holds one CID: rename one of them",
                    )
                )
    if problems:
        raise ManifestError(problems)
    for service, left in stranded.items():
        # Another entry, or another use of a policy, may want the name where it stays.
        stranded[service] = {n: d for n, d in left.items() if all(n not in by_service[s] for s in active)}
    for service, gone in expired.items():
        for name in gone.keys() & by_service[service].keys():
            del gone[name]
    return Desire(
        by_service=by_service,
        expired=expired,
        stranded=stranded,
        unknown=(*_unknown(manifest, lost), *(u for w in said.values() for u in w.unknown), *unnamable),
        wants={name: w.wants for name, w in said.items()},
    )


def _unnamable(wanted: Desired, manifest: Manifest, service: str, there: Desired | None) -> Unknown | None:
    """What a policy found and cannot have its name at a service. No manifest is wrong because of what was found."""
    name = wanted.name
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    size = len(name_sent(name, manifest.services[service], manifest.owner).encode())
    if there is not None and there.cid != wanted.cid:
        one, two = there.whence or there.origin, wanted.whence or wanted.origin
        why = (
            f"{shown} would be the name of {there.cid} ({one}) and of {wanted.cid} ({two}), which is left out"
        )
    elif size > MAX_NAME_BYTES:
        why = f"{shown} would have {size} bytes there, of at most {MAX_NAME_BYTES}, and is left out"
    else:
        return None
    return Unknown(source=wanted.origin, why=why, service=service, names=(name,), hint="rename it")


def _all(
    manifest: Manifest,
    resolved: Mapping[str, str],
    said: Mapping[str, Wanted],
    lost: Mapping[str, NotKnown],
    problems: list[Problem],
) -> Iterator[Desired]:
    """What entries want, in the order of the file, then what policies want."""
    for entry in manifest.entries:
        if lost and isinstance(entry.cid, CidRef) and str(entry.cid) in lost:
            continue
        try:
            yield _desired(entry, resolved)
        except CidError as error:
            problems.append(
                Problem(
                    file=entry.spec.file,
                    line=entry.line,
                    message=f"{entry.cid} gave no CID: {error}",
                    hint="check what the build wrote there",
                )
            )
    for name, wanted in said.items():
        policy = manifest.policies[name]
        for want in wanted.wants:
            yield from _of_policy(policy, want)


def _unknown(manifest: Manifest, lost: Mapping[str, NotKnown]) -> Iterator[Unknown]:
    """One for each entry and service whose CID is not known, and one alone if it is wanted at all of them."""
    for entry in manifest.entries if lost else ():
        why = lost.get(str(entry.cid)) if isinstance(entry.cid, CidRef) else None
        if why is None:
            continue
        spec = entry.spec
        where = spec.services.of if isinstance(spec.services, Replicas) else spec.services
        source = f"{spec.file}:{entry.line}" if entry.line else spec.file
        for service in ("",) if set(where) >= manifest.services.keys() else where:
            yield Unknown(source=source, why=why.why, service=service, names=(entry.name,), hint=why.hint)


def _of_policy(policy: Policy, want: Want) -> Iterator[Desired]:
    """One for each way of replacing that the services which use the policy ask for."""
    services = [s for s in policy.uses if want.services is None or s in want.services]
    modes: dict[ReplaceMode, list[str]] = {}
    for service in services:
        modes.setdefault(policy.replace_at(service), []).append(service)
    for mode, those in modes.items():
        spec = Spec(
            services=tuple(those),
            meta=policy.meta,
            protect=policy.protect,
            local=policy.local,
            replace=mode,
            policy=policy.name,
            retain=policy.retain,
            source=policy.origin,
            file=policy.file,
        )
        yield Desired(
            name=want.name,
            cid=want.cid,
            spec=spec,
            line=policy.line,
            whence=want.whence,
            size=want.size,
            node=want.node,
        )


def _desired(entry: Entry, resolved: Mapping[str, str]) -> Desired:
    cid, whence = entry.cid, ""
    if isinstance(cid, CidRef):
        whence = str(cid)
        cid = parse(resolved[whence])
    named = bool(entry.name) and not spells(entry.name, cid)
    return Desired(
        name=entry.name if named else cid.canonical,
        cid=cid,
        spec=entry.spec,
        line=entry.line,
        named=named,
        whence=whence,
    )
