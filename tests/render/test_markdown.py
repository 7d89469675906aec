"""Markdown for pull requests: it fits, it says what it left out, and nothing in it is obeyed."""

from collections.abc import Callable

import pytest

from reconciler.cli.render import render_plan, render_report
from reconciler.core.plan import Add, Delete, Finding, Plan
from reconciler.core.report import Outcome, Report

MakePlan = Callable[..., Plan]
LIMIT_OF_GITHUB = 65_536


def test_deletes_come_first_and_the_marker_leads(plan: MakePlan) -> None:
    text = render_plan(plan(), "markdown")
    assert text.startswith("<!-- pinrec:plan:acme-site -->\n### pinrec plan for `acme-site`\n")
    headings = [line for line in text.splitlines() if line.startswith("#### ")]
    assert headings == [
        "#### Delete (2)",
        "#### Blocked (1)",
        "#### Replace (1)",
        "#### Retry (1)",
        "#### Add (1)",
        "#### Clean up (1)",
        "#### Kept as it is (2)",
    ]
    assert "**Plan: 1 to add, 1 to replace, 2 to delete" in text
    assert "| `pinata` | `fair` | `bafybei…ywqhcjze` | expired | `pinrec.yaml:30` |" in text


@pytest.mark.parametrize("budget", [4_000, 10_000, 60_000])
@pytest.mark.parametrize("name", ["n", "|`@x`|" * 20, "日本" * 40])
def test_it_fits_and_says_what_it_left_out(plan: MakePlan, budget: int, name: str) -> None:
    victim = plan().actions[2].victim
    actions = (
        *(Add(service="pinata", name=f"{name}{i}", cid="bafy", reason="absent") for i in range(3000)),
        *(
            Delete(service="pinata", name=f"{name}{i}", cid="bafy", reason="undesired", victim=victim)
            for i in range(3)
        ),
    )
    findings = tuple(
        Finding(guard="unknown", severity="unknown", message=name * 50, service="pinata") for _ in range(500)
    )
    text = render_plan(plan(actions=actions, findings=findings), "markdown", budget=budget)
    assert len(text.encode()) <= budget < LIMIT_OF_GITHUB
    assert "**Plan: 3,000 to add, 0 to replace, 3 to delete" in text
    assert "Guards at `pinata`" in text
    assert "more findings" in text
    assert "_Left out for length: " in text
    assert "× add" in text


def test_what_is_left_out_is_counted_exactly(plan: MakePlan) -> None:
    actions = tuple(Add(service="pinata", name=f"n{i}", cid="bafy", reason="absent") for i in range(3000))
    text = render_plan(plan(actions=actions), "markdown", budget=20_000)
    shown = sum(line.startswith("| `pinata` | `n") for line in text.splitlines())
    assert f"{3000 - shown:,} × add" in text


def test_the_report_fits_too(report: Callable[..., Report]) -> None:
    outcomes = tuple(
        Outcome(
            service="pinata",
            name=f"n{i}",
            action="add",
            result="failed",
            cid="bafy",
            why="@all <b>no</b>" * 9,
        )
        for i in range(2000)
    )
    text = render_report(report(outcomes=outcomes), "markdown", budget=30_000)
    assert len(text.encode()) <= 30_000
    assert "#### Failed (2,000)" in text
    assert "<b>" not in text
    assert "@all" not in text
