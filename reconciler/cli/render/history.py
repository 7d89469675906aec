"""Past runs, as the journal tells them."""

from collections.abc import Sequence
from typing import Literal

from reconciler.cli.render.escape import clip, quoted, terminal
from reconciler.cli.render.machine import render_json
from reconciler.cli.render.style import PLAIN, Style
from reconciler.cli.render.table import table
from reconciler.cli.render.words import duration, plural, short_cid
from reconciler.engine.journal import OutcomeRow, RunRow

Form = Literal["table", "json"]


def runs(found: Sequence[RunRow], form: Form, *, style: Style = PLAIN) -> str:
    if form == "json":
        return render_json(list(found))
    if not found:
        return "No runs yet.\n"
    rows = (
        (
            terminal(run.id),
            terminal(run.owner),
            terminal(run.what),
            f"{run.started:%Y-%m-%d %H:%M:%SZ}",
            _took(run),
            "-" if run.exit_code is None else str(run.exit_code),
            terminal(_counts(run)),
        )
        for run in found
    )
    return table(("RUN", "OWNER", "COMMAND", "STARTED", "TOOK", "EXIT", "OUTCOMES"), rows, style=style)


def one(
    run: RunRow, outcomes: Sequence[OutcomeRow], form: Form, *, style: Style = PLAIN, verbose: bool = False
) -> str:
    if form == "json":
        return render_json({"run": run, "outcomes": list(outcomes)})
    head = [
        f"{run.what} of {run.owner}, {run.started:%Y-%m-%d %H:%M:%SZ}, took {_took(run)}",
        f"by pid {run.pid} on {run.host}, pinrec {run.pinrec}, plan {run.plan}",
        "never ended: it was killed" if run.ended is None else f"exit code {run.exit_code}; {_counts(run)}",
    ]
    text = "".join(f"{terminal(line)}\n" for line in head)
    if not outcomes:
        return text + "\nIt sent no request that changes anything.\n"
    rows = (
        (
            f"{o.at:%H:%M:%S}",
            terminal(o.service),
            terminal(o.action),
            quoted(o.name),
            terminal(o.cid if verbose else short_cid(o.cid)),
            terminal(o.result or "no answer noted"),
            terminal(clip(o.why, 120)),
        )
        for o in outcomes
    )
    return f"{text}\n" + table(("AT", "SERVICE", "ACTION", "NAME", "CID", "RESULT", "WHY"), rows, style=style)


def _took(run: RunRow) -> str:
    return "?" if run.ended is None else duration((run.ended - run.started).total_seconds())


def _counts(run: RunRow) -> str:
    return ", ".join(f"{n:,} {what}" for what, n in run.counts.items() if n) or plural(0, "change")
