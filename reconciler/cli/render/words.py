"""What plans and reports say, in words: shared by every format that people read.

Nothing here is escaped; each renderer escapes what it prints.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.local import LOCAL
from reconciler.core.plan import (
    Action,
    Add,
    Blocked,
    Delete,
    GuardLine,
    Keep,
    Plan,
    Replace,
    Retry,
    ServicePlan,
)
from reconciler.core.report import Report

Kind = Literal["add", "replace", "delete", "retry", "cleanup", "blocked", "keep"]

SYMBOLS: Final[dict[Kind, str]] = {
    "add": "+",
    "replace": "~",
    "delete": "-",
    "retry": "!",
    "cleanup": "-",
    "blocked": "·",
    "keep": "=",
}
LEGEND: Final[dict[str, str]] = {
    "+": "add",
    "~": "replace",
    "-": "delete",
    "!": "retry",
    "·": "blocked",
    "=": "kept as it is",
}
_REPLACE: Final = {
    "cid": "the manifest wants another CID",
    "meta": "meta differs",
    "rotate": "a new root; the oldest goes once it is pinned",
    "rename": "its name at the service differs",
    "revert": "the manifest goes back to this CID; pinned anew to be the newest",
}
_DELETE: Final = {
    "undesired": "not wanted here any more",
    "expired": "expired",
    "rotated": "an earlier root, beyond what its policy retains",
    "released": "the service is retiring: released once the others hold it",
    "superseded": "clean-up: a newer pin of this name has taken its place",
    "duplicate": "clean-up: a duplicate",
    "failed": "clean-up: it failed, and nothing needs it",
}
_KEEP: Final = {
    "held": "held, not ours",
    "waiting": "waiting: accepted by the service, not pinned yet",
    "satisfied": "satisfied by a pin that carries another name",
    "left": "left as it is",
    "suspended": "the service is suspended: observed, never changed",
    "prune-off": "not wanted here any more, but kept",
    "grace": "not wanted any more; leaving",
    "unknown": "kept: what is wanted is not known",
    "switched-off": "kept: its policy is switched off",
    "wait-second-half": "the old pin stays until the new one is pinned",
}
_HOW: Final = {
    "safe": "",
    "modify": "by the service's own replace",
    "overwrite": "by adding it again",
    "inPlace": "in place",
    "shared": "another name carries this CID here",
}
#: Keeps that differ from what the manifest says.
_DRIFT: Final = ("left", "suspended", "prune-off", "grace")


def kind_of(action: Action) -> Kind:
    match action:
        case Add():
            return "add"
        case Replace():
            return "replace"
        case Retry():
            return "retry"
        case Delete():
            return "delete" if action.leaves else "cleanup"
        case Blocked():
            return "blocked"
        case Keep():
            return "keep"


def short_cid(cid: str) -> str:
    """Enough of a CID to tell it from the others of a plan: `bafybei…4mhc6qui`."""
    return cid if len(cid) <= 18 else f"{cid[:7]}…{cid[-8:]}"


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def origin(action: Action) -> str:
    """Where a person finds what asks for it: `pins.yaml:14`, and where its CID comes from if not from there."""
    return ", ".join(filter(None, (action.origin, action.whence and f"CID from {action.whence}")))


def why(action: Action) -> str:
    """The reason of an action, as a person would give it."""
    match action:
        case Add():
            text = "not there yet"
        case Replace():
            text = f'renamed from "{action.was}"' if action.was else _REPLACE[action.reason]
            if action.reason == "cid" and action.origin.startswith("policy "):
                text = "its root has changed"
        case Retry():
            text = (
                f"failed {len(action.failed)} times; tried anew"
                if len(action.failed) > 1
                else "failed; tried anew"
            )
        case Delete():
            text = _DELETE[action.reason]
        case Keep():
            return _KEEP[action.reason] + (f": {action.detail}" if action.detail else "")
        case Blocked():
            return f"{action.would} blocked: {action.reason}"
    if action.size is not None:
        text += f", {amount(action.size)}"
    if isinstance(action, Add) and action.beside:
        text += f"; beside {plural(action.beside, 'pin')} of that name, not ours"
    if isinstance(action, Replace):
        # CID and name stand in columns of their own.
        fields = [_field(c.path, c.old, c.new) for c in action.changes if c.path not in ("cid", "name")]
        text += (": " if fields else "") + ", ".join(fields)
        if _HOW[action.how]:
            text += f" ({_HOW[action.how]})"
    return text


def _field(path: str, old: str | None, new: str | None) -> str:
    return f"{path} {'(none)' if old is None else old} → {'(none)' if new is None else new}"


class Counts(Struct, frozen=True, kw_only=True):
    """What a plan would do. Adds, replaces, retries and deletes count names at a service, clean-ups pins."""

    add: int = 0
    replace: int = 0
    delete: int = 0
    retry: int = 0
    cleanup: int = 0
    blocked: int = 0
    held: int = 0
    waiting: int = 0
    #: Kept although it differs from the manifest: a suspended service, `prune: false`.
    drift: int = 0
    unchanged: int = 0

    @property
    def changes(self) -> int:
        return self.add + self.replace + self.delete + self.retry + self.cleanup


def count(actions: Iterable[Action], services: Sequence[ServicePlan]) -> Counts:
    """A name whose two pins leave is one delete, as in the guards and in `--allow-deletes`."""
    seen: dict[Kind, int] = dict.fromkeys(SYMBOLS, 0)
    leaving: set[tuple[str, str]] = set()
    drift = 0
    for action in actions:
        kind = kind_of(action)
        if kind == "delete":
            leaving.add(action.key)
        else:
            seen[kind] += 1
        drift += isinstance(action, Keep) and action.reason in _DRIFT
    return Counts(
        add=seen["add"],
        replace=seen["replace"],
        delete=len(leaving),
        retry=seen["retry"],
        cleanup=seen["cleanup"],
        blocked=seen["blocked"],
        held=sum(s.held for s in services if s.service != LOCAL),
        waiting=sum(s.waiting for s in services),
        drift=drift,
        unchanged=sum(s.unchanged for s in services),
    )


def _rest(c: Counts) -> str:
    """What is not going to be done, as far as there is any."""
    parts = (
        (c.unchanged, "unchanged"),
        (c.blocked, "blocked"),
        (c.held, "held"),
        (c.waiting, "waiting"),
        (c.drift, "left as found"),
    )
    return ", ".join(f"{n:,} {word}" for n, word in parts if n)


def summary(plan: Plan) -> str:
    """The one sentence a plan ends with. It says "No changes" only of what is known to be as it should be."""
    c = count(plan.actions, plan.services)
    dark = [s.service for s in plan.services if not s.reachable]
    partial = [s.service for s in plan.services if s.reachable and not s.complete]
    rest = _rest(c)
    if c.changes:
        parts = [f"{c.add:,} to add", f"{c.replace:,} to replace", f"{c.delete:,} to delete"]
        parts += [f"{c.retry:,} to retry"] * bool(c.retry)
        parts += [f"{c.cleanup:,} to clean up"] * bool(c.cleanup)
        tail = [rest] * bool(rest) + [f"nothing is known of {', '.join(dark)}"] * bool(dark)
        return "; ".join(("Plan: " + ", ".join(parts), *tail)) + "."
    unknown = any(f.severity == "unknown" for f in plan.findings)
    stuck = c.blocked or any(f.severity == "block" for f in plan.findings)
    if dark or partial or unknown or stuck:
        reasons = [f"{c.blocked:,} blocked"] * bool(c.blocked)
        reasons += ["a guard holds everything back"] * bool(stuck and not c.blocked)
        reasons += [f"nothing is known of {', '.join(dark)}"] * bool(dark)
        reasons += [f"{', '.join(partial)} could not be read whole"] * bool(partial)
        reasons += ["something is not known"] * bool(unknown and not dark and not partial)
        rest = _rest(replace(c, blocked=0))
        return f"Nothing can be done now: {', '.join(reasons)}" + (f"; {rest}" if rest else "") + "."
    if plan.overrides.destroy and c.drift:
        return f"No changes to make ({rest})."
    if plan.overrides.destroy:
        return "No changes. The services hold nothing of ours."
    if c.waiting:
        return f"No changes to make: what is missing has been accepted and is not pinned yet ({rest})."
    narrowed = plan.overrides.targets or plan.overrides.services
    what = "what was asked for with --target and --service" if narrowed else "what the manifest says"
    if c.held or c.drift:
        return f"No changes to make ({rest})."
    return f"No changes. The services hold {what}."


def guard_line(line: GuardLine) -> str:
    return (
        f"{line.leaving:,} of {line.leaving_limit:,} allowed deletes, "
        f"{line.replacing:,} of {line.replacing_limit:,} allowed replaces ({line.ours:,} ours)"
    )


def duration(seconds: float) -> str:
    """`45 s`, `7 min`, `2 h 30 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def amount(size: int) -> str:
    """`156 B`, `3.0 MB`."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):  # the last one is used
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{size:,} B" if unit == "B" else f"{value:,.1f} {unit}"


def estimate(services: Sequence[ServicePlan]) -> str:
    """Lanes run side by side, so the slowest one is the time; "" if nothing is to be sent."""
    requests = sum(s.estimate.requests for s in services)
    if not requests:
        return ""
    slowest = max(services, key=lambda s: s.estimate.seconds)
    text = f"About {plural(requests, 'request')}"
    if slowest.estimate.seconds >= 1:
        text += f", at least {duration(slowest.estimate.seconds)}"
        if len(services) > 1:
            text += f" (at {slowest.service})"
    return text + ", plus the time the services take to pin."


def service_facts(service: ServicePlan) -> str:
    """The line beside a service's name."""
    # Errors of a service begin with its name, which stands beside this already.
    why = service.why.removeprefix(f"{service.service}: ")
    if not service.reachable:
        return "nothing is known of it" + (f": {why}" if why else "")
    parts = [f"{service.unchanged:,} unchanged"]
    parts += [f"{service.waiting:,} waiting"] * bool(service.waiting)
    parts += [f"{service.held:,} held"] * bool(service.held)
    adopted = f" and {service.adopted:,} adopted" if service.adopted else ""
    parts.append(f"{plural(service.seen, 'pin')} there, {service.ours:,} of them ours{adopted}")
    if service.state != "active":
        parts.append(service.state)
    if not service.complete:
        parts.append("the listing is not whole" + (f": {why}" if why else ""))
    return ", ".join(parts)


_PAST: Final = {
    "add": "added",
    "replace": "replaced",
    "delete": "deleted",
    "retry": "retried",
    "wait": "pinned that was waited for",
}


def report_summary(report: Report) -> str:
    """The one sentence an apply ends with."""
    if not report.outcomes and not report.interrupted:
        return f"Nothing was to be done ({duration(report.seconds)})."
    done = dict.fromkeys(_PAST, 0)
    for outcome in report.outcomes:
        if outcome.result == "done":
            done[outcome.action] += 1
    # What came of a request that was sent is told by its id.
    sent = [o for o in report.outcomes if o.requestid and o.action in ("add", "replace", "retry")]
    left = sum(o.result == "failed" for o in sent)
    others = (
        (report.count("waiting"), "accepted and not pinned yet"),
        (
            report.count("failed"),
            "failed" + (f" and left {plural(left, 'failed pin')} there" if left else ""),
        ),
        (report.count("skipped"), "skipped"),
        (report.count("moved"), "changed meanwhile and left alone"),
    )
    past = ", ".join(f"{n:,} {_PAST[a]}" for a, n in done.items() if n)
    rest = ", ".join(f"{n:,} {word}" for n, word in others if n)
    if not past and not report.count("waiting") and not sent:
        past = "nothing was changed"
    head = (
        "Interrupted"
        if report.interrupted
        else "Applied"
        if any(done.values()) or report.count("waiting") or not rest
        else "Not applied"
    )
    return f"{head}: {'; '.join(filter(None, (past, rest)))} ({duration(report.seconds)})."


def second_writer(report: Report) -> tuple[str, ...]:
    """The warning that somebody else changes the same pins, or nothing."""
    if not report.second_writer:
        return ()
    shown = ", ".join(report.second_writer[:5])
    more = len(report.second_writer) - 5
    return (
        "Another writer changed what was being applied: "
        + shown
        + (f" and {more:,} more" if more > 0 else "")
        + ". Two manifests or two runs for one owner? See that only one runs at a time.",
    )


#: What needs a person comes first.
RESULT_ORDER: Final = ("failed", "moved", "skipped", "waiting", "done")
