"""Apply a plan that was saved: only its actions, and only if the world is still what it was made of."""

from datetime import UTC, datetime

from msgspec.structs import replace

from reconciler.core.errors import StalePlanError
from reconciler.core.model import Owner
from reconciler.core.plan import (
    PLAN_FORMAT,
    PLAN_MAX_AGE,
    Action,
    Blocked,
    Change,
    Delete,
    Fingerprint,
    Keep,
    Plan,
    Replace,
)
from reconciler.core.planning import Planned
from reconciler.engine.context import Context

#: Seconds by which the clock of the machine that made a plan may be ahead of ours.
MAX_AHEAD = 3600.0


def load_saved(fresh: Planned, saved: Plan, ctx: Context) -> Planned:
    """`fresh` (made with the saved plan's overrides and resolved CIDs) narrowed to what was saved.

    What is already done, first halves too, counts as done. Newer differences are in `.newer`, and are not applied.
    Raises StalePlanError, with nothing done, if the plan is too old, of another manifest, or if what is under a
    key it touches has moved; also if the journal knows that another run changed these keys since.
    """
    _still_valid(fresh.plan, saved, ctx)
    victims = {v for a in saved.changes for v in _victim_ids(a)}
    same = {_identity(a) for a in saved.changes}
    run: list[Action] = []
    newer: list[Action] = []
    for action in fresh.plan.actions:
        if isinstance(action, Keep | Blocked) or _identity(action) in same or _continues(action, victims):
            run.append(action)
        else:
            newer.append(action)
    _unmoved(fresh.plan, saved, newer)
    plan = replace(fresh.plan, id=saved.id, created=saved.created, actions=tuple(run))
    return replace(fresh, plan=plan, newer=tuple(newer))


def made_at(saved: Plan) -> datetime | None:
    """When a plan was made (UTC), or None if it does not say so in a way that can be read."""
    try:
        return datetime.fromisoformat(saved.created).astimezone(UTC)
    except ValueError:
        return None


def _still_valid(fresh: Plan, saved: Plan, ctx: Context) -> None:
    hint = "make a new one: pinrec plan --out FILE"
    if saved.format.partition(".")[0] != PLAN_FORMAT.partition(".")[0]:
        raise StalePlanError(
            f"this plan has format {saved.format}, this pinrec reads {PLAN_FORMAT}", hint=hint
        )
    made = made_at(saved)
    if made is None:
        raise StalePlanError(f"this plan has no valid time: {saved.created!r}", hint=hint)
    age = (ctx.now - made).total_seconds()
    if age < -MAX_AHEAD:
        raise StalePlanError(
            f"this plan was made {-age / 3600:.0f} h in the future by the clock here, so that its age is unknown",
            hint="set the clock, or " + hint,
        )
    if age > PLAN_MAX_AGE:
        raise StalePlanError(
            f"this plan is {age / 3600:.0f} h old, {PLAN_MAX_AGE // 3600} h is the most", hint=hint
        )
    if saved.owner != fresh.owner:
        raise StalePlanError(f"this plan is of {saved.owner!r}, the manifest of {fresh.owner!r}", hint=hint)
    if saved.digest != fresh.digest:
        raise StalePlanError(f"{fresh.manifest} is not what it was when this plan was made", hint=hint)
    if ctx.journal is not None:
        keys = {a.key for a in saved.changes}
        if changed := ctx.journal.changed_after(saved.owner, keys, made, except_plan=saved.id):
            service, name = min(changed)
            raise StalePlanError(
                f"another run has changed {service}/{name} since this plan was made", hint=hint
            )


def _unmoved(fresh: Plan, saved: Plan, newer: list[Action]) -> None:
    """A key has moved if something new is to be done to it, or its pins differ and the plan's work is not done."""
    touched_anew = {f"{a.service}/{a.name}" for a in newer}
    planned = {a.key: a for a in saved.changes if a.whence}
    for action in newer:
        then_from = planned.get(action.key)
        if then_from is not None and then_from.whence == action.whence and then_from.cid != action.cid:
            kind, _, where = action.whence.partition(": ")
            source = f"the folder {where}" if kind == "directory" else action.whence
            raise StalePlanError(
                f"{source} has changed since this plan was made: {action.service}/{action.name} would be another CID",
                hint="make a new one: pinrec plan --out FILE",
            )
    for key, then in saved.fingerprints.items():
        now = fresh.fingerprints.get(key)
        if key in touched_anew or (now is not None and now != then and not _done_half(then, now)):
            raise StalePlanError(
                f"what is under {key} has changed since this plan was made",
                hint="make a new one: pinrec plan --out FILE",
            )


def _done_half(then: tuple[Fingerprint, ...], now: tuple[Fingerprint, ...]) -> bool:
    """All that was there is still there, and what came is ours by the plan: a first half that was done."""
    return set(then) <= set(now) and all(p.owner == Owner.OURS.value for p in set(now) - set(then))


def _identity(action: Change) -> tuple[object, ...]:
    return type(action).__name__, action.service, action.name, action.cid, tuple(sorted(_victim_ids(action)))


def _victim_ids(action: Change) -> list[tuple[str, str]]:
    if isinstance(action, Delete):
        return [(action.service, action.victim.ref.requestid)]
    if isinstance(action, Replace):
        return [(action.service, v.ref.requestid) for v in action.olds]
    return []


def _continues(action: Change, victims: set[tuple[str, str]]) -> bool:
    """The second half of a replace whose first half was done by an earlier, interrupted apply of the plan."""
    return isinstance(action, Delete) and (action.service, action.victim.ref.requestid) in victims
