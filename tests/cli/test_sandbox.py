"""`pinrec sandbox`: personalities, quirks and faults from the command line."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from reconciler.cli.commands.sandbox import command
from reconciler.cli.main import run
from reconciler.sandbox import MISHAPS, PERSONALITIES, QUIRKS

KEY = {"authorization": "Bearer sandbox-token"}
V1 = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"


@contextmanager
def running(world: Any, *argv: str) -> Iterator[tuple[httpx.Client, str]]:
    """A client of the sandbox, and what it said at its start."""
    process: subprocess.Popen[str] = world.process(
        "sandbox", "--port", "0", *argv, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout is not None
    try:
        said = "".join(iter(process.stdout.readline, "Ctrl-C stops it.\n"))
        url = said.splitlines()[0].split()[-1]
        with httpx.Client(base_url=url, headers=KEY, trust_env=False, timeout=30) as api:
            yield api, said
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 143, err


def test_help_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sandbox", "--help"]) == 0
    text = capsys.readouterr().out
    for name in (*PERSONALITIES, *QUIRKS, *MISHAPS):
        assert name in text
    assert command.help


def test_a_personality_with_a_quirk(world: Any) -> None:
    argv = ("--personality", "ipfs-cluster", "--quirk", "count=plus1", "--missing", V1, "--patience", "0s")
    with running(world, *argv) as (api, said):
        assert "preset: ipfs-cluster" in said
        added = api.post("/pins", json={"cid": V1})
        assert (added.status_code, added.json()["requestid"], added.json()["status"]) == (200, V1, "queued")
        assert api.get(f"/pins/{V1}").json()["status"] == "failed"
        api.post("/pins", json={"cid": "bafkqaaa"})
        api.post("/pins", json={"cid": "bafkqaca"})
        assert api.get("/pins", params={"limit": 1}).json()["count"] == 2


def test_a_script_and_a_rate(world: Any) -> None:
    (world.place / "faults.yaml").write_text(
        "- when: {method: GET, path: /pins, nth: 2}  # the second look\n  do: {error: 503}\n"
    )
    with running(world, "--faults", "faults.yaml", "--rate", "3/h") as (api, _):
        answers = [api.get("/pins") for _ in range(4)]
        assert [a.status_code for a in answers] == [200, 503, 200, 429]
        assert "retry-after" in answers[3].headers


def test_chance(world: Any) -> None:
    argv = ("--fault-rate", "0.5", "--seed", "3", "--fault", "quota", "--fault", "error")
    codes = []
    for _ in range(2):
        with running(world, *argv) as (api, said):
            assert "preset: sandbox" in said
            codes.append([api.post("/pins", json={"cid": "bafkqaaa"}).status_code for _ in range(20)])
    assert codes[0] == codes[1]
    assert set(codes[0]) == {202, 409, 500}


def test_what_no_preset_is_for(world: Any) -> None:
    with running(world, "--personality", "mock") as (_, said):
        assert "profile: unknown" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--quirk", "cuont=plus1"], "did you mean count?"),
        (["--quirk", "count=plus"], "did you mean plus1?"),
        (["--quirk", "count"], "count=total|plus1|page|unfiltered"),
        (["--personality", "pinnata"], "pinata"),
        (["--rate", "often"], "no rate"),
        (["--fault-rate", "2"], "0<=x<=1"),
        (["--fault-rate", "0.1", "--fault", "reste"], "did you mean reset?"),
        (["--fault", "reset"], "--fault-rate is missing"),
        (["--faults", "missing.yaml"], "No such file"),
        (["--missing", "Qm"], "--missing"),
    ],
    ids=str,
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], argv: list[str], said: str) -> None:
    assert run(["sandbox", *argv]) == 64
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- do: resett\n", "did you mean reset?"),
        ("- do: reset\n  wehn: {}\n", "did you mean when?"),
        ("- do: [\n", "faults.yaml:2:1"),
        ("do: reset\n", "a list of rules"),
        ("- do: reset\n  do: error\n", "faults.yaml:2:3"),
    ],
)
def test_scripts_that_cannot_be_played(world: Any, text: str, said: str) -> None:
    (world.place / "faults.yaml").write_text(text)
    result = world.run("sandbox", "--faults", "faults.yaml")
    assert result.code == 64
    assert said in result.err
