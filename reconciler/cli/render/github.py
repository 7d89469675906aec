"""Annotations for GitHub Actions: workflow commands that point at the line of the manifest.

A step shows ten annotations of each level and drops the rest without a word, so ours say how many there are.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from reconciler.cli.render import words
from reconciler.cli.render.escape import clip, github_message, github_property, quoted
from reconciler.core.errors import Problem
from reconciler.core.manifest import Note
from reconciler.core.plan import Action, Blocked, Plan
from reconciler.core.report import Report

MAX_PER_LEVEL = 10
_ORIGIN = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?::\d+)?")

_Line = tuple[str, str, str, str]  # level, origin, title, message


def annotations(plan: Plan) -> list[str]:
    """A line per thing to look at: errors for what is blocked, warnings for deletes and what is not known."""
    return _limited(_of_plan(plan))


def report_annotations(report: Report) -> list[str]:
    return _limited(_of_report(report))


def problem_annotations(problems: list[Problem]) -> list[str]:
    """The problems of a manifest, each at its place."""
    lines = []
    for problem in problems:
        place = f"{problem.file}:{problem.line}" if problem.line else problem.file
        message = problem.message + (f" ({problem.hint})" if problem.hint else "")
        lines.append(("error", place, "pinrec: invalid manifest", message))
    return _limited(lines)


def note_annotations(notes: Sequence[Note]) -> list[str]:
    """What `validate` found worth a line although it is no error."""
    lines = ((f"{note.file}:{note.line}" if note.line else note.file, note.message) for note in notes)
    return _limited(("notice", place, "pinrec: note", message) for place, message in lines)


def _of_plan(plan: Plan) -> Iterator[_Line]:
    for finding in plan.findings:
        level = {"block": "error", "unknown": "warning", "note": "notice"}[finding.severity]
        message = finding.message + (f" → {finding.override}" if finding.override else "")
        where = f" at {finding.service}" if finding.service else ""
        yield level, "", f"pinrec: {finding.guard}{where}", message
    for action in plan.actions:
        kind = words.kind_of(action)
        if isinstance(action, Blocked):
            resolve = f" → {action.resolve}" if action.resolve else ""
            yield "error", action.origin, _title(action), words.why(action) + resolve
        elif kind == "delete":
            yield "warning", action.origin, _title(action), words.why(action)
        elif kind != "keep" and action.origin:
            yield "notice", action.origin, _title(action), words.why(action)
    yield "notice", "", "pinrec plan", words.summary(plan)


def _of_report(report: Report) -> Iterator[_Line]:
    for text in words.second_writer(report):
        yield "error", "", "pinrec: second writer", text
    for service in report.services:
        if service.stopped:
            yield "error", "", f"pinrec: {service.service} stopped", service.stopped
    for outcome in report.outcomes:
        if outcome.result != "done":
            level = "error" if outcome.result == "failed" else "warning"
            title = f"pinrec: {outcome.action} {outcome.result}: {outcome.service} {quoted(outcome.name)}"
            yield level, "", title, outcome.why or outcome.result
    yield "notice", "", "pinrec apply", words.report_summary(report)


def _title(action: Action) -> str:
    verb = {"cleanup": "clean up"}.get(words.kind_of(action), words.kind_of(action))
    return f"pinrec: {verb} {action.service} {quoted(action.name)}"


def _limited(lines: Iterable[_Line]) -> list[str]:
    by_level: dict[str, list[_Line]] = {"error": [], "warning": [], "notice": []}
    for line in lines:
        by_level[line[0]].append(line)
    out = []
    for level, found in by_level.items():
        group = found
        if len(group) > MAX_PER_LEVEL:
            # The last one is the summary where there is one, and always worth its place.
            rest = len(group) - MAX_PER_LEVEL + 1
            more = (level, "", "pinrec", f"{rest:,} more of this kind: see the log of this step")
            group = [*group[: MAX_PER_LEVEL - 2], more, group[-1]]
        out += [_command(line) for line in group]
    return out


def _command(line: _Line) -> str:
    level, origin, title, message = line
    properties = []
    if match := _ORIGIN.fullmatch(origin):
        properties += [f"file={github_property(match['file'])}", f"line={match['line']}"]
    elif origin:
        properties.append(f"file={github_property(origin)}")
    properties.append(f"title={github_property(clip(title, 200))}")
    return f"::{level} {','.join(properties)}::{github_message(clip(message, 600))}"
