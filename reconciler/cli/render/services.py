"""The services of a manifest, as a table or as JSON. Where a key is found is shown, never the key."""

from collections.abc import Mapping
from typing import Literal

from reconciler.cli.keys import shown
from reconciler.cli.probe import Answer
from reconciler.cli.render.escape import clip, terminal
from reconciler.cli.render.machine import render_json
from reconciler.cli.render.style import PLAIN, Style
from reconciler.cli.render.table import table
from reconciler.core.endpoint import host_of
from reconciler.core.manifest import Service
from reconciler.core.model import STATUSES

_HEAD = ("SERVICE", "ENDPOINT", "PRESET", "KEY", "STATE")


def services(
    specs: Mapping[str, Service],
    answers: Mapping[str, Answer] | None,
    form: Literal["table", "json"],
    *,
    style: Style = PLAIN,
) -> str:
    """`answers` with counts by status, if they were asked for."""
    if form == "json":
        return render_json([_object(spec, answers) for spec in specs.values()])
    counts = () if answers is None else tuple(status.upper() for status in STATUSES)
    text = table((*_HEAD, *counts), (_row(spec, answers) for spec in specs.values()), style=style)
    for name, answer in (answers or {}).items():
        if why := answer.why or answer.partial:
            text += f"\n{terminal(name)}: {terminal(clip(why.removeprefix(f'{name}: '), 500))}\n"
    return text


def _row(spec: Service, answers: Mapping[str, Answer] | None) -> tuple[str, ...]:
    row = (
        terminal(spec.name),
        terminal(host_of(spec.endpoint)),
        terminal(spec.preset or f"({spec.profile.name})"),
        terminal(clip(shown(spec.key), 60)),
        spec.state,
    )
    if answers is None:
        return row
    counts = answers[spec.name].counts
    return *row, *(f"{counts[s]:,}" if counts is not None else "?" for s in STATUSES)


def _object(spec: Service, answers: Mapping[str, Answer] | None) -> dict[str, object]:
    found: dict[str, object] = {
        "service": spec.name,
        "endpoint": spec.endpoint,
        "preset": spec.preset,
        "profile": spec.profile.name,
        "key": shown(spec.key),
        "state": spec.state,
    }
    if answers is not None:
        answer = answers[spec.name]
        found |= {"pins": answer.counts, "error": answer.why, "partial": answer.partial}
    return found
