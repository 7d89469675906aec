"""The story of one key, service by service."""

from collections.abc import Iterator, Sequence
from typing import Literal

from reconciler.cli.render import words
from reconciler.cli.render.escape import clip, quoted, terminal
from reconciler.cli.render.machine import render_json
from reconciler.cli.render.style import PLAIN, Style
from reconciler.cli.render.text import finding_lines
from reconciler.core.explain import Explanation
from reconciler.core.model import Remote
from reconciler.core.plan import Blocked


def explanations(told: Sequence[Explanation], form: Literal["text", "json"], *, style: Style = PLAIN) -> str:
    if form == "json":
        return render_json(list(told))
    return "\n\n".join("\n".join(_lines(e, style)) for e in told) + "\n"


def _lines(e: Explanation, style: Style) -> Iterator[str]:
    yield style(f"{quoted(e.name)} at {terminal(e.service)}", "bold")
    if e.desired is None:
        yield "  wanted    no"
    else:
        d = e.desired
        whence = f", from {terminal(d.whence)}" if d.whence else ""
        protect = ", protected" if d.spec.protect else ""
        yield f"  wanted    {terminal(str(d.cid))}  [{terminal(d.origin)}{whence}{protect}]"
    if not e.remotes:
        unknown = any(f.severity == "unknown" and f.service == e.service for f in e.findings)
        yield "  there     not known" if unknown else "  there     nothing under this name"
    for i, remote in enumerate(e.remotes):
        yield f"  {'there' if not i else '':<9} {_remote(remote)}"
    yield "  why"
    for i, step in enumerate(e.steps, 1):
        yield f"    {i}. {terminal(clip(step, 600))}"
    for finding in e.findings:
        yield from finding_lines(finding, style)
    if not e.actions:
        yield "  so        nothing to do"
    for action in e.actions:
        symbol = words.SYMBOLS[words.kind_of(action)]
        yield f"  so        {symbol} {terminal(words.short_cid(action.cid))}  {terminal(clip(words.why(action), 600))}"
        if isinstance(action, Blocked) and action.resolve:
            yield f"              → {terminal(action.resolve)}"


def _remote(remote: Remote) -> str:
    listed = f", listed as {quoted(remote.listed_name)}" if remote.listed_name != remote.name else ""
    info = f", info {terminal(clip(str(remote.info)))}" if remote.info else ""
    return (
        f"{terminal(remote.cid.text)}  {terminal(remote.status)}, {remote.owner.value}, "
        f"created {terminal(remote.created)}, id {terminal(remote.requestid)}{listed}{info}"
    )
