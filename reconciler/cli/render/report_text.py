"""What an apply did, as a person reads it: what needs attention first, and one final sentence."""

from collections.abc import Iterator

from reconciler.cli.render import words
from reconciler.cli.render.escape import cells, clip, pad, quoted, terminal
from reconciler.cli.render.style import PLAIN, Style, Tone
from reconciler.core.report import Outcome, Report, ServiceReport

#: Lines per service for what simply went well; the rest is always shown.
MAX_DONE = 50
_TONES: dict[str, Tone] = {
    "done": "good",
    "waiting": "replace",
    "failed": "bad",
    "skipped": "blocked",
    "moved": "blocked",
}
_WORDS = {"done": "done", "waiting": "waiting", "failed": "FAILED", "skipped": "skipped", "moved": "moved"}


def render_report_text(
    report: Report, *, style: Style = PLAIN, full: bool = True, verbose: bool = False
) -> str:
    return "\n".join(_lines(report, style, full, verbose)) + "\n"


def _lines(report: Report, style: Style, full: bool, verbose: bool) -> Iterator[str]:
    by_service: dict[str, list[Outcome]] = {s.service: [] for s in report.services}
    for outcome in report.outcomes:
        by_service.setdefault(outcome.service, []).append(outcome)
    facts = {s.service: s for s in report.services}
    for service, outcomes in by_service.items():
        if not outcomes and not (service in facts and (facts[service].stopped or facts[service].notes)):
            continue
        yield from _service(service, facts.get(service), outcomes, style, full, verbose)
        yield ""
    for text in words.second_writer(report):
        yield style(terminal(text), "bad")
        yield ""
    yield style(terminal(words.report_summary(report)), "bold")


def _service(
    name: str, facts: ServiceReport | None, outcomes: list[Outcome], style: Style, full: bool, verbose: bool
) -> Iterator[str]:
    requests = f"  {words.plural(facts.requests, 'request')}" if facts else ""
    yield style(terminal(name), "bold") + style(requests, "dim")
    if facts and facts.stopped:
        yield style(f"    stopped: {terminal(clip(facts.stopped))}", "bad")
    for note in facts.notes if facts else ():
        yield style(f"    {terminal(note)}", "dim")
    if facts and (line := _delegates(facts, outcomes, verbose)):
        yield style(f"    {terminal(line)}", "dim")
    done = 0
    width = min(max((cells(quoted(o.name)) for o in outcomes), default=0), 40)
    for outcome in sorted(outcomes, key=lambda o: (words.RESULT_ORDER.index(o.result), o.name)):
        done += outcome.result == "done"
        if done > MAX_DONE and not full:
            continue
        cid = terminal(outcome.cid if verbose else words.short_cid(outcome.cid))
        why = f"  {terminal(clip(outcome.why, 600))}" if outcome.why else ""
        head = style(f"{_WORDS[outcome.result]:<7}", _TONES[outcome.result])
        yield f"  {head}  {outcome.action:<7}  {pad(quoted(outcome.name), width)}  {cid}{why}"
    if done > MAX_DONE and not full:
        yield style(f"  … and {done - MAX_DONE:,} more done (--full shows all)", "dim")


def _delegates(facts: ServiceReport, outcomes: list[Outcome], verbose: bool) -> str:
    """How far the node could help; of interest without being asked for only where it could not and pins wait."""
    if verbose and (facts.dialled or facts.undialled):
        skipped = f"; {facts.undialled} more cannot be dialled" if facts.undialled else ""
        return f"the node reached {facts.connected} of {words.plural(facts.dialled, 'delegate')}{skipped}"
    if facts.dialled and not facts.connected and any(o.result == "waiting" for o in outcomes):
        if facts.dialled == 1:
            return f"the delegate of {facts.service} could not be reached by the node"
        return f"none of the {facts.dialled} delegates of {facts.service} could be reached by the node"
    return ""
