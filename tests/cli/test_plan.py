"""pinrec plan, against a sandbox."""

import json
import stat
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from tests.cli.conftest import A, B, C, World

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/plan.schema.json").read_text())


def test_a_first_plan_word_for_word(world: World) -> None:
    world.foreign("somebody")
    world.manifest(f"name: website, cid: {A}", f"cid: {B}")
    result = world.run("plan")
    assert result.code == 0
    assert result.err == ""
    assert result.out == (
        "  + add\n\n"
        "box  0 unchanged, 1 pin there, 0 of them ours\n"
        f"  + {B}  bafybei…y55fbzdi  not there yet  [pinrec.yaml:8]\n"
        f"  + {'website':<40}  bafybei…ywqhcjze  not there yet  [pinrec.yaml:7]\n"
        "\nGuards\n  box  0 of 3 allowed deletes, 0 of 10 allowed replaces (0 ours)\n\n"
        "About 2 requests, plus the time the services take to pin.\n"
        "Plan: 2 to add, 0 to replace, 0 to delete.\n"
    )
    assert world.there() == {"somebody": C}


@pytest.mark.parametrize("form", ["text", "json", "markdown", "github"])
def test_every_format_is_written_to_stdout_alone(world: World, form: str) -> None:
    world.manifest(f"name: website, cid: {A}")
    result = world.run("plan", "--format", form)
    assert result.code == 0
    assert result.err == ""
    assert "website" in result.out
    if form == "json":
        Draft7Validator(SCHEMA).validate(result.json)
        assert world.sandbox.url not in result.out


def test_detailed_exitcode_tells_changes_from_none(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    assert world.run("plan", "--detailed-exitcode").code == 2
    assert world.run("apply", "--yes").code == 0
    result = world.run("plan", "--detailed-exitcode")
    assert result.code == 0
    assert result.out.endswith("\n\nNo changes. The services hold what the manifest says.\n")


def test_strict_makes_a_held_pin_exit_4(world: World) -> None:
    world.foreign("theirs", A)
    world.manifest(f"name: website, cid: {A}")
    result = world.run("plan")
    assert result.code == 0
    assert "= website" in result.out
    assert "held, not ours" in result.out
    assert result.out.endswith("No changes to make (1 held).\n")
    assert world.run("plan", "--strict").code == 4


def test_out_saves_a_plan_for_its_owner_only(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    result = world.run("plan", "--out", "plan.json")
    assert result.code == 0
    assert "pinrec apply plan.json" in result.err
    path = world.place / "plan.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    Draft7Validator(SCHEMA).validate(json.loads(path.read_text()))
    assert [p.name for p in world.place.iterdir() if p.suffix == ".tmp"] == []


def test_out_to_nowhere_is_one_line(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    result = world.run("plan", "--out", "no/such/plan.json")
    assert result.code == 1
    assert result.err == "pinrec: no/such/plan.json: No such file or directory\n"


def test_out_that_fails_leaves_nothing_half_written(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    (world.place / "plan.json").mkdir()
    result = world.run("plan", "--out", "plan.json")
    assert result.code == 1
    assert result.err == "pinrec: plan.json: Is a directory\n"
    assert {p.name for p in world.place.iterdir()} == {"pinrec.yaml", "plan.json"}


def test_a_step_summary_that_cannot_be_written_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(world.place / "no/such/file"))
    world.manifest(f"name: website, cid: {A}")
    result = world.run("plan", "--format", "github")
    assert result.code == 0
    assert result.err == "pinrec: the step summary could not be written: No such file or directory\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--service", "bocks"], "did you mean box?"),
        (["--target", "wobsite"], "wobsite"),
    ],
)
def test_what_matches_nothing_is_an_error(world: World, args: list[str], message: str) -> None:
    world.manifest(f"name: website, cid: {A}")
    result = world.run("plan", *args)
    assert result.code == 64
    assert result.out == ""
    assert message in result.err


def test_target_and_no_prune_narrow(world: World) -> None:
    world.manifest(f"name: a, cid: {A}", f"name: b, cid: {B}")
    world.run("apply", "--yes")
    world.manifest(f"name: a, cid: {C}", f"name: c, cid: {C}")
    assert "Plan: 1 to add, 1 to replace, 1 to delete." in world.run("plan").out
    assert "Plan: 1 to add, 1 to replace, 0 to delete" in world.run("plan", "--no-prune").out
    assert "Plan: 0 to add, 1 to replace, 0 to delete" in world.run("plan", "--target", "a").out


def test_a_dead_service_is_told_and_exits_3(world: World) -> None:
    world.manifest(
        f"name: website, cid: {A}, services: [box, dead]",
        services="  dead: {preset: sandbox, endpoint: 'http://127.0.0.1:9', key: {env: BOX_KEY}}\n",
    )
    result = world.run("plan")
    assert result.code == 3
    assert "dead  nothing is known of it: cannot be reached" in result.out
    assert "+ website" in result.out


def test_an_unset_key_is_an_error_before_any_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOX_KEY")
    world.manifest(f"name: website, cid: {A}")
    world.sandbox.forget_requests()
    result = world.run("plan")
    assert result.code == 1
    assert result.err.startswith("pinrec: ")
    assert "BOX_KEY" in result.err
    assert world.sandbox.requests == ()


def test_an_invalid_manifest_is_annotated_for_github(world: World) -> None:
    world.manifest("name: website, cid: nonsense")
    result = world.run("plan", "--format", "github")
    assert result.code == 64
    assert result.out.startswith("::error file=pinrec.yaml,line=7,title=")
    assert "pinrec.yaml:7:" in result.err


def test_github_writes_a_step_summary(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(world.place / "summary.md"))
    world.manifest(f"name: website, cid: {A}")
    result = world.run("plan", "--format", "github")
    assert "::notice file=pinrec.yaml,line=7,title=pinrec%3A add box website::not there yet" in result.out
    assert (world.place / "summary.md").read_text().startswith("<!-- pinrec:plan:acme -->")


def test_the_manifest_from_stdin(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    world.manifest(f"name: website, cid: {A}")
    monkeypatch.setattr("sys.stdin", io.StringIO((world.place / "pinrec.yaml").read_text()))
    (world.place / "pinrec.yaml").unlink()
    assert "Plan: 1 to add" in world.run("plan", "-f", "-").out


def test_a_state_directory_that_cannot_be_made_does_not_stop_a_plan(world: World) -> None:
    (world.place / "file").write_text("")
    world.manifest(f"name: website, cid: {A}")
    assert world.run("plan", "--state-dir", "file/state").code == 0
    result = world.run("apply", "--yes", "--state-dir", "file/state")
    assert result.code == 1
    assert "--state-dir" in result.err
    assert world.there() == {}


def test_a_proxy_that_cannot_be_used_leaves_a_service_unknown_and_the_rest_planned(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    world.manifest(
        f"name: website, cid: {A}",
        services="  far: {endpoint: 'https://pins.example.com', key: {env: BOX_KEY}}\n",
    )
    result = world.run("plan", "--format", "json")
    assert result.code == 3
    box, far = sorted(json.loads(result.out)["services"], key=lambda s: s["service"])
    assert (box.get("reachable", True), far["reachable"]) == (True, False)
    assert far["why"] == "the proxy that the environment names cannot be used"


def test_a_build_that_left_the_cid_of_a_key_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_CID", "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8")
    world.manifest("name: site, cid: {env: SITE_CID}")
    result = world.run("plan")
    assert (result.code, "not content: it is the CID of a key" in result.err) == (64, True), result.err
    assert world.sandbox.requests == ()
