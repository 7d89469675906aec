"""pinrec doctor, against sandboxes on real sockets."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator
from msgspec.structs import replace

from reconciler.cli.render.machine import doctor_schema
from reconciler.core.learned import SECOND_ADD, place_of
from reconciler.engine.journal import Journal
from reconciler.sandbox import SPEC, Lifecycle, Sandbox
from reconciler.sandbox.personalities import CLUSTER

if TYPE_CHECKING:
    from conftest import World
else:
    World = Any

A = "bafybeiaysi4s6lnjev27ln5icwm6tueaw2vdykrtjkwiphwekaywqhcjze"
KEY = "canary-key-0123456789"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster() -> Iterator[Sandbox]:
    with Sandbox((KEY,), personality=CLUSTER) as sandbox:
        yield sandbox


def odd(sandbox: Sandbox, more: str = "") -> str:
    return f"  odd: {{preset: sandbox, endpoint: '{sandbox.url}', key: {{env: BOX_KEY}}{more}}}\n"


def test_it_asks_before_it_makes_pins_and_without_a_terminal_says_so(world: World) -> None:
    world.manifest()
    asked = world.run("doctor", "box")
    assert asked.code == 64
    assert "--yes" in asked.err
    assert "--read-only" in asked.err
    assert world.sandbox.requests == ()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["bx", "--yes"], "no such service"),
        (["box", "--yes", "--cid", "bafynonsense"], "--cid bafynonsense"),
        (["box", "--read-only", "--cid", A], "--read-only"),
    ],
)
def test_wrong_use_is_told_before_any_request(world: World, args: list[str], says: str) -> None:
    world.manifest()
    result = world.run("doctor", *args)
    assert result.code == 64
    assert says in result.err
    assert world.sandbox.requests == ()


def test_what_was_found_is_shown_remembered_and_told_by_the_plan(world: World, cluster: Sandbox) -> None:
    world.manifest(f"name: site, cid: {A}, services: [odd]", services=odd(cluster))
    assert "doctor" not in world.run("plan").out
    found = world.run("doctor", "odd", "--yes")
    assert found.code == 0
    rows = {line.split()[0]: line.split()[1:] for line in found.out.splitlines() if line and line[0] != " "}
    assert rows["secondAdd"] == ["new", "new", "overwrite", "overwrite", "doctor"]
    assert rows["limit"][2:] == ["?", "1000", "preset"]
    assert "a second add renames it" in " ".join(found.out.split())
    assert "Not determined" in found.out
    plan = world.run("plan")
    assert plan.out.count("profile by doctor, 20") == 1
    assert world.run("apply", "--yes").code == 0
    assert world.run("plan").code == 0
    # One pin per CID is assumed now: each add looks first.
    assert any(r.query.startswith("cid=") for r in cluster.requests[-12:])


def test_the_manifest_beats_the_doctor(world: World, cluster: Sandbox) -> None:
    world.manifest(services=odd(cluster, ", profile: {secondAdd: same}"))
    found = world.run("doctor", "odd", "--yes", "--json").json
    row = next(f for f in found["findings"] if f["field"] == "secondAdd")
    assert (row["observed"], row["holds"], row["by"]) == ("overwrite", "same", "manifest")
    assert "same in the manifest, overwrite observed" in world.run("doctor", "odd", "--yes").out


def test_json_fits_the_published_schema(world: World) -> None:
    world.manifest()
    for arguments in (("--yes",), ("--read-only",)):
        found = world.run("doctor", "box", "--json", *arguments)
        Draft7Validator(doctor_schema()).validate(found.json)
        assert world.sandbox.url not in found.out
    assert world.run("schema", "doctor").json == json.loads(json.dumps(doctor_schema()))


def test_the_published_schema_is_that_of_the_type() -> None:
    path = ROOT / "schemas/doctor.schema.json"
    text = json.dumps(doctor_schema(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_what_was_found_can_be_written_into_the_manifest(world: World, cluster: Sandbox) -> None:
    world.manifest(f"name: site, cid: {A}", services=odd(cluster) + "  # keep me\n")
    assert world.run("doctor", "odd", "--yes", "--write").code == 0
    text = (world.place / "pinrec.yaml").read_text()
    assert "secondAdd: overwrite" in text
    assert "modify: loses" in text
    assert "# keep me" in text
    assert "limit" not in text
    again = world.run("doctor", "odd", "--yes", "--write")
    assert "Nothing to write" in again.err
    assert (world.place / "pinrec.yaml").read_text() == text
    assert world.run("validate").code == 0


def test_a_row_that_the_manifest_names_is_not_written_over(world: World, cluster: Sandbox) -> None:
    world.manifest(services=odd(cluster, ", profile: spec"))
    result = world.run("doctor", "odd", "--yes", "--write")
    assert result.code == 64
    assert "profile: spec" in result.err
    assert cluster.requests == ()


@pytest.mark.parametrize("how", ["--read-only", "--yes"])
def test_a_wrong_key_is_no_finding_about_the_service(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    world.manifest()
    monkeypatch.setenv("BOX_KEY", "another-key")
    result = world.run("doctor", "box", how)
    assert result.code == 3
    assert "401" in result.err
    assert result.out == ""


def test_without_a_place_to_remember_it_says_so(world: World) -> None:
    world.manifest()
    (world.place / "file").write_text("")
    result = world.run("doctor", "box", "--yes", "--state-dir", "file/state")
    assert result.code == 3
    assert "--write" in result.err
    assert "fields determined" in result.out
    assert world.run("doctor", "box", "--yes", "--write", "--state-dir", "file/state").code == 0
    assert world.there() == {}


def test_two_at_once_on_one_machine_are_not(world: World) -> None:
    from reconciler.engine.lock import Lock

    world.manifest()
    with Lock(Path(os.environ["PINREC_STATE_DIR"]), "doctor.box").hold(what="doctor"):
        assert world.run("doctor", "box", "--yes").code == 6


def test_a_suspended_service_is_only_read(world: World) -> None:
    world.manifest(
        services="  idle: {endpoint: 'http://127.0.0.1:9', key: {env: BOX_KEY}, state: suspended}\n"
    )
    result = world.run("doctor", "idle", "--yes")
    assert result.code == 64
    assert "suspended" in result.err


def test_a_later_finding_takes_the_place_of_an_earlier_one(world: World) -> None:
    world.manifest()
    assert world.run("doctor", "box", "--yes").code == 0
    state, place = Path(os.environ["PINREC_STATE_DIR"]), place_of(world.sandbox.url)
    with Journal.open(state) as journal:
        known = journal.learned("box", place=place)["profile"]
        journal.learn("box", "profile", known.replace('"newest"', '"oldest"'), place=place)
    assert world.run("doctor", "box", "--read-only").code == 0  # nothing there to see an order of
    with Journal.open(state) as journal:
        kept = json.loads(journal.learned("box", place=place)["profile"])["fields"]
    assert (kept["order"], kept["secondAdd"]) == ("oldest", "new")
    assert world.run("doctor", "box", "--yes").code == 0
    with Journal.open(state) as journal:
        assert json.loads(journal.learned("box", place=place)["profile"])["fields"]["order"] == "newest"


def wait_for_pins(world: World, process: Any, number: int) -> None:
    while len(world.there()) < number:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize("delay", [4.0])
def test_what_a_killed_run_left_the_next_one_removes(world: World) -> None:
    world.manifest()
    world.foreign("theirs")
    process = world.process("doctor", "box", "--yes")
    wait_for_pins(world, process, 4)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(world.there()) >= 4
    found = world.run("doctor", "box", "--yes", "--json", "--timeout", "1s").json
    assert found["cleaned"] >= 3
    assert list(world.there()) == ["theirs"]


@pytest.mark.parametrize("delay", [4.0])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_takes_its_pins_away(world: World, number: signal.Signals, code: int) -> None:
    world.manifest()
    process = world.process("doctor", "box", "--yes")
    wait_for_pins(world, process, 1)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == code, err
    assert "Not finished: interrupted" in out
    assert world.there() == {}


def test_an_add_that_returns_a_known_pin_makes_careful_from_then_on(world: World) -> None:
    with Sandbox((KEY,), personality=replace(SPEC, second_add="same"), lifecycle=Lifecycle()) as sandbox:
        pins = [f"name: {name}, cid: {A}, services: [odd]" for name in ("a", "b", "c")]
        world.manifest(*pins, services=odd(sandbox))
        first = world.run("apply", "--yes")
        assert first.err.count("an add returned a pin that was there before") == 1
        plan = world.run("plan")
        assert "one pin per CID is assumed here" in plan.out
        # The doctor looks for itself, and settles it.
        assert world.run("doctor", "odd", "--yes").code == 0
        with Journal.open(Path(os.environ["PINREC_STATE_DIR"])) as journal:
            assert journal.learned("odd", place=place_of(sandbox.url))[SECOND_ADD] == ""
        assert world.run("apply", "--yes").code == 0
        assert "No changes" in world.run("plan").out


def test_a_requestid_that_is_the_cid_makes_careful_from_then_on(world: World) -> None:
    habits = replace(SPEC, second_add="overwrite", requestid="cid")
    with Sandbox((KEY,), personality=habits) as sandbox:
        world.manifest(f"name: a, cid: {A}, services: [odd]", services=odd(sandbox))
        first = world.run("apply", "--yes")
        assert first.code == 0
        assert first.err.count("the requestid is the CID") == 1
        assert "the requestid is the CID here; one pin per CID is assumed" in world.run("plan").out
