"""The last guard: no action may leave a CID that any key desires without a pinned copy of ours.

It runs after all others, since what they held back changes what is left. Copies count on every service that
answered, suspended ones too, whatever `--service` and `--target` narrow; pins that are held (not ours) count nowhere,
and neither do those that were found unretrievable (`core.verified`), whatever their service says.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.desire import Desire
from reconciler.core.guards import SHOWN_KEYS, blocked
from reconciler.core.manifest import Replicas
from reconciler.core.model import PINNED
from reconciler.core.ownership import listed_cid
from reconciler.core.plan import Action, Add, Delete, Finding, Replace, Retry, Victim
from reconciler.core.service_diff import ServiceDiff
from reconciler.core.verified import Doubts


class _Copies(Struct, kw_only=True):
    """Who holds, or will hold, a CID: (service, name) → requestids of pinned pins, none for one to come."""

    by_cid: dict[str, dict[tuple[str, str], set[str]]]
    #: (service, requestid) of pins that are called pinned and were found unretrievable.
    doubted: dict[str, set[tuple[str, str]]]

    def why(self, victim: Victim, service: str) -> str:
        """Why a pin is the last copy, with those that are none."""
        cid = listed_cid(victim.ref.cid).canonical
        others = self.doubted.get(cid, set()) - {(service, victim.ref.requestid)}
        at = ", ".join(sorted({s for s, _ in others}))
        return "the last pinned copy of a CID that the manifest desires" + (
            f" (what {at} calls pinned was found unretrievable)" if at else ""
        )

    def others(self, cid: str, going: set[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Keys that still have a copy when all of `going` (service, requestid) are gone."""
        return tuple(
            key
            for key, ids in self.by_cid.get(cid, {}).items()
            if not ids or any((key[0], rid) not in going for rid in ids)
        )


def guard_last_copies(
    desire: Desire,
    diffs: Mapping[str, ServiceDiff],
    actions: dict[str, list[Action]],
    doubts: Doubts,
) -> tuple[dict[str, list[Action]], tuple[Finding, ...]]:
    """`actions` with what each victim rests on filled in, and what would lose a last copy held back."""
    wanted = {d.cid.canonical for keys in desire.by_service.values() for d in keys.values()}
    victims = [v for acts in actions.values() for a in acts for v in _victims(a)]
    at_risk = {
        c for v in victims if v.ref.status == PINNED and (c := listed_cid(v.ref.cid).canonical) in wanted
    }
    chosen = _chosen(desire, diffs, actions)
    at_risk.update(cid for holders in chosen.values() for cid in holders.values())
    if not at_risk:
        return actions, ()
    findings: list[Finding] = []
    # What is held back in one round may be what another rested on; each round holds back more, so it ends.
    while True:
        copies = _copies(diffs, actions, at_risk, doubts)
        going = {(a.service, v.ref.requestid) for acts in actions.values() for a in acts for v in _victims(a)}
        held: list[Action] = []
        for service, acts in actions.items():
            checked = [
                _check(_with_chosen(a, chosen, copies, going), copies, going, at_risk, one=diffs[service].one)
                for a in acts
            ]
            held += [new for old, new in zip(acts, checked, strict=True) if type(new) is not type(old)]
            actions[service] = checked
        if not held:
            return actions, tuple(findings)
        findings += _findings(held)


#: (service, name) of what is to leave → the services that are to hold the name instead, and which CID
Chosen = Mapping[tuple[str, str], Mapping[str, str]]


def _chosen(desire: Desire, diffs: Mapping[str, ServiceDiff], actions: Mapping[str, list[Action]]) -> Chosen:
    """A surplus replica, or what a retiring service holds, goes only when all that are to hold the name do.

    They do when they hold what the manifest wants now: the CID that leaves may be an earlier one.
    """
    chosen: dict[tuple[str, str], dict[str, str]] = {}
    for service, acts in actions.items():
        retiring = diffs[service].service.state == "retiring"
        for name in {a.name for a in acts if _leaves(a)}:
            holders = {s: w[name] for s, w in desire.by_service.items() if s != service and name in w}
            if retiring or any(isinstance(d.spec.services, Replicas) for d in holders.values()):
                chosen[service, name] = {s: d.cid.canonical for s, d in holders.items()}
    return chosen


def _leaves(action: Action) -> bool:
    return isinstance(action, Delete) and action.leaves and action.victim.ref.status == PINNED


