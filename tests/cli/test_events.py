"""--events FILE: one line of JSON per step, beside what people read."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from reconciler.cli.render.events_schema import events_schema
from reconciler.core.report import Outcome
from reconciler.engine.events import Events
from tests.cli.conftest import KEY, A, B, World

SCHEMA = Path(__file__).parents[2] / "schemas/events.schema.json"


def events(path: str = "events.ndjson") -> list[dict[str, Any]]:
    text = Path(path).read_text()
    assert KEY not in text
    assert "127.0.0.1" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    validator = Draft7Validator(json.loads(SCHEMA.read_text()))
    for line in lines:
        validator.validate(line)
    assert (lines[0]["type"], lines[0]["format"]) == ("version", "1.0")
    return lines


def test_the_published_schema_is_that_of_the_events(world: World) -> None:
    text = json.dumps(events_schema(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE"):
        SCHEMA.write_text(text)
    assert SCHEMA.read_text() == text, "UPDATE=1 pytest tests/cli/test_events.py writes it anew"
    Draft7Validator.check_schema(json.loads(text))
    assert world.run("schema", "events").json == json.loads(text)


def test_an_apply_step_by_step(world: World) -> None:
    world.manifest(f"name: a, cid: {A}", f"name: b, cid: {B}")
    plain = world.run("plan")
    planned = world.run("plan", "--events", "events.ndjson")
    assert planned.out == plain.out
    lines = events()
    assert (lines[0]["command"], lines[0]["owner"], lines[0]["manifest"]) == ("plan", "acme", "pinrec.yaml")
    assert [line["type"] for line in lines] == ["version", "listing", "planned"]
    assert (lines[-1]["add"], lines[-1]["delete"], lines[-1]["exit_code"]) == (2, 0, 0)

    assert world.run("apply", "--yes", "--events", "events.ndjson").code == 0
    lines = events()
    types = [line["type"] for line in lines]
    assert types.index("planned") < types.index("applying") < types.index("accepted") < types.index("outcome")
    outcomes = [line for line in lines if line["type"] == "outcome"]
    # Both are sent at once; which answer comes first is the service's affair.
    assert sorted((o["service"], o["name"], o["action"], o["result"]) for o in outcomes) == [
        ("box", "a", "add", "done"),
        ("box", "b", "add", "done"),
    ]
    assert types[-1] == "report"
    assert (lines[-1]["done"], lines[-1]["failed"], lines[-1]["exit_code"]) == (2, 0, 0)

    assert world.run("destroy", "--yes", "--events", "events.ndjson").code == 0
    assert [o["action"] for o in events() if o["type"] == "outcome"] == ["delete", "delete"]


def test_a_saved_plan_is_the_one_that_is_told_of(world: World) -> None:
    world.manifest(f"name: a, cid: {A}")
    world.run("plan", "--out", "plan.json")
    assert world.run("apply", "plan.json", "--events", "e").code == 0
    planned = [line for line in events("e") if line["type"] == "planned"]
    assert [p["plan"] for p in planned] == [json.loads(Path("plan.json").read_text())["id"]]


def test_an_error_is_the_last_line(world: World) -> None:
    world.manifest(f"name: a, cid: {A}")
    assert world.run("plan", "--target", "nobody", "--events", "events.ndjson").code == 64
    last = events()[-1]
    assert (last["type"], last["exit_code"], last["message"]) == (
        "error",
        64,
        "--target nobody: matches no name",
    )


def test_a_service_that_is_down(world: World) -> None:
    world.manifest(services="  off: {preset: sandbox, endpoint: 'http://127.0.0.1:1', key: {env: BOX_KEY}}\n")
    assert world.run("plan", "--events", "events.ndjson").code == 3
    assert events()[-1]["exit_code"] == 3


@pytest.mark.parametrize("path", ["no/such/folder", ".", ""])
def test_a_file_that_cannot_be_written_ends_it_before_anything_is_sent(world: World, path: str) -> None:
    world.manifest(f"name: a, cid: {A}")
    result = world.run("apply", "--yes", "--events", path)
    assert result.code == 64
    assert "--events" in result.err
    assert world.sandbox.requests == ()


def test_the_file_is_its_owners(world: World) -> None:
    world.manifest()
    world.run("plan", "--events", "events.ndjson")
    assert Path("events.ndjson").stat().st_mode & 0o777 == 0o600


def test_a_disk_that_is_full_is_told_of_once_and_stops_nothing() -> None:
    notes: list[str] = []

    class Listener:
        def listing(self, service: str, pins: int, *, done: bool) -> None: ...
        def applying(self, total: int) -> None: ...
        def accepted(self, service: str, name: str, action: str) -> None: ...
        def waiting(self, pending: int, seconds_left: float) -> None: ...
        def fetching(self, service: str, cid: str, nodes: int, size: int) -> None: ...
        def outcome(self, outcome: Outcome) -> None: ...
        def note(self, service: str, text: str) -> None:
            notes.append(text)

    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:
        told = Events(full).tee(Listener())
        for _ in range(3):
            told.applying(1)
        # What could not be written must not be tried again when the file is closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    assert notes == ["--events: no more events are written: No space left on device"]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes")])
def test_a_full_disk_for_events_changes_no_exit_code(world: World, command: tuple[str, ...]) -> None:
    world.manifest(f"name: a, cid: {A}")
    result = world.run(*command, "--events", "/dev/full")
    assert result.code == 0, result.err
    told = "--events: no more events are written: No space left on device"
    assert [line for line in result.err.splitlines() if "No space" in line] == [told]
    assert world.run("plan", "--detailed-exitcode").code == (0 if "apply" in command else 2)
