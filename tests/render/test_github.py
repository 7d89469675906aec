"""Workflow commands point at the line of the manifest, and at most ten of a level are given."""

from collections.abc import Callable

from reconciler.cli.render.github import MAX_PER_LEVEL, annotations, problem_annotations
from reconciler.core.errors import Problem
from reconciler.core.plan import Blocked, Plan


def test_blocked_is_an_error_a_delete_a_warning_the_rest_notices(plan: Callable[..., Plan]) -> None:
    lines = annotations(plan())
    assert lines[0].startswith("::error title=pinrec%3A protected at cluster::1 delete is blocked")
    assert "::warning file=pinrec.yaml,line=30,title=pinrec%3A delete pinata fair::expired" in lines
    assert "::notice file=pinrec.yaml,line=14,title=pinrec%3A add pinata website::not there yet" in lines
    assert lines[-1].startswith("::notice title=pinrec plan::Plan: 1 to add")


def test_ten_of_a_level_and_a_count_of_the_others(plan: Callable[..., Plan]) -> None:
    many = tuple(
        Blocked(service="s", name=f"n{i}", cid="bafy", would="delete", guard="deletes", reason="too many")
        for i in range(500)
    )
    errors = [line for line in annotations(plan(actions=many)) if line.startswith("::error")]
    assert len(errors) == MAX_PER_LEVEL
    shown = sum("title=pinrec%3A" in line for line in errors)
    assert any(f"::{501 - shown} more of this kind" in line for line in errors)


def test_problems_of_a_manifest_stand_at_their_places() -> None:
    problem = Problem(file="a,b.yaml", line=3, column=5, message="100% wrong\nreally", hint="did you mean x?")
    assert problem_annotations([problem]) == [
        (
            r"::error file=a%2Cb.yaml,line=3,title=pinrec%3A invalid manifest"
            r"::100%25 wrong\x0areally (did you mean x?)"
        )
    ]
