"""What the doctor found out about a node, as lines, or as JSON. Words of the node are escaped."""

import textwrap
from typing import Final

from reconciler.cli.render.escape import clip, terminal
from reconciler.cli.render.machine import render_json
from reconciler.cli.render.style import PLAIN, Style
from reconciler.cli.render.words import plural
from reconciler.node.findings import NodeExamination, NodeFinding

_WIDTH: Final = 100
_TITLES: Final = {
    "version": "Version",
    "identity": "Identity",
    "reachability": "Reachability",
    "mfs": "MFS",
    "lazy": "MFS, what is only linked",
    "policy": "Kubo's own MFS policy",
    "gc": "Garbage collection",
}
_SIGNS: Final = {"ok": " ", "note": " ", "warning": "!", "problem": "!!", "unknown": "?"}


def examination(found: NodeExamination, *, as_json: bool, style: Style = PLAIN) -> str:
    if as_json:
        return render_json(found)
    parts = [style(f"The node at {terminal(clip(found.node))}", "bold") + "\n"]
    for topic, title in _TITLES.items():
        if mine := [f for f in found.findings if f.topic == topic]:
            parts.append(style(f"{title}:", "bold") + "\n" + "".join(_finding(f) for f in mine))
    if found.public:
        lines = "".join(f"    {terminal(clip(address, 300))}\n" for address in found.public)
        parts.append(style("Told to services on the public network:", "bold") + "\n" + lines)
    parts.append(_end(found))
    return "\n".join(parts)


def _finding(finding: NodeFinding) -> str:
    text = _filled(finding.text, f"{_SIGNS[finding.level]:>2}  ", "    ")
    if finding.hint:
        text += _filled(finding.hint, "    → ", "      ")
    if finding.command:
        # Not wrapped, so that it can be copied.
        text += f"      $ {terminal(clip(finding.command, 500))}\n"
    return text


def _filled(text: str, first: str, rest: str) -> str:
    return (
        textwrap.fill(
            terminal(clip(text, 1000)),
            _WIDTH,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
        + "\n"
    )


def _end(found: NodeExamination) -> str:
    bad = sum(f.level in ("warning", "problem") for f in found.findings)
    unknown = sum(f.level == "unknown" for f in found.findings)
    said = f"{plural(bad, 'thing')} to look at" if bad else "Nothing to mend"
    if unknown:
        said += f", {unknown} could not be found out"
    return f"{said}; {plural(found.requests, 'request')} in {found.seconds:.1f} s.\n"
