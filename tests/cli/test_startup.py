"""Nothing heavy is imported before it is needed."""

import os
import subprocess
import sys

import pytest

HEAVY = {
    "aiolimiter",
    "apscheduler",
    "asyncio",
    "deepdiff",
    "httpx",
    "jsonschema",
    "msgspec",
    "rich",
    "ruamel",
    "sqlite3",
    "ssl",
    "starlette",
    "tenacity",
    "uvicorn",
}


def imported(*args: str) -> set[str]:
    code = "from reconciler.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, *args],
        capture_output=True,
        text=True,
        check=True,
        # Under coverage a child would measure itself, and import for it.
        env={k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")},
    )
    lines = (
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")
    )
    return {line.partition(".")[0] for line in lines}


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["plan", "--help"],
        ["demo", "--help"],
        ["pin", "set", "--help"],
        ["service", "--help"],
        ["import", "--help"],
    ],
)
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    names = imported(*args)
    assert "click" in names
    assert not names & HEAVY


def test_validate_imports_neither_http_nor_servers(tmp_path) -> None:
    path = tmp_path / "pinrec.yaml"
    path.write_text(
        "version: 1\nname: x\nservices:\n  s: {preset: sandbox, endpoint: 'http://127.0.0.1:9', key: {env: K}}\n"
        "defaults: {services: [s]}\npins: []\n"
    )
    assert not imported("validate", "-f", str(path)) & {
        "asyncio",
        "httpx",
        "ssl",
        "deepdiff",
        "apscheduler",
        "rich",
        "uvicorn",
    }
