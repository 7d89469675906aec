"""A hostile name in every format: it forges no line, no command, no markup."""

import re
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.cli.render import FORMATS, render_plan, render_report
from reconciler.core.plan import Plan
from reconciler.core.report import Outcome, Report

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
        base, actions=tuple(actions), services=services, findings=findings, notes=(text,)
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
        return report(outcomes=outcomes, second_writer=(value,))

    expected = len(lines_of(render_report(made("tame"), form)))
    check(render_report(made(text), form), form, expected)


def test_json_gives_the_name_back_as_it_was(plan: Callable[..., Plan]) -> None:
    for text in NASTY:
        again = msgspec.json.decode(render_plan(hostile_plan(plan, text), "json"), type=Plan)
        assert {a.name for a in again.actions} == {text}
