"""Verb 4, guard: what must not happen because a person or a service made a mistake.

A guard that fires holds back what it names; the rest goes on. Each says what it measured and what lifts it.

  guard       | fires when                                                        | lifted by
  ------------+-------------------------------------------------------------------+-------------------------------
  incomplete  | a delete or replace would rest on a listing that is not whole     | nothing
  unknown     | ... on a fact that is not known                                   | nothing
  import      | a folder is to be pinned, and no node is there to import it       | node: in the manifest
  protected   | a protected name would leave                                      | unprotect in the manifest
  shrank      | a source became empty, or fell below half of what is pinned of it | --allow-shrink KEY
  empty       | nothing is desired and we own something                           | --allow-empty, destroy
  disjoint    | we own names at a service and none of them is desired there       | --allow-disjoint
  deletes     | more names leave a service than max(3, min(10 % of ours, 100))    | --allow-deletes N, maxDeletes
  replaces    | more than max(10, 30 %) of our names change their CID at once     | --allow-replaces N, maxReplaces
  last-copy   | a CID that some key desires would lose its last pinned copy       | nothing

`deletes` and `disjoint` also hold back every add of a new name at that service: else the adds would enlarge the
base, and the next run would pass. Second halves, duplicates, renames and expired entries are not counted; what counts
is in `counted`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.counted import (
    changing_names,
    deletes_limit,
    is_change,
    is_undesired,
    leaving_names,
    replaces_limit,
)
from reconciler.core.desire import Desire
from reconciler.core.globs import Globs
from reconciler.core.local import LOCAL
from reconciler.core.made_here import REASON, unavailable
from reconciler.core.manifest import Manifest
from reconciler.core.model import MAX_SKEW, META_PROTECT
from reconciler.core.ownership import split_name
from reconciler.core.plan import (
    Action,
    Add,
    Blocked,
    Change,
    Delete,
    Finding,
    GuardLine,
    GuardName,
    Keep,
    Overrides,
    Replace,
    Retry,
)
from reconciler.core.pruning import Leaving, with_grace, without_prune
from reconciler.core.service_diff import ServiceDiff, familiar
from reconciler.core.shrank import shrunk
from reconciler.core.unknowing import could_own, findings_of, without_knowing

SHOWN_KEYS = 5


class Guarded(Struct, frozen=True, kw_only=True):
    actions: dict[str, list[Action]]
    findings: tuple[Finding, ...]
    lines: tuple[GuardLine, ...]


class Guards:
    """The guards of one plan. Use `guard`."""

    def __init__(
        self,
        manifest: Manifest,
        desire: Desire,
        diffs: Mapping[str, ServiceDiff],
        overrides: Overrides,
        *,
        now: datetime,
        leaving: Leaving | None,
        sizes: Mapping[str, int],
    ) -> None:
        self.now, self.leaving, self.sizes = now, leaving, sizes
        self.manifest, self.desire, self.diffs, self.overrides = manifest, desire, diffs, overrides
        self.actions: dict[str, list[Action]] = {name: list(d.actions) for name, d in diffs.items()}
        self.findings: list[Finding] = []

    def run(self) -> Guarded:
        for name, diff in self.diffs.items():
            self._stranded(name, diff)
            self._incomplete(name, diff)
            self._unknown(name, diff)
            which = unavailable(self.manifest, self.desire, self.diffs)
            self._hold(name, "import", which, REASON, resolve="node: {} in the manifest")
            self._protected(name, diff)
            actions = without_prune(self.actions[name], diff, prune=self.overrides.prune)
            if not self.overrides.destroy:
                actions = with_grace(
                    actions, diff, self.manifest.guards.delete_grace, now=self.now, leaving=self.leaving
                )
            self.actions[name] = actions
            self._shrank(name, diff)
        self.findings += findings_of(self.desire.unknown, self.diffs)
        self._empty()
        lines = self._counted()
        return Guarded(actions=self.actions, findings=tuple(self.findings), lines=lines)

    # --- holding back -------------------------------------------------------------------------------------------

    def _hold(
        self,
        service: str,
        guard: GuardName,
        which: Callable[[Change], bool],
        reason: str,
        *,
        resolve: str = "",
        severity: str = "block",
        message: str = "",
    ) -> int:
        """Turn the changes `which` names into Blocked ones; a finding tells of them once. Returns how many."""
        held: list[Change] = []
        rest: list[Action] = []
        for action in self.actions[service]:
            if isinstance(action, Keep | Blocked) or not which(action):
                rest.append(action)
            else:
                held.append(action)
                rest.append(blocked(action, guard, reason, resolve))
        self.actions[service] = rest
        if held:
            self.findings.append(
                Finding(
                    guard=guard,
                    severity="unknown" if severity == "unknown" else "block",
                    message=message or reason,
                    service=service,
                    keys=tuple(sorted(a.name for a in held)[:SHOWN_KEYS]),
                    count=len(held),
                    override=resolve,
                )
            )
        return len(held)

    def _stranded(self, service: str, diff: ServiceDiff) -> None:
        """The diff itself holds back what a retiring service alone is to hold; it is told like a guard's work."""
        names = sorted(a.name for a in diff.actions if isinstance(a, Blocked) and a.name in diff.stranded)
        if names:
            self.findings.append(
                Finding(
                    guard="last-copy",
                    severity="block",
                    message="the service is retiring, and these entries name no other active one",
                    service=service,
                    keys=tuple(names[:SHOWN_KEYS]),
                    count=len(names),
                    override="give each another service in the manifest",
                )
            )

    def _incomplete(self, service: str, diff: ServiceDiff) -> None:
        if diff.listing.complete:
            return
        why = diff.listing.why or "the listing did not end"
        self._hold(
            service,
            "incomplete",
            lambda a: isinstance(a, Replace | Delete),
            f"the listing of {service} is not whole: {why}",
            severity="unknown",
        )
        if not any(f.service == service and f.severity == "unknown" for f in self.findings):
            self.findings.append(
                Finding(
                    guard="incomplete",
                    severity="unknown",
                    service=service,
                    message=f"listing not whole: {why}",
                )
            )

    def _unknown(self, service: str, diff: ServiceDiff) -> None:
        for unknown in self.desire.unknown:
            if unknown.service in ("", service):
                self.actions[service], kept = without_knowing(self.actions[service], unknown)
                self._hold(
                    service,
                    "unknown",
                    could_own(unknown),
                    f"{unknown.source}: {unknown.why}",
                    severity="unknown",
                )
                if unknown.meant and kept:
                    diff.notes.append(f"{unknown.source}: {unknown.why}; its pins stay as they are")
        skew = diff.listing.clock_skew
        if diff.expired and (skew is None or abs(skew) > MAX_SKEW):
            says = "sends no Date" if skew is None else f"is {abs(skew) / 3600:.0f} h off ours"
            self._hold(
                service,
                "unknown",
                lambda a: isinstance(a, Delete) and a.reason == "expired",
                f"expired by our clock, but the clock of {service} {says}",
                severity="unknown",
            )

    def _protected(self, service: str, diff: ServiceDiff) -> None:
        concerned = {a.name for a in self.actions[service] if isinstance(a, Delete)}
        concerned.update(a.was for a in self.actions[service] if isinstance(a, Replace) and a.was)
        if not concerned and not diff.rotating:
            return
        globs, lifted = Globs(self.manifest.protected), Globs(self.manifest.unprotect)
        entries = (*self.desire.by_service.values(), *self.desire.expired.values())
        declared = {n for n in concerned for e in entries if n in e and e[n].spec.protect}
        marked = {
            p.name
            for p in diff.listing.remotes
            if p.name in concerned and p.mine and p.meta.get(META_PROTECT) == "true"
        }

        later = {p.name for roots in diff.rotating.values() for p in roots}

        def protected(name: str) -> bool:
            if lifted.match(name) is not None:
                return False
            if name in diff.rotated or name in later:
                # What its own policy lets go is held by what the manifest says of names, not by the policy's mark.
                return globs.match(name) is not None
            return name in declared or name in marked or globs.match(name) is not None

        self._hold(
            service,
            "protected",
            lambda a: (
                (isinstance(a, Delete) and a.leaves and a.reason != "released" and protected(a.name))
                or (isinstance(a, Replace) and bool(a.was) and protected(a.was))
            ),
            "protected",
            resolve="unprotect: [...] in the manifest",
            message="protected names would leave",
        )

        self.actions[service] = [_without(a, protected) for a in self.actions[service]]

    # --- sources and counts -------------------------------------------------------------------------------------

    def _shrank(self, service: str, diff: ServiceDiff) -> None:
        for found in shrunk(self.manifest, self.desire, diff, self.sizes):
            if found.source not in self.overrides.allow_shrink and not self.overrides.destroy:
                self._hold(
                    service,
                    "shrank",
                    found.which,
                    found.reason,
                    resolve=f"--allow-shrink {found.source}",
                )

    def _empty(self) -> None:
        if self.overrides.allow_empty or self.overrides.destroy or any(self.desire.by_service.values()):
            return
        for service in self.diffs:
            self._hold(
                service,
                "empty",
                is_undesired,
                "the manifest desires nothing at all",
                resolve="--allow-empty, or pinrec destroy",
            )

    def _counted(self) -> tuple[GuardLine, ...]:
        """`disjoint`, `deletes` and `replaces`, which measure what is left after the guards above."""
        leaving = {s: leaving_names(acts) for s, acts in self.actions.items()}
        changing = {s: changing_names(acts) for s, acts in self.actions.items()}
        o, lines = self.overrides, []
        all_leaving, all_changing = sum(map(len, leaving.values())), sum(map(len, changing.values()))
        deletes_ok = o.destroy or (o.allow_deletes is not None and all_leaving <= o.allow_deletes)
        replaces_ok = o.allow_replaces is not None and all_changing <= o.allow_replaces
        for service, diff in self.diffs.items():
            ours = len(diff.ours)
            limit, climit = (
                deletes_limit(self.manifest.guards, ours),
                replaces_limit(self.manifest.guards, ours),
            )
            goes, changes = len(leaving[service]), len(changing[service])
            lines.append(
                GuardLine(
                    service=service,
                    leaving=goes,
                    leaving_limit=limit,
                    replacing=changes,
                    replacing_limit=climit,
                    ours=ours,
                )
            )
            if goes and not (o.allow_disjoint or o.destroy) and self._is_disjoint(service, diff):
                self._hold(
                    service,
                    "disjoint",
                    lambda a: is_undesired(a) or isinstance(a, Add),
                    f"we own {ours} name{'s' * (ours != 1)} at {service} and none of them is desired there: "
                    f"another manifest named {self.manifest.owner!r}?",
                    resolve="--allow-disjoint",
                )
            elif goes > limit and not deletes_ok:
                given = "" if o.allow_deletes is None else f" (--allow-deletes {o.allow_deletes} is less)"
                self._hold(
                    service,
                    "deletes",
                    lambda a: is_undesired(a) or isinstance(a, Add),
                    f"{goes} of our {ours} names would leave {service}, {limit} may{given}",
                    resolve=f"--allow-deletes {all_leaving}",
                )
            if changes > climit and not replaces_ok:
                self._hold(
                    service,
                    "replaces",
                    partial(is_change, changing[service]),
                    f"{changes} of our {ours} names would change their CID at {service}, {climit} may",
                    resolve=f"--allow-replaces {all_changing}",
                )
        return tuple(lines)

    def _is_disjoint(self, service: str, diff: ServiceDiff) -> bool:
        if diff.service.state == "retiring" or not any(self.desire.by_service.values()):
            return False  # known to be emptied; and an empty manifest has a guard of its own
        if service == LOCAL and familiar(self.diffs):
            return False
        renamed = any(isinstance(a, Replace) and a.was for a in self.actions[service])
        # What a policy named for another node is `shrank`'s to hold back.
        former = Globs(w.former for wants in self.desire.wants.values() for w in wants if w.former)
        ours = {n for n in diff.ours if n in diff.wanted or former.match(n) is None}
        return bool(ours) and not renamed and ours.isdisjoint(diff.wanted) and ours.isdisjoint(diff.expired)


