"""The text plan, word for word: people read it, and some grep it."""

from collections.abc import Callable

import msgspec
import pytest

from reconciler.cli.render import render_plan
from reconciler.cli.render.style import Style
from reconciler.cli.render.text import MAX_LINES
from reconciler.core.plan import Add, Blocked, Delete, Finding, Keep, Overrides, Plan, ServicePlan

MakePlan = Callable[..., Plan]

WHOLE = """\
  + add   ~ replace   - delete   ! retry   · blocked   = kept as it is

pinata  12 unchanged, 60 pins there, 40 of them ours
    modify is not trusted here: replaced by add, wait, delete
  ~ docs      bafybei…ywqhcjze → bafybei…y55fbzdi  the manifest wants another CID: meta.team (none) → web  \
[pinrec.yaml:20]
  - docs      bafkrei…m2devei4                     clean-up: a newer pin of this name has taken its place
  - fair      bafybei…ywqhcjze                     expired  [pinrec.yaml:30]
  - old-blog  bafybei…ywqhcjze                     not wanted here any more
  + website   bafybei…y55fbzdi                     not there yet  [pinrec.yaml:14]

cluster  2 unchanged, 1 waiting, 1 held, 9 pins there, 4 of them ours
  ! "data/a b"    bafkrei…m2devei4  failed; tried anew  [datasets.txt:7]
  = logo          bafybei…y55fbzdi  held, not ours  [pinrec.yaml:40]
  = news          bafybei…y55fbzdi  waiting: accepted by the service, not pinned yet  [pinrec.yaml:44]
  · releases/1.0  bafybei…ywqhcjze  delete held back: see [protected]

Findings
  [protected] cluster: 1 delete is blocked: the name is protected
      releases/1.0
      → unprotect: [releases/1.0]

Guards
  pinata   2 of 5 allowed deletes, 1 of 10 allowed replaces (40 ours)
  cluster  1 of 3 allowed deletes, 0 of 10 allowed replaces (4 ours)

About 41 requests, at least 7 min (at pinata), plus the time the services take to pin.
Plan: 1 to add, 1 to replace, 2 to delete, 1 to retry, 1 to clean up; 14 unchanged, 1 blocked, 1 held, 1 waiting.
"""


def last(plan: Plan) -> str:
    return render_plan(plan).splitlines()[-1]


def test_everything_at_once(plan: MakePlan) -> None:
    assert render_plan(plan()) == WHOLE


def test_text_is_rendered_from_the_json_alone(plan: MakePlan) -> None:
    again = msgspec.json.decode(render_plan(plan(), "json"), type=Plan)
    assert render_plan(again) == WHOLE


def test_cids_that_a_build_left_are_shown_with_where_they_were_found(plan: MakePlan) -> None:
    made = plan(resolved={"env: SITE_CID": "bafyfoo", "file: dist.cid": "bafybar"})
    assert (
        "CIDs from outside the manifest\n  env: SITE_CID = bafyfoo\n  file: dist.cid = bafybar\n"
        in render_plan(made)
    )
    assert "- `env: SITE_CID` is `bafyfoo`\n" in render_plan(made, "markdown")


def test_colour_adds_nothing_but_colour(plan: MakePlan) -> None:
    import re

    painted = render_plan(plan(), style=Style(color=True))
    assert "\x1b[32m" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == WHOLE


def test_verbose_shows_whole_cids(plan: MakePlan) -> None:
    assert "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi" in render_plan(plan(), verbose=True)


QUIET = ServicePlan(service="here", seen=3, ours=3, unchanged=3)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "No changes. The services hold what the manifest says."),
        (
            {"overrides": Overrides(targets=("a*",))},
            "No changes. The services hold what was asked for with --target and --service.",
        ),
        ({"overrides": Overrides(destroy=True)}, "No changes. The services hold nothing of ours."),
        (
            {"services": (ServicePlan(service="here", unchanged=3, waiting=1),)},
            "No changes to make: what is missing has been accepted and is not pinned yet (3 unchanged, 1 waiting).",
        ),
        (
            {"services": (ServicePlan(service="here", unchanged=2, held=1),)},
            "No changes to make (2 unchanged, 1 held).",
        ),
        (
            {
                "services": (
                    QUIET,
                    ServicePlan(service="there", reachable=False, complete=False, why="refused"),
                )
            },
            "Nothing can be done now: nothing is known of there; 3 unchanged.",
        ),
        (
            {"services": (ServicePlan(service="here", complete=False, why="page 2 is page 1 again"),)},
            "Nothing can be done now: here could not be read whole.",
        ),
        (
            {"findings": (Finding(guard="empty", severity="block", message="nothing is desired"),)},
            "Nothing can be done now: a guard holds everything back; 3 unchanged.",
        ),
        (
            {
                "actions": (
                    Blocked(
                        service="here",
                        name="a",
                        cid="bafy",
                        would="add",
                        guard="foreign-owner",
                        reason="held by bob",
                    ),
                )
            },
            "Nothing can be done now: 1 blocked; 3 unchanged.",
        ),
        (
            {"actions": (Keep(service="here", name="a", cid="bafy", reason="suspended"),)},
            "No changes to make (3 unchanged, 1 left as found).",
        ),
        (
            {"actions": (Add(service="here", name="a", cid="bafy", reason="absent"),)},
            "Plan: 1 to add, 0 to replace, 0 to delete; 3 unchanged.",
        ),
        (
            {
                "actions": (Add(service="here", name="a", cid="bafy", reason="absent"),),
                "services": (ServicePlan(service="here"), ServicePlan(service="there", reachable=False)),
            },
            "Plan: 1 to add, 0 to replace, 0 to delete; nothing is known of there.",
        ),
    ],
)
def test_the_last_sentence_tells_the_truth(plan: MakePlan, fields: dict[str, object], sentence: str) -> None:
    base: dict[str, object] = {"services": (QUIET,), "actions": (), "findings": (), "guards": ()}
    assert last(plan(**(base | fields))) == sentence


def test_two_pins_of_a_leaving_name_are_one_delete_as_in_the_guards(plan: MakePlan) -> None:
    victim = plan().actions[2].victim
    twice = tuple(
        Delete(service="here", name="a", cid="bafy", reason="undesired", victim=victim) for _ in range(2)
    )
    assert last(plan(services=(QUIET,), actions=twice)).startswith(
        "Plan: 0 to add, 0 to replace, 1 to delete"
    )


def test_a_long_plan_is_cut_on_a_terminal_but_never_its_deletes(plan: MakePlan) -> None:
    victim = plan().actions[2].victim
    adds = [Add(service="here", name=f"n{i:04}", cid="bafy", reason="absent") for i in range(1000)]
    deletes = [
        Delete(service="here", name=f"d{i:04}", cid="bafy", reason="undesired", victim=victim)
        for i in range(MAX_LINES + 50)
    ]
    long = plan(services=(QUIET,), actions=(*adds, *deletes), findings=(), guards=())
    text = render_plan(long, full=False)
    assert sum(line.startswith("  - d") for line in text.splitlines()) == MAX_LINES + 50
    assert "  … and 1,000 to add more (--full shows all)" in text
    assert sum(line.startswith("  + n") for line in render_plan(long).splitlines()) == 1000
