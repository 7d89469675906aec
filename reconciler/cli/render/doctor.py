"""What the doctor found, as a table and sentences, or as JSON."""

import textwrap
from collections.abc import Iterable

from reconciler.cli.render.escape import clip, terminal
from reconciler.cli.render.machine import render_json
from reconciler.cli.render.style import PLAIN, Style
from reconciler.cli.render.table import table
from reconciler.cli.render.words import plural
from reconciler.core.learned import Value
from reconciler.services.examination import Examination, Finding

_HEAD = ("FIELD", "API", "PRESET", "OBSERVED", "HOLDS", "BY")
_WIDTH = 100


def examination(found: Examination, *, as_json: bool, style: Style = PLAIN, verbose: bool = False) -> str:
    if as_json:
        return render_json(found)
    parts = [table(_HEAD, (_row(f) for f in found.findings), style=style)]
    if deviations := [f for f in found.findings if f.means]:
        parts.append(_titled("What it means", (f"{f.field}: {f.means}" for f in deviations), style))
    if against := [f for f in found.findings if f.by == "manifest" and f.observed not in (None, f.holds)]:
        parts.append(
            _titled(
                "The manifest says otherwise, and holds",
                (f"{f.field}: {show(f.holds)} in the manifest, {show(f.observed)} observed" for f in against),
                style,
            )
        )
    if verbose:
        parts.append(
            _titled("How", (f"{f.field}: {f.how}" for f in found.findings if f.observed is not None), style)
        )
    if unknown := [f for f in found.findings if f.observed is None]:
        parts.append(_titled("Not determined", (f"{f.field}: {f.how}" for f in unknown), style))
    if found.observations:
        parts.append(
            _titled(
                "Also seen (! is not as the API says)",
                (f"{' ' if o.ok else '!'} {o.topic}: {o.text}" for o in found.observations),
                style,
            )
        )
    parts.append(_end(found))
    return "\n".join(parts)


def show(value: Value | None) -> str:
    """A value as a manifest writes it; `?` for what is not known."""
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return str(value)


def _row(f: Finding) -> tuple[str, ...]:
    return f.field, show(f.spec), show(f.preset), show(f.observed), show(f.holds), f.by


def _titled(title: str, lines: Iterable[str], style: Style) -> str:
    text = style(f"{title}:", "bold") + "\n"
    for line in lines:
        safe = terminal(clip(line, 500))
        text += textwrap.fill(
            safe, _WIDTH, initial_indent="  ", subsequent_indent="      ", break_long_words=False
        )
        text += "\n"
    return text


def _end(found: Examination) -> str:
    lines = []
    if found.cleaned:
        lines.append(f"Removed {plural(found.cleaned, 'throw-away pin')} of an earlier run.")
    for left in found.leftovers:
        what = f"{left.requestid or 'unknown requestid'} ({left.name})" if left.name else left.requestid
        lines.append(f"! left behind: {terminal(clip(what))}: {terminal(clip(left.why))}")
    if found.leftovers:
        lines.append("  They are removed by the next `pinrec doctor` of this service, or by hand.")
    if found.stopped:
        lines.append(f"Not finished: {terminal(clip(found.stopped))}.")
    known = len(found.determined)
    lines.append(
        f"{known} of {len(found.findings)} fields determined with {plural(found.requests, 'request')} "
        f"in {found.seconds:.0f} s."
    )
    return "\n".join(lines) + "\n"