def guard(
    manifest: Manifest,
    desire: Desire,
    diffs: Mapping[str, ServiceDiff],
    overrides: Overrides,
    *,
    now: datetime,
    leaving: Leaving | None,
    sizes: Mapping[str, int] | None = None,
) -> Guarded:
    """All guards but the last-copy one, which needs to know what is left (`core.last_copy`).

    `leaving` says since when names have not been wanted, None where nothing is remembered; `sizes` are bytes of
    pinned roots by canonical CID, where somebody knows them.
    """
    return Guards(manifest, desire, diffs, overrides, now=now, leaving=leaving, sizes=sizes or {}).run()


def blocked(action: Change, guard: GuardName, reason: str, resolve: str = "") -> Blocked:
    would = {Add: "add", Replace: "replace", Retry: "retry", Delete: "delete"}[type(action)]
    return Blocked(
        service=action.service,
        name=action.name,
        cid=action.cid,
        origin=action.origin,
        whence=action.whence,
        would=would,  # type: ignore[arg-type]  # the four values are right above
        guard=guard,
        reason=reason,
        resolve=resolve,
        leaves=isinstance(action, Delete) and action.leaves,
    )


def _without(action: Action, protected: Callable[[str], bool]) -> Action:
    """A rotation leaves the roots that are protected by their names."""
    if not isinstance(action, Replace) or action.reason != "rotate":
        return action
    olds = tuple(v for v in action.olds if not protected(split_name(v.ref.name)[1]))
    return action if len(olds) == len(action.olds) else replace(action, olds=olds)
