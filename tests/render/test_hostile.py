"""A hostile name in every format: it forges no line, no command, no markup."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.cli.render import FORMATS, history, render_plan, render_report
from reconciler.cli.render.explain import explanations
from reconciler.cli.render.live import LiveRows
from reconciler.core.cid import Cid
from reconciler.core.explain import Explanation
from reconciler.core.model import Owner, PinBody, PinStatus, Remote
from reconciler.core.plan import Plan
from reconciler.core.report import Outcome, Report, ServiceReport
from reconciler.engine.journal import OutcomeRow, RunRow

NASTY = (
    "x\n  + forged  bafy  not there yet",
    "::error::pwned",
    "##[error]pwned",
    "\x1b[2J\x1b]0;title\x07",
    "\u202eright to left",
    "a | b | c",
    "`@everyone` #1 <script>alert(1)</script>",
    "</details><img src=x>",
    "%0A::stop-commands::x",
    "\x9b31m",
)


def hostile_plan(make: Callable[..., Plan], text: str) -> Plan:
    """`text` wherever a service or another person could put it."""
    base = make()
    actions = []
    for action in base.actions:
        changed = {"name": text, "origin": f"{text}:3"}
        for field in ("was", "detail", "resolve"):
            if hasattr(action, field):
                changed[field] = text
        if hasattr(action, "guard"):
            changed["reason"] = text
        actions.append(msgspec.structs.replace(action, **changed))
    services = tuple(
        msgspec.structs.replace(s, why=text, notes=(text,), reachable=i == 0)
        for i, s in enumerate(base.services)
    )
    findings = tuple(
        msgspec.structs.replace(f, message=text, keys=(text,), override=text) for f in base.findings
    )
    return msgspec.structs.replace(
        base,
        actions=tuple(actions),
        services=services,
        findings=findings,
        notes=(text,),
        resolved={text: text},
    )


def lines_of(text: str) -> list[str]:
    return text.split("\n")


def check(output: str, form: str, expected_lines: int | None) -> None:
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b]", output)
    assert "##[" not in output
    commands = [line for line in lines_of(output) if line.lstrip().startswith("::")]
    assert all(
        re.match(r"::(error|warning|notice) (file=[^,:]*,(line=\d+,)?)?title=[^,:]*::", c) for c in commands
    )
    assert bool(commands) == (form == "github")
    if form == "markdown":
        rest = re.sub(r"<!-- pinrec:\w+:[a-z0-9-]* -->|<br>|</?code>|(?<=;)<!-- -->", "", output)
        assert "<" not in re.sub(r"`[^`]*`", "", rest)
        assert not re.search(r"[^`\w]@\w", re.sub(r"`[^`\n]*`", "", rest))
    if expected_lines is not None:
        assert len(lines_of(output)) == expected_lines


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("text", NASTY)
def test_a_plan_full_of_it(plan: Callable[..., Plan], form: str, text: str) -> None:
    tame = hostile_plan(plan, "tame")
    expected = len(lines_of(render_plan(tame, form)))
    check(render_plan(hostile_plan(plan, text), form), form, expected)


@pytest.mark.parametrize("form", FORMATS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text(plan: Callable[..., Plan], form: str, text: str) -> None:
    output = render_plan(hostile_plan(plan, text), form)
    tame = render_plan(hostile_plan(plan, "x" if text else ""), form)
    check(output, form, len(lines_of(tame)))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("text", NASTY)
def test_a_report_full_of_it(report: Callable[..., Report], form: str, text: str) -> None:
    def made(value: str) -> Report:
        outcomes = (Outcome(service="s", name=value, action="add", result="failed", cid=value, why=value),)
        services = (ServiceReport(service="s", requests=1, stopped=value, notes=(value,)),)
        return report(outcomes=outcomes, services=services, second_writer=(value,))

    expected = len(lines_of(render_report(made("tame"), form)))
    check(render_report(made(text), form), form, expected)


@pytest.mark.parametrize("form", ["table", "json", "ndjson"])
@pytest.mark.parametrize("text", NASTY)
def test_live_pins_full_of_it(form: Any, text: str) -> None:
    def made(value: str) -> str:
        body = PinBody(cid=value, name=value, meta={value: value}, origins=[value])
        pin = PinStatus(
            requestid=value, status=value, created=value, pin=body, delegates=[value], info={value: value}
        )
        rows = LiveRows(form, ("s",), verbose=True)
        return rows.begin() + rows.page("s", [pin]) + rows.end()

    check(made(text), form, len(lines_of(made("tame"))))


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("text", NASTY)
def test_an_explanation_full_of_it(plan: Callable[..., Plan], form: Any, text: str) -> None:
    def made(value: str) -> str:
        remote = Remote(
            requestid=value,
            cid=Cid(text=value, canonical=value),
            name=value,
            listed_name=f"{value}2",
            status=value,
            created=value,
            owner=Owner.OTHER,
            meta={value: value},
            info={value: value},
        )
        told = hostile_plan(plan, value)
        return explanations(
            [
                Explanation(
                    service="s",
                    name=value,
                    desired=None,
                    remotes=(remote,),
                    steps=(value,),
                    actions=told.actions,
                    findings=told.findings,
                )
            ],
            form,
        )

    check(made(text), form, len(lines_of(made("tame"))))


@pytest.mark.parametrize("form", ["table", "json"])
@pytest.mark.parametrize("text", NASTY)
def test_history_full_of_it(form: Any, text: str) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def made(value: str) -> str:
        run = RunRow(
            id=value,
            owner=value,
            plan=value,
            what=value,
            started=at,
            ended=None,
            exit_code=None,
            counts={value: 1},
            host=value,
            pid=1,
            pinrec=value,
        )
        row = OutcomeRow(
            run=value,
            seq=1,
            at=at,
            service=value,
            name=value,
            action=value,
            cid=value,
            requestid=value,
            result=value,
            why=value,
        )
        return history.runs([run], form) + history.one(run, [row], form)

    check(made(text), form, len(lines_of(made("tame"))))


def test_json_gives_the_name_back_as_it_was(plan: Callable[..., Plan]) -> None:
    for text in NASTY:
        again = msgspec.json.decode(render_plan(hostile_plan(plan, text), "json"), type=Plan)
        assert {a.name for a in again.actions} == {text}
