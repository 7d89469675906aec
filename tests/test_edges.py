"""What a person meets at the edges: closed streams, a mistyped list file, pins that are only held."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.scenario import Stage

HELD = "pins:\n  - {name: website, cid: $A, services: [s]}\n"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    stage = Stage({"manifest": HELD, "remote": ["s theirs A pinned unmarked"]}, tmp_path, monkeypatch, capsys)
    with stage.open():
        yield stage


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_strict_makes_held_pins_a_finding(stage: Stage, command: str) -> None:
    yes = ["--yes"] * (command == "apply")
    assert stage.pinrec(command, *yes)[0] == 0
    assert stage.pinrec(command, "--strict", *yes)[0] == 4


def test_a_list_file_that_nobody_declared_lifts_no_guard(stage: Stage) -> None:
    code, _, err = stage.pinrec("plan", "--allow-shrink", "lst.txt")
    assert code == 64
    assert "--allow-shrink lst.txt" in err


@pytest.mark.parametrize(("closed", "code"), [("<&-", 64), (">&-", 64), ("2>&-", 64)])
def test_closed_streams_are_no_internal_error(tmp_path: Path, closed: str, code: int) -> None:
    command = f'"{sys.executable}" -m reconciler.cli.main -f missing.yaml plan {closed}'
    ended = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    assert "internal error" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_service_that_left_is_told_of_where_there_are_previous_owners_too(stage: Stage) -> None:
    stage.write_manifest("previousOwners: [old-name]\n" + HELD)
    stage.sandboxes["s"].store.put("token", "bafkqaaa", name="ours", meta={"pinrec": "acme"})
    assert "no longer in" not in stage.pinrec("plan")[1]
    manifest = Path("pinrec.yaml").read_text()
    Path("pinrec.yaml").write_text(manifest.replace("  s:\n", "  t:\n").replace("[s]", "[t]"))
    said = stage.pinrec("plan")[1]
    assert "s is no longer in pinrec.yaml; on " in said
    assert "it still held 1 pin of ours, which nothing keeps or deletes now" in said
