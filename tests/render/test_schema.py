"""The published schemas are those of the types, and what is printed fits them."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from reconciler.cli.render import render_plan, render_report
from reconciler.cli.render.machine import plan_schema, report_schema

SCHEMAS = Path(__file__).parents[2] / "schemas"
MADE = {"plan": plan_schema, "report": report_schema}


@pytest.mark.parametrize("name", MADE)
def test_the_published_schema_is_that_of_the_type(name: str) -> None:
    path = SCHEMAS / f"{name}.schema.json"
    text = json.dumps(MADE[name](), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "UPDATE=1 pytest tests/render writes it anew"
    Draft7Validator.check_schema(json.loads(text))


def test_a_plan_and_a_report_fit_their_schemas(
    plan: Callable[..., object], report: Callable[..., object]
) -> None:
    Draft7Validator(plan_schema()).validate(json.loads(render_plan(plan(), "json")))
    Draft7Validator(report_schema()).validate(json.loads(render_report(report(), "json")))


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("format",), "2.0"),
        (("actions", 0, "action"), "format-disk"),
        (("actions", 1, "how"), "quickly"),
        (("findings", 0, "severity"), "fatal"),
        (("services",), None),
    ],
)
def test_what_is_no_plan_does_not_fit(
    plan: Callable[..., object], where: tuple[str | int, ...], value: object
) -> None:
    document = json.loads(render_plan(plan(), "json"))
    node = document
    for step in where[:-1]:
        node = node[step]
    node[where[-1]] = value
    assert not Draft7Validator(plan_schema()).is_valid(document)


def test_the_whole_schema_is_draft_07() -> None:
    for make in MADE.values():
        text = json.dumps(make())
        assert "$defs" not in text
        assert "prefixItems" not in text
        assert "discriminator" not in text
