"""How things stand, as a table."""

from datetime import UTC, datetime
from typing import Literal

from reconciler.cli.render.escape import clip, terminal
from reconciler.cli.render.loop import loop_text
from reconciler.cli.render.machine import render_json
from reconciler.cli.render.style import PLAIN, Style
from reconciler.cli.render.table import table
from reconciler.cli.render.text import finding_lines
from reconciler.cli.render.words import plural
from reconciler.cli.standing import ServiceStanding, Standing

_HEAD = ("SERVICE", "STANDING", "WANTED", "PINNED", "WAITING", "FAILED", "HELD", "DRIFT", "BLOCKED")


def standing(found: Standing, form: Literal["table", "json"], *, style: Style = PLAIN) -> str:
    if form == "json":
        return render_json(found)
    text = table(_HEAD, (_row(s) for s in found.services), style=style)
    for service in found.services:
        if service.why:
            why = service.why.removeprefix(f"{service.service}: ")
            text += f"\n{terminal(service.service)}: {terminal(clip(why, 500))}\n"
    for service in found.services:
        if since := service.unretrievable_since:
            text += (
                f"\n{terminal(service.service)}: {plural(service.unretrievable, 'pin')} called pinned and found "
                f"unretrievable, since {since:%Y-%m-%d %H:%M}Z; `pinrec verify` looks again\n"
            )
    told = {s.service for s in found.services if not s.reachable}
    if unknown := [f for f in found.unknown if f.service not in told]:
        text += "\n" + "".join(f"{line}\n" for f in unknown for line in finding_lines(f, style))
    if found.loop is not None:
        text += "\n" + loop_text(found.loop, running=found.loop_running, now=datetime.now(UTC), style=style)
    if found.last_run is None:
        return text + "\nNo run in the journal of this machine.\n"
    run = found.last_run
    end = "not ended" if run.exit_code is None else f"exit code {run.exit_code}"
    return (
        text
        + f"\nLast run: {terminal(run.what)} {run.started:%Y-%m-%d %H:%M:%SZ}, {end} ({terminal(run.id)})\n"
    )


def _row(s: ServiceStanding) -> tuple[str, ...]:
    if not s.reachable:
        # Nothing is known of it: a zero would be a lie.
        return terminal(s.service), _word(s), f"{s.desired:,}", "?", "?", "?", "?", "?", "?"
    numbers = (s.desired, s.pinned, s.waiting, s.failed, s.held, s.drift, s.blocked)
    return terminal(s.service), _word(s), *(f"{n:,}" for n in numbers)


def _word(s: ServiceStanding) -> str:
    if not s.reachable:
        return "unreachable"
    if not s.complete:
        return "not read whole"
    if s.failed:
        return plural(s.failed, "failure")
    if s.unretrievable:
        return f"{s.unretrievable:,} unretrievable"
    if s.blocked:
        return "blocked"
    if s.state != "active":
        return terminal(s.state)
    if s.drift:
        return "drifted"
    return "waiting" if s.waiting else "ok"
