"""A plan or a report for a pull request: Markdown that fits a byte budget and says what it left out.

GitHub refuses a comment of more than 65,536 characters. Summary, findings and guards always fit; then come
deletes, what is blocked, replaces, retries, adds, clean-ups and keeps, for as long as there is room.
"""

import re
from collections.abc import Iterable, Sequence

from reconciler.cli.render import words
from reconciler.cli.render.escape import clip, markdown, markdown_code
from reconciler.core.plan import Action, Blocked, Finding, Plan, Replace
from reconciler.core.report import Outcome, Report

DEFAULT_BUDGET = 60_000
#: Below this not even the summary would be sure to fit.
MIN_BUDGET = 4_000
#: Kept free for the line that says what was left out.
_RESERVE = 700
_MAX_FINDINGS = 20
_MAX_KEYS = 5

_HEADINGS: tuple[tuple[words.Kind, str], ...] = (
    ("delete", "Delete"),
    ("blocked", "Blocked"),
    ("replace", "Replace"),
    ("retry", "Retry"),
    ("add", "Add"),
    ("cleanup", "Clean up"),
    ("keep", "Kept as it is"),
)


def marker(kind: str, owner: str) -> str:
    """A comment nobody sees, the same for every plan of an owner: what a sticky comment is found by."""
    return f"<!-- pinrec:{kind}:{re.sub('[^a-z0-9-]', '', owner)} -->"


