"""Every row, rule and guard, as data in `scenarios/`: each is planned, applied, and planned again.

`UPDATE_SCENARIOS=1` writes what was seen into the files instead of comparing; read the difference before keeping it.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString
from support.scenario import Stage, load, named

HERE = Path(__file__).parent / "scenarios"
UPDATE = os.environ.get("UPDATE_SCENARIOS") == "1"


@pytest.mark.parametrize("path", sorted(HERE.glob("*.yaml")), ids=lambda p: p.stem)
def test_scenario(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load(path)
    stage = Stage(data, tmp_path, monkeypatch, capsys)
    options = data.get("options", "").split()
    with stage.open():
        code, text, err = stage.pinrec("plan", *options)
        seen: dict[str, Any] = {"plan": named(text + err), "plan-exit": code}
        code, _, err = stage.pinrec("apply", "--yes", *options, *data.get("apply-options", "").split())
        seen |= {"apply-exit": code, "requests": stage.changes(), "after": stage.state()}
        if not data.get("again"):
            # The proof of every scenario: what was applied is true, and nothing is left to do.
            code, text, err = stage.pinrec("plan", "--detailed-exitcode", *options)
            seen["second-exit"] = code
            assert code != 2, f"a second plan is not empty:\n{text}{err}"
    if UPDATE:
        _write(path, data, seen)
    for what, value in seen.items():
        wanted = data.get(what, [] if isinstance(value, list) else 0)
        assert value == (wanted.rstrip("\n") if isinstance(wanted, str) else wanted), what


def _write(path: Path, data: dict[str, Any], seen: dict[str, Any]) -> None:
    yaml = YAML()
    yaml.width = 4096
    document = yaml.load(path.read_text())
    for what, value in seen.items():
        text = LiteralScalarString(value + "\n") if isinstance(value, str) else value
        document[what] = text
        data[what] = value
    with path.open("w") as f:
        yaml.dump(document, f)


def test_there_is_a_scenario_for_every_guard() -> None:
    """A guard without a scenario is a promise that nobody checks."""
    told = "\n".join(load(p).get("plan", "") + load(p)["about"] for p in HERE.glob("*.yaml"))
    for guard in (
        "empty",
        "incomplete",
        "deletes",
        "replaces",
        "last-copy",
        "protected",
        "shrank",
        "disjoint",
        "unknown",
    ):
        assert guard in told, guard