def _with_chosen(action: Action, chosen: Chosen, copies: _Copies, going: set[tuple[str, str]]) -> Action:
    """`action` resting on those that are chosen, or held back if one of them neither has nor gets its copy."""
    if not isinstance(action, Delete) or not _leaves(action) or not (holders := chosen.get(action.key)):
        return action
    lack = [s for s, cid in holders.items() if s not in {at for at, _ in copies.others(cid, going)}]
    if lack:
        return blocked(action, "last-copy", f"it goes once {', '.join(lack)} holds a pinned copy")
    return replace(action, victim=replace(action.victim, all_of=tuple(holders)))


def _victims(action: Action) -> Iterable[Victim]:
    if isinstance(action, Delete):
        yield action.victim
    elif isinstance(action, Replace):
        if action.target is not None and action.how == "modify":
            yield action.target
        yield from action.olds


def _copies(
    diffs: Mapping[str, ServiceDiff],
    actions: Mapping[str, list[Action]],
    cids: set[str],
    doubts: Doubts,
) -> _Copies:
    by_cid: dict[str, dict[tuple[str, str], set[str]]] = {}
    doubted: dict[str, set[tuple[str, str]]] = {}
    for service, diff in diffs.items():
        for pin in diff.listing.remotes:
            if pin.mine and pin.status == PINNED and pin.cid.canonical in cids:
                if doubts.of(service, pin.requestid, pin.cid.canonical) is not None:
                    doubted.setdefault(pin.cid.canonical, set()).add((service, pin.requestid))
                    continue
                keys = by_cid.setdefault(pin.cid.canonical, {})
                keys.setdefault((service, pin.name), set()).add(pin.requestid)
    for service, acts in actions.items():
        for a in acts:
            if isinstance(a, Add | Replace | Retry) and (cid := listed_cid(a.cid).canonical) in cids:
                # To come, or coming anew: it stays whatever else goes.
                by_cid.setdefault(cid, {})[(service, a.name)] = set()
    return _Copies(by_cid=by_cid, doubted=doubted)


def _check(
    action: Action, copies: _Copies, going: set[tuple[str, str]], at_risk: set[str], *, one: bool
) -> Action:
    def justify(victim: Victim) -> Victim | None:
        return _justify(victim, action.service, copies, going, at_risk, one=one)

    if isinstance(action, Delete):
        victim = justify(action.victim)
        if victim is None:
            return blocked(action, "last-copy", copies.why(action.victim, action.service))
        return action if victim == action.victim else replace(action, victim=victim)
    if isinstance(action, Replace):
        olds = tuple(v for old in action.olds if (v := justify(old)) is not None)
        target, how = action.target, action.how
        if target is not None and how == "modify":
            justified = justify(target)
            if justified is None:
                # Not justified as a delete of the old CID: the same change as an add, and the old pin stays.
                target, how = None, "safe"
            elif justified.elsewhere:
                # It would be gone before the copy elsewhere was looked at, or made: add, wait, look, then delete.
                target, how, olds = None, "safe", (justified, *olds)
        if (olds, target, how) != (action.olds, action.target, action.how):
            return replace(action, olds=olds, target=target, how=how)
    return action


def _justify(
    victim: Victim,
    service: str,
    copies: _Copies,
    going: set[tuple[str, str]],
    at_risk: set[str],
    *,
    one: bool,
) -> Victim | None:
    cid = listed_cid(victim.ref.cid).canonical
    if victim.ref.status != PINNED or cid not in at_risk:
        return victim
    others = copies.others(cid, going)
    here = {name for at, name in others if at == service}
    if victim.needs:
        # `diff` saw to it that each key that wants it has or gets a copy, unless a guard took that away since.
        return victim if (here if one else here.issuperset(victim.needs)) else None
    if not others:
        return None
    # A copy that stays here under another name is a justification like one elsewhere: it is read again, too.
    return replace(victim, elsewhere=tuple(sorted(others)))


def _findings(held: list[Action]) -> list[Finding]:
    names: dict[tuple[str, str], list[str]] = {}
    for a in held:
        names.setdefault((a.service, a.reason), []).append(a.name)
    return [
        Finding(
            guard="last-copy",
            severity="block",
            service=service,
            message=reason,
            keys=tuple(sorted(found)[:SHOWN_KEYS]),
            count=len(found),
        )
        for (service, reason), found in names.items()
    ]
