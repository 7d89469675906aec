"""What would be deleted but stays: by `prune: false`, by `--no-prune`, or because its grace has not run out."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from reconciler.core.model import MAX_SKEW, Listing, Unknown
from reconciler.core.plan import Action, Delete, Keep, Replace
from reconciler.core.service_diff import ServiceDiff
from reconciler.core.unknowing import owns

#: (service, name) → since when it is not wanted any more
Leaving = Mapping[tuple[str, str], datetime]


def without_prune(actions: Sequence[Action], diff: ServiceDiff, *, prune: bool) -> list[Action]:
    """`prune: false` never deletes at a service; `--no-prune` (`prune` False) lets no name leave in this run."""
    never = not diff.service.prune
    if prune and not never:
        return list(actions)
    kept: list[Action] = []
    for a in actions:
        if isinstance(a, Delete) and (never or a.leaves):
            kept.append(_keep(a, "prune-off", "prune: false" if never else "--no-prune"))
        elif isinstance(a, Replace) and (never or a.reason == "rotate") and a.olds:
            kept.append(replace(a, olds=()))
        else:
            kept.append(a)
    return kept


def with_grace(
    actions: Sequence[Action], diff: ServiceDiff, seconds: float, *, now: datetime, leaving: Leaving | None
) -> list[Action]:
    """`deleteGrace`: what is not wanted any more is listed as leaving, with the time, before it may go.

    `leaving` is None where nothing is remembered: then nothing is ever deleted under a grace, and the plan says so.
    """
    if not seconds:
        return list(actions)
    kept: list[Action] = []
    for a in actions:
        if not isinstance(a, Delete) or a.reason not in ("undesired", "expired"):
            kept.append(a)
        elif leaving is None:
            kept.append(_keep(a, "grace", "no state is kept, so it stays"))
        elif clock_is_off(diff.listing):
            kept.append(_keep(a, "grace", f"the clock of {diff.service.name} is a day or more off ours"))
        else:
            # A time to come is one of a clock that was wrong then.
            due = min(leaving.get(a.key, now), now) + timedelta(seconds=seconds)
            kept.append(a if due <= now else _keep(a, "grace", f"deleted after {due:%Y-%m-%d %H:%M}Z"))
    if leaving is None and any(isinstance(a, Keep) and a.reason == "grace" for a in kept):
        diff.notes.append("deleteGrace needs a kept state directory: without one nothing is deleted here")
    return kept


def clock_is_off(listing: Listing) -> bool:
    """Whether the service says another day than our clock does: then ours measures no grace."""
    return listing.clock_skew is not None and abs(listing.clock_skew) > MAX_SKEW


def still_leaving(diff: ServiceDiff, unknown: Iterable[Unknown]) -> set[str]:
    """Names of ours that nothing wants here, whatever a guard or `--target` makes of them in this run.

    Not those that a source which could not say might want.
    """
    could = [owns(u) for u in unknown if u.service in ("", diff.service.name)]
    return {n for n in diff.ours if n not in diff.wanted and not any(own(n) for own in could)}


def _keep(action: Delete, reason: str, detail: str) -> Keep:
    return Keep(
        service=action.service,
        name=action.name,
        cid=action.cid,
        origin=action.origin,
        reason="grace" if reason == "grace" else "prune-off",
        detail=detail,
    )
