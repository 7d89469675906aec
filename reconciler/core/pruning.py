"""What would be deleted but stays: by `prune: false`, by `--no-prune`, or because its grace has not run out."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from reconciler.core.plan import Action, Delete, Keep, Replace
from reconciler.core.service_diff import ServiceDiff

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
        else:
            due = leaving.get(a.key, now) + timedelta(seconds=seconds)
            kept.append(a if due <= now else _keep(a, "grace", f"deleted after {due:%Y-%m-%d %H:%M}Z"))
    if leaving is None and any(isinstance(a, Keep) and a.reason == "grace" for a in kept):
        diff.notes.append("deleteGrace needs a kept state directory: without one nothing is deleted here")
    return kept


def _keep(action: Delete, reason: str, detail: str) -> Keep:
    return Keep(
        service=action.service,
        name=action.name,
        cid=action.cid,
        origin=action.origin,
        reason="grace" if reason == "grace" else "prune-off",
        detail=detail,
    )
