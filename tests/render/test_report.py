"""What an apply did: what needs attention first, and one sentence at the end."""

from collections.abc import Callable

from reconciler.cli.render import render_report
from reconciler.core.report import Outcome, Report, ServiceReport

MakeReport = Callable[..., Report]

WHOLE = """\
pinata  9 requests
  waiting  replace  docs      bafybei…y55fbzdi  still pinning after 10 min
  done     delete   old-blog  bafybei…ywqhcjze
  done     add      website   bafybei…y55fbzdi

cluster  3 requests
  FAILED   retry    "data/a b"  bafkrei…m2devei4  no providers

Another writer changed what was being applied: pinata/docs. Two manifests or two runs for one owner? \
See that only one runs at a time.

Applied: 1 added, 1 deleted; 1 accepted and not pinned yet, 1 failed (12 s).
"""


def test_everything_at_once(report: MakeReport) -> None:
    assert render_report(report(second_writer=("pinata/docs",))) == WHOLE


def test_nothing_applied_is_not_called_applied(report: MakeReport) -> None:
    failed = (Outcome(service="s", name="n", action="add", result="failed", cid="bafy", why="no"),)
    text = render_report(
        report(outcomes=failed, services=(ServiceReport(service="s", stopped="401: no access"),))
    )
    assert "    stopped: 401: no access\n" in text
    assert text.endswith("Not applied: nothing was changed; 1 failed (12 s).\n")


def test_failed_pins_that_stand_there_now_are_a_change(report: MakeReport) -> None:
    failed = tuple(
        Outcome(service="s", name=n, action="add", result="failed", cid="bafy", requestid=r, why="no")
        for n, r in (("a", "r1"), ("b", "r2"), ("c", ""))
    )
    text = render_report(report(outcomes=failed))
    assert text.endswith("Not applied: 3 failed and left 2 failed pins there (12 s).\n")


def test_no_outcomes_are_no_success(report: MakeReport) -> None:
    assert render_report(report(outcomes=(), services=())) == "Nothing was to be done (12 s).\n"


def test_an_interrupted_run_says_so(report: MakeReport) -> None:
    assert render_report(report(interrupted=True)).splitlines()[-1].startswith("Interrupted: 1 added")


def test_success_is_cut_on_a_terminal_and_failure_is_not(report: MakeReport) -> None:
    outcomes = tuple(
        Outcome(service="s", name=f"n{i:03}", action="add", result=r, cid="bafy")
        for i in range(100)
        for r in ("done", "failed")
    )
    text = render_report(report(outcomes=outcomes, services=()), full=False)
    assert text.count("FAILED") == 100
    assert text.count("done     add") == 50
    assert "… and 50 more done (--full shows all)" in text