def render_markdown(plan: Plan, *, budget: int = DEFAULT_BUDGET) -> str:
    """At most `budget` bytes of UTF-8 (a comment may hold 65,536 characters)."""
    head = [marker("plan", plan.owner), f"### pinrec plan for {markdown_code(plan.owner)}", ""]
    head += [f"**{markdown(words.summary(plan))}**", ""]
    page = _Page(budget, head)
    page.always(_guards(plan))
    page.always(_findings(plan.findings, (budget - page.used) // 2))
    for service in plan.services:
        dark = not service.reachable or not service.complete
        if dark or service.notes:
            lines = [words.service_facts(service)] if dark else []
            for text in (*lines, *service.notes):
                page.line(f"- {markdown_code(service.service)}: {markdown(clip(text, 400))}", "note")
    for whence, cid in sorted(plan.resolved.items()):
        page.line(f"- {markdown_code(whence)} is {markdown_code(cid)}", "CID from outside")
    page.line("", "")
    groups: dict[words.Kind, list[Action]] = {}
    for action in plan.actions:
        groups.setdefault(words.kind_of(action), []).append(action)
    for kind, heading in _HEADINGS:
        group = sorted(groups.get(kind, ()), key=lambda a: a.key)
        rows = (_row(action) for action in group)
        page.table(
            f"{heading} ({len(group):,})", ("Service", "Name", "CID", "Why", "Where"), rows, len(group)
        )
    return page.text("run `pinrec plan` or see the JSON plan for the rest")


def render_report_markdown(report: Report, *, budget: int = DEFAULT_BUDGET) -> str:
    head = [marker("report", report.owner), f"### pinrec apply for {markdown_code(report.owner)}", ""]
    head += [f"**{markdown(words.report_summary(report))}**", ""]
    page = _Page(budget, head)
    page.always([f"> **{markdown(text)}**" for text in words.second_writer(report)])
    for service in report.services:
        for text in (*((f"stopped: {service.stopped}",) if service.stopped else ()), *service.notes):
            page.line(f"- {markdown_code(service.service)}: {markdown(clip(text, 400))}", "note")
    page.line("", "")
    for result in words.RESULT_ORDER:
        group: Sequence[Outcome] = [o for o in report.outcomes if o.result == result]
        rows = (
            (
                markdown_code(o.service),
                markdown_code(o.name),
                markdown_code(words.short_cid(o.cid)),
                _outcome(o),
            )
            for o in group
        )
        page.table(
            f"{result.capitalize()} ({len(group):,})", ("Service", "Name", "CID", "What"), rows, len(group)
        )
    return page.text("see `pinrec history` for the rest")


class _Page:
    """Lines that fit, and a count of those that did not."""

    def __init__(self, budget: int, head: Iterable[str]) -> None:
        self.budget = max(budget, MIN_BUDGET) - _RESERVE
        self.lines: list[str] = []
        self.used = 0
        self.left_out: dict[str, int] = {}
        self.always(head)

    def always(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._put(line)

    def line(self, line: str, what: str) -> bool:
        if self.used + _size(line) > self.budget:
            self.left_out[what] = self.left_out.get(what, 0) + 1
            return False
        self._put(line)
        return True

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], total: int) -> None:
        if not total:
            return
        head = [f"#### {title}", "", "| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
        room = self.budget - self.used - sum(map(_size, head)) - 1
        body: list[str] = []
        for row in rows:
            line = "| " + " | ".join(row) + " |"
            room -= _size(line)
            if room < 0:
                break
            body.append(line)
        if body:
            self.always([*head, *body, ""])
        if len(body) < total:
            what = title.rpartition(" (")[0].lower()
            self.left_out[what] = total - len(body)

    def text(self, where: str) -> str:
        if self.left_out:
            counted = ", ".join(f"{n:,} × {what}" for what, n in self.left_out.items())
            self._put(f"_Left out for length: {counted}; {where}._")
        return "\n".join(self.lines).rstrip("\n") + "\n"

    def _put(self, line: str) -> None:
        self.lines.append(line)
        self.used += _size(line)


def _size(line: str) -> int:
    return len(line.encode("utf-8", "surrogatepass")) + 1


def _row(action: Action) -> tuple[str, ...]:
    cid = markdown_code(words.short_cid(action.cid))
    if isinstance(action, Replace) and action.old_cid and action.old_cid != action.cid:
        cid = f"{markdown_code(words.short_cid(action.old_cid))} → {cid}"
    why = markdown(clip(words.why(action), 300))
    if isinstance(action, Blocked) and action.resolve:
        why += f"<br>→ {markdown_code(clip(action.resolve, 300))}"
    where = words.origin(action)
    origin = markdown_code(where) if where else ""
    return markdown_code(action.service), markdown_code(action.name), cid, why, origin


def _outcome(outcome: Outcome) -> str:
    return markdown(outcome.action + (f": {clip(outcome.why, 300)}" if outcome.why else ""))


def _guards(plan: Plan) -> list[str]:
    shown = plan.guards[:_MAX_FINDINGS]
    lines = [f"- Guards at {markdown_code(g.service)}: {markdown(words.guard_line(g))}" for g in shown]
    if len(plan.guards) > len(shown):
        lines.append(f"- Guards at {len(plan.guards) - len(shown)} more services")
    return [*lines, ""] if lines else []


def _findings(findings: Sequence[Finding], room: int) -> list[str]:
    """Blocking ones first; as many as fit `room` bytes, and at least a count of the others."""
    ranked = sorted(findings, key=lambda f: ("block", "unknown", "note").index(f.severity))
    lines: list[str] = []
    for finding in ranked[:_MAX_FINDINGS]:
        where = f"{markdown_code(finding.service)}: " if finding.service else ""
        text = f"- **{markdown(finding.guard)}** {where}{markdown(clip(finding.message, 300))}"
        if finding.keys:
            text += " " + ", ".join(markdown_code(clip(k, 100)) for k in finding.keys[:_MAX_KEYS])
            more = max(finding.count, len(finding.keys)) - len(finding.keys[:_MAX_KEYS])
            text += f" and {more:,} more" if more > 0 else ""
        if finding.override:
            text += f" → {markdown_code(clip(finding.override, 200))}"
        room -= _size(text)
        if room < 0:
            break
        lines.append(text)
    if len(lines) < len(ranked):
        lines.append(f"- {words.plural(len(ranked) - len(lines), 'more finding')}")
    return [*lines, ""] if lines else []
