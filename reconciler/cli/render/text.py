"""A plan as a person reads it on a terminal: by service, one line per action with its reason and origin."""

from collections.abc import Iterator

from reconciler.cli.render import words
from reconciler.cli.render.escape import cells, clip, pad, quoted, terminal
from reconciler.cli.render.style import PLAIN, Style, Tone
from reconciler.core.plan import Action, Blocked, Finding, Plan, Replace, ServicePlan

#: Lines per service for what is only added, retried or kept; deletes and what is blocked are never left out.
MAX_LINES = 200
#: Wider names push their own line to the right, not those of all others.
_MAX_NAME_WIDTH = 40
_SHOWN_KEYS = 5

_TONES: dict[words.Kind, Tone] = {
    "add": "add",
    "replace": "replace",
    "delete": "delete",
    "cleanup": "dim",
    "retry": "retry",
    "blocked": "blocked",
    "keep": "dim",
}
#: What is shown first when not everything can be.
_PRIORITY: tuple[words.Kind, ...] = ("delete", "blocked", "replace", "retry", "add", "cleanup", "keep")


def render_text(plan: Plan, *, style: Style = PLAIN, full: bool = True, verbose: bool = False) -> str:
    """The whole plan. Not `full`: at most `MAX_LINES` a service, and what is left out is counted."""
    return "\n".join(_lines(plan, style, full, verbose)) + "\n"


def _lines(plan: Plan, style: Style, full: bool, verbose: bool) -> Iterator[str]:
    by_service: dict[str, list[Action]] = {s.service: [] for s in plan.services}
    for action in plan.actions:
        by_service.setdefault(action.service, []).append(action)
    used = {words.SYMBOLS[words.kind_of(a)] for a in plan.actions}
    if used:
        legend = (f"{symbol} {word}" for symbol, word in words.LEGEND.items() if symbol in used)
        yield style("  " + "   ".join(legend), "dim")
        yield ""
    for service in plan.services:
        told: set[str] = {f.guard for f in plan.findings if f.service in ("", service.service)}
        yield from _service(service, by_service[service.service], told, style, full, verbose)
        yield ""
    if plan.resolved:
        yield "CIDs from outside the manifest"
        for whence, cid in sorted(plan.resolved.items())[:MAX_LINES]:
            yield f"  {terminal(whence)} = {terminal(cid)}"
        yield ""
    yield from _findings(plan, style)
    if plan.guards and (plan.changes or plan.blocked):
        yield "Guards"
        width = max(len(terminal(g.service)) for g in plan.guards)
        for line in plan.guards:
            over = line.leaving > line.leaving_limit or line.replacing > line.replacing_limit
            text = f"  {terminal(line.service):<{width}}  {words.guard_line(line)}"
            yield style(text, "bad") if over else text
        yield ""
    for note in plan.notes:
        yield f"Note: {terminal(note)}"
    if plan.notes:
        yield ""
    estimate = words.estimate(plan.services)
    if estimate and plan.changes:
        yield terminal(estimate)
    yield style(terminal(words.summary(plan)), "bold")


def _service(
    service: ServicePlan, actions: list[Action], told: set[str], style: Style, full: bool, verbose: bool
) -> Iterator[str]:
    """`told`: guards that have a finding of their own, which a line need not repeat for each name."""
    facts = terminal(clip(words.service_facts(service), 500))
    bad = not service.reachable or not service.complete
    yield f"{style(terminal(service.service), 'bold')}  {style(facts, 'bad' if bad else 'dim')}"
    for note in service.notes:
        yield style(f"    {terminal(note)}", "dim")
    shown, hidden = _choose(actions, full)
    rows = [(action, quoted(action.name), _cids(action, verbose)) for action in shown]
    name_width = min(max((cells(name) for _, name, _ in rows), default=0), _MAX_NAME_WIDTH)
    cid_width = max((cells(cids) for _, _, cids in rows), default=0)
    for action, name, cids in rows:
        kind = words.kind_of(action)
        reason = terminal(clip(words.why(action), 600))
        if isinstance(action, Blocked) and action.guard in told:
            reason = f"{action.would} held back: see [{action.guard}]"
        elif isinstance(action, Blocked) and action.resolve:
            reason += f" → {terminal(action.resolve)}"
        line = f"  {words.SYMBOLS[kind]} {pad(name, name_width)}  {pad(cids, cid_width)}  {reason}"
        where = words.origin(action)
        origin = f"  {style(f'[{terminal(where)}]', 'dim')}" if where else ""
        yield style(line, _TONES[kind]) + origin
    if hidden:
        counted = ", ".join(f"{n:,} {word}" for word, n in hidden.items())
        yield style(f"  … and {counted} more (--full shows all)", "dim")


def _choose(actions: list[Action], full: bool) -> tuple[list[Action], dict[str, int]]:
    """The lines of a service in the order of their names, and how many of each kind are left out."""
    hidden: dict[str, int] = {}
    if not full and len(actions) > MAX_LINES:
        ranked = sorted(actions, key=lambda a: _PRIORITY.index(words.kind_of(a)))
        actions = ranked[:MAX_LINES]
        for action in ranked[MAX_LINES:]:
            kind = words.kind_of(action)
            if kind in ("delete", "blocked"):
                actions.append(action)
                continue
            word = {"keep": "kept", "cleanup": "to clean up"}.get(kind, f"to {kind}")
            hidden[word] = hidden.get(word, 0) + 1
    return sorted(actions, key=lambda a: a.name), hidden


def _cids(action: Action, verbose: bool) -> str:
    show = str if verbose else words.short_cid
    if isinstance(action, Replace) and action.old_cid and action.old_cid != action.cid:
        return terminal(f"{show(action.old_cid)} → {show(action.cid)}")
    return terminal(show(action.cid))


def _findings(plan: Plan, style: Style) -> Iterator[str]:
    if not plan.findings:
        return
    yield "Findings"
    for finding in plan.findings:
        yield from finding_lines(finding, style)
    yield ""


def finding_lines(finding: Finding, style: Style) -> Iterator[str]:
    where = f"{finding.service}: " if finding.service else ""
    text = terminal(f"{where}{clip(finding.message, 600)}")
    tones: dict[str, Tone] = {"block": "bad", "unknown": "bad", "note": "dim"}
    yield style(f"  [{finding.guard}] {text}", tones[finding.severity])
    if finding.keys:
        shown = ", ".join(quoted(k) for k in finding.keys[:_SHOWN_KEYS])
        more = max(finding.count, len(finding.keys)) - len(finding.keys[:_SHOWN_KEYS])
        yield f"      {shown}" + (f" and {more:,} more" if more > 0 else "")
    if finding.override:
        yield f"      → {terminal(finding.override)}"
