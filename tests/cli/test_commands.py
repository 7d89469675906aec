"""The smaller commands, against a sandbox."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from reconciler.cli.main import run
from reconciler.cli.options import DURATION
from reconciler.engine.lock import Lock
from tests.cli.conftest import A, B, C, World

# --- validate, schema, init -------------------------------------------------------------------------------------


def test_validate_counts_and_resolves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOX_KEY")
    world.manifest(f"name: a, cid: {A}", "name: b, cid: {env: NOT_SET}")
    result = world.run("validate")
    assert (result.code, result.out) == (0, "pinrec.yaml is valid: 1 service, 2 pins\n")
    assert world.sandbox.requests == ()


def test_validate_reports_every_problem_at_its_place(world: World) -> None:
    world.manifest("name: a, cid: nonsense", f"name: b, cid: {A}, servises: [box]")
    result = world.run("validate")
    assert result.code == 64
    assert result.out == ""
    assert "pinrec.yaml:7:" in result.err
    assert "pinrec.yaml:8:" in result.err
    assert "services" in result.err
    found = world.run("validate", "--format", "json").json
    assert found["valid"] is False
    assert [p["line"] for p in found["problems"]] == [7, 8]
    lines = world.run("validate", "--format", "github").out.splitlines()
    assert [line.startswith("::error file=pinrec.yaml,line=") for line in lines] == [True, True]


def test_validate_json_of_a_valid_one(world: World) -> None:
    world.manifest(f"name: a, cid: {A}")
    found = world.run("validate", "--format", "json").json
    assert (found["valid"], found["pins"], found["problems"]) == (True, 1, [])


@pytest.mark.parametrize("what", [None, "manifest", "plan", "report"])
def test_schemas_are_printed(world: World, what: str | None) -> None:
    schema = world.run("schema", *([what] if what else [])).json
    assert schema["$schema"].startswith("http://json-schema.org/draft-07")


def test_init_writes_a_manifest_that_is_valid_and_never_the_same_owner(world: World) -> None:
    first = world.run("init")
    assert first.code == 0
    assert "pinrec validate" in first.out
    text = (world.place / "pinrec.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=pinrec.schema.json\n")
    assert json.loads((world.place / "pinrec.schema.json").read_text())
    assert world.run("validate").code == 0
    again = world.run("init")
    assert (again.code, "--force" in again.err) == (64, True)
    assert (world.place / "pinrec.yaml").read_text() == text
    assert world.run("init", "--force").code == 0
    owners = [_owner(text), _owner((world.place / "pinrec.yaml").read_text())]
    assert owners[0] != owners[1]


def _owner(text: str) -> str:
    found = re.search("^name: ([a-z0-9-]{1,40})$", text, re.MULTILINE)
    assert found
    return found[1]


def test_init_has_nowhere_to_write_to(world: World) -> None:
    assert world.run("init", "-f", "-").code == 64
    assert world.run("init", "-f", "no/such/pinrec.yaml").code == 1


def test_init_takes_a_name_and_refuses_a_bad_one(world: World) -> None:
    assert world.run("init", "--name", "Not an owner").code == 64
    assert world.run("init", "--name", "acme-site").code == 0
    assert "\nname: acme-site\n" in (world.place / "pinrec.yaml").read_text()


# --- ls ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def listed(world: World) -> World:
    for name, cid in (("docs/a", A), ("docs/b", B), ("Other", C)):
        world.api("POST", "/pins", {"cid": cid, "name": name, "meta": {"team": name[:4]}})
    world.manifest()
    return world


@pytest.mark.parametrize(
    ("args", "names"),
    [
        ([], {"docs/a", "docs/b", "Other"}),
        (["--cid", A], {"docs/a"}),
        (["--cid", A, "--cid", B], {"docs/a", "docs/b"}),
        (["--name", "docs/a"], {"docs/a"}),
        (["--name", "docs", "--match", "partial"], {"docs/a", "docs/b"}),
        (["--name", "other"], set()),
        (["--name", "other", "--match", "iexact"], {"Other"}),
        (["--status", "pinned"], {"docs/a", "docs/b", "Other"}),
        (["--status", "failed"], set()),
        (["--meta", "team=docs"], {"docs/a", "docs/b"}),
        (["--before", "2020-01-01T00:00:00Z"], set()),
        (["--after", "2020-01-01T00:00:00Z"], {"docs/a", "docs/b", "Other"}),
    ],
)
def test_ls_filters(listed: World, args: list[str], names: set[str]) -> None:
    result = listed.run("ls", "--format", "ndjson", *args)
    assert result.code == 0
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert {row["pin"]["name"] for row in rows} == names
    whole = listed.run("ls", "--format", "json", *args)
    assert {row["pin"]["name"] for row in whole.json} == names


def test_ls_limit(listed: World) -> None:
    assert listed.run("ls", "--limit", "2", "--format", "ndjson").out.count("\n") == 2
    assert listed.run("ls", "--limit", "1", "--meta", "team=docs", "--format", "ndjson").out.count("\n") == 1


def test_ls_rows_are_pin_statuses_of_the_api(listed: World) -> None:
    row = json.loads(listed.run("ls", "--cid", A, "--format", "ndjson").out)
    status = listed.api("GET", f"/pins/{row['requestid']}")
    assert row.pop("service") == "box"
    for field in ("requestid", "status", "created", "delegates"):
        assert row[field] == status[field]
    assert row["pin"]["cid"] == status["pin"]["cid"]


def test_ls_of_an_empty_account(world: World) -> None:
    world.manifest()
    assert world.run("ls", "--format", "json").json == []
    assert world.run("ls", "--format", "ndjson").out == ""
    assert world.run("ls").out.startswith("SERVICE")


def test_ls_goes_on_after_a_dead_service_and_exits_3(listed: World) -> None:
    listed.manifest(
        services="  a-dead: {preset: sandbox, endpoint: 'http://127.0.0.1:9', key: {env: BOX_KEY}}\n"
    )
    result = listed.run("ls", "--format", "ndjson")
    assert result.code == 3
    assert result.out.count("\n") == 3
    assert "a-dead" in result.err


def test_ls_shows_a_hostile_name_and_does_not_obey_it(world: World) -> None:
    world.foreign("x\x1b[2J\n::error::pwned\u202e")
    world.manifest()
    for form in ("table", "json", "ndjson"):
        out = world.run("ls", "--format", form).out
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert not [line for line in out.splitlines() if line.startswith("::")]


@pytest.mark.parametrize(
    "args", [["--cid", "nonsense"], ["--before", "yesterday"], ["--meta", "x"], ["--meta", "=x"]]
)
def test_ls_refuses_what_it_cannot_read(listed: World, args: list[str]) -> None:
    assert listed.run("ls", *args).code == 64


def test_ls_stops_when_nobody_reads(listed: World) -> None:
    process = listed.process("ls", "--format", "ndjson")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == ""
    assert process.wait(timeout=30) == 0


# --- status, explain, history, unlock ---------------------------------------------------------------------------


def test_status_counts_ours(world: World) -> None:
    world.foreign("theirs")
    world.manifest(f"name: a, cid: {A}", f"name: b, cid: {B}")
    before = world.run("status")
    assert before.code == 0
    assert re.search(r"box +drifted +2 +0 +0 +0 +0 +2 +0", before.out)
    assert "No run in the journal" in before.out
    world.run("apply", "--yes")
    after = world.run("status", "--format", "json").json
    assert after["exit_code"] == 0
    assert (after["services"][0]["pinned"], after["services"][0]["drift"]) == (2, 0)
    assert after["last_run"]["exit_code"] == 0
    assert re.search(r"box +ok +2 +2", world.run("status").out)


def test_status_is_red_when_a_pin_of_ours_has_failed(world: World) -> None:
    world.manifest(f"name: a, cid: {A}")
    world.run("apply", "--yes")
    requestid = world.api("GET", "/pins")["results"][0]["requestid"]
    world.sandbox.set_status(requestid, "failed")
    result = world.run("status")
    assert result.code == 3
    assert "1 failure" in result.out


def test_status_of_a_dead_service_claims_nothing(world: World) -> None:
    world.manifest(
        services="  dead: {preset: sandbox, endpoint: 'http://127.0.0.1:9', key: {env: BOX_KEY}}\n"
    )
    result = world.run("status")
    assert result.code == 3
    assert re.search(r"dead +unreachable +0 +\? +\?", result.out)
    assert world.run("status", "--service", "box").code == 0


def test_status_tells_what_is_not_known(world: World) -> None:
    world.manifest()
    path = world.place / "pinrec.yaml"
    text = path.read_text().replace("preset: sandbox", "preset: sandbox, policies: [all-in-mfs]")
    path.write_text(text + "node: {api: 'http://127.0.0.1:9'}\n")
    result = world.run("status")
    assert result.code == 3
    assert "[unknown] policy all-in-mfs: the node at http://127.0.0.1:9 cannot be reached" in result.out
    assert "all-in-mfs" in world.run("status", "--format", "json").json["unknown"][0]["message"]


def test_explain_tells_what_is_wanted_there_and_decided(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    world.run("apply", "--yes")
    world.manifest(f"name: website, cid: {B}")
    result = world.run("explain", "website")
    assert result.code == 0
    assert f"  wanted    {B}  [pinrec.yaml:7]" in result.out
    assert re.search(rf"  there     {A}  pinned, ours, created ", result.out)
    assert "  so        ~ " in result.out
    told = world.run("explain", "box/website", "--format", "json").json
    assert [e["service"] for e in told] == ["box"]
    assert world.run("explain", "wobsite").code == 64


def test_history_lists_runs_and_their_requests(world: World) -> None:
    assert world.run("history", "--all").out == "No runs yet.\n"
    assert not Path(os.environ["PINREC_STATE_DIR"]).exists()
    world.manifest(f"name: website, cid: {A}")
    world.run("apply", "--yes")
    runs = world.run("history", "--format", "json").json
    assert [r["what"] for r in runs] == ["apply"]
    assert world.run("history").out.count("\n") == 2
    one = world.run("history", runs[0]["id"])
    assert re.search(r"box +add +website +bafybei…ywqhcjze +done", one.out)
    assert world.run("history", "no-such-run").code == 64


def test_unlock_shows_the_holder_and_needs_a_yes(world: World) -> None:
    world.manifest()
    assert world.run("unlock").out == "Nobody holds the lock of acme.\n"
    lock = Lock(Path(os.environ["PINREC_STATE_DIR"]), "acme")
    with lock.hold(what="apply"):
        refused = world.run("unlock")
        assert refused.code == 64
        assert f"pid {os.getpid()}" in refused.out
        assert lock.holder() is not None
        assert world.run("unlock", "--yes").code == 0
        assert lock.holder() is None


def test_a_suspended_service_is_observed_and_not_called_drifted(world: World) -> None:
    world.manifest(f"name: a, cid: {A}")
    path = world.place / "pinrec.yaml"
    path.write_text(path.read_text().replace("preset: sandbox", "preset: sandbox, state: suspended"))
    result = world.run("status")
    assert result.code == 0
    assert re.search(r"box +suspended", result.out)
    assert world.run("apply", "--yes").code == 0
    assert world.there() == {}


def test_version_for_a_bug_report(world: World) -> None:
    assert "Python 3." in world.run("version", "-v").out


# --- sandbox, demo ----------------------------------------------------------------------------------------------


def test_the_sandbox_says_how_to_use_it_and_stops_on_a_signal(world: World) -> None:
    process = world.process(
        "sandbox",
        "--port",
        "0",
        "--store",
        "pins.db",
        "--token",
        "one",
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    lines = list(iter(process.stdout.readline, "Ctrl-C stops it.\n"))
    url = lines[0].split()[-1]
    assert any("Bearer $TOKEN" in line for line in lines)
    done = subprocess.run(
        ["curl", "-sS", "-H", "Authorization: Bearer one", f"{url}/pins"], capture_output=True, text=True
    )
    assert json.loads(done.stdout) == {"count": 0, "results": []}
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "Traceback" not in err


def test_the_sandbox_of_others_needs_a_key_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sandbox", "--host", "0.0.0.0"]) == 64
    assert "--token" in capsys.readouterr().err


def test_a_store_that_is_none_is_one_line(world: World) -> None:
    (world.place / "store.db").write_text("this is no database, and never was one")
    result = world.run("sandbox", "--port", "0", "--store", "store.db")
    assert result.code == 1
    assert result.err.startswith("pinrec: --store store.db: ")


def test_a_port_that_is_taken_is_one_line(world: World) -> None:
    result = world.run("sandbox", "--port", str(world.sandbox.port))
    assert result.code == 1
    assert "--port 0" in result.err


def test_the_demo_is_a_whole_story(world: World) -> None:
    result = world.run("demo")
    assert result.code == 0
    for sentence in (
        "Plan: 5 to add, 0 to replace, 0 to delete.",
        "Applied: 5 added",
        "No changes. The services hold what the manifest says.",
        "Plan: 0 to add, 2 to replace, 0 to delete; 3 unchanged.",
        "Applied: 2 replaced",
        "Applied: 1 deleted",
        "holiday-photos",
        "pinrec init",
    ):
        assert sentence in result.out
    assert list(world.place.iterdir()) == []
    assert Path.cwd() == world.place


def test_the_demo_can_be_kept_and_overwrites_nothing(world: World) -> None:
    assert world.run("demo", "--dir", "tour").code == 0
    assert (world.place / "tour/pinrec.yaml").exists()
    assert world.run("demo", "--dir", "tour").code == 64


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("10m", 600),
        ("1h30m", 5400),
        ("90", 90),
        ("1.5h", 5400),
        ("300ms", 0.3),
        ("2min", 120),
        ("1d", 86400),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == pytest.approx(seconds)
