"""The benchmarks run, compare like with like, and tell what they found. Nothing here depends on time."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent.parent / "bench" / "run.py"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(RUN), *arguments], capture_output=True, text=True)


def test_every_group_runs_and_tells_its_figures() -> None:
    # Each task counts the pins that it saw, and a run in which the two sides saw different ones fails.
    done = bench("all", "--size", "120", "--repeat", "1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["size"] == 120
    assert {"cpu", "cores", "python", "pinrec", "httpx"} <= told["machine"].keys()
    groups = [line["group"] for line in told["lines"]]
    assert list(dict.fromkeys(groups)) == [
        "load",
        "validate",
        "list",
        "plan",
        "apply",
        "pressure",
        "memory",
        "loop",
        "startup",
        "unixfs",
        *(["import"] if shutil.which("ipfs") else []),
    ]
    for line in told["lines"]:
        # Of a loop that does not grow there is nothing to tell.
        assert line["ours"] > 0 or "growth" in line["name"], line
        assert (line["ok"] is None) == (line["target"] == ""), line


def test_the_table_has_a_verdict_for_each_target() -> None:
    done = bench("load", "--size", "50", "--repeat", "1")
    assert done.returncode == 0, done.stderr
    machine, *_, last = done.stdout.splitlines()
    assert "python" in machine
    assert "httpx" in machine
    assert last.endswith("of 2 targets met")
    assert "500 lines, peak" in done.stdout


def test_check_turns_a_missed_target_into_an_exit_code() -> None:
    # One pin is listed no faster by many workers than by one, so the targets for 100,000 are missed.
    done = bench("list", "--size", "1", "--repeat", "1", "--check")
    assert "MISS" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize("arguments", [["lists"], ["--sise", "1"]])
def test_what_is_misspelt_is_refused(arguments: list[str]) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr
