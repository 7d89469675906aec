"""A canary key, planted in every kind of reference, appears in no output, file, log, error or URL of any command."""

import logging
import os
import stat
import sys
from pathlib import Path

import pytest
from support.scenario import LETTERS

from reconciler.cli.main import run
from reconciler.sandbox import Answer, Fault, Received, Sandbox

CANARY = "canary-5f2b9d7e1c"


class Indiscreet:
    """A service that says what it was given: keys come back in error texts, infos and headers."""

    def __init__(self) -> None:
        self.status = 0

    def before(self, request: Received) -> Fault | None:
        if not self.status or (request.method == "GET" and self.status >= 500):
            return None
        body = f'{{"error":{{"reason":"BAD {CANARY}","details":"Authorization: Bearer {CANARY}"}}}}'.encode()
        return Answer(status=self.status, body=body, headers={"content-type": "application/json"})

    def after(self, request: Received, answer: Answer) -> Fault | None:
        return None


def reference(kind: str, directory: Path) -> str:
    if kind == "env":
        return "{env: CANARY_KEY}"
    if kind == "file":
        file = directory / "key"
        file.write_text(CANARY + "\n")
        file.chmod(stat.S_IRUSR | stat.S_IWUSR)
        return "{file: key}"
    script = directory / "give-key"
    script.write_text(f"#!{sys.executable}\nimport os\nprint(os.environ['CANARY_KEY'])\n")
    script.chmod(0o700)
    return f"{{command: [{str(script)!r}]}}"


COMMANDS = [
    ["validate"],
    ["plan"],
    ["plan", "--format", "json"],
    ["plan", "--format", "markdown"],
    ["plan", "--format", "github"],
    ["plan", "--out", "plan.json"],
    ["apply", "plan.json", "--format", "json"],
    ["apply", "--yes"],
    ["status", "--format", "json"],
    ["ls", "--format", "ndjson"],
    ["ls", "--format", "table"],
    ["explain", "website"],
    ["history"],
    ["destroy", "--yes"],
    ["apply", "--yes", "--service", "nothing"],
    ["plan", "--target", "nothing*"],
]


@pytest.mark.parametrize("status", [0, 400, 401, 403, 409])
@pytest.mark.parametrize("kind", ["env", "file", "command"])
def test_no_key_is_shown_or_written(
    kind: str,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.chdir(tmp_path)
    state = tmp_path / "state"
    monkeypatch.setenv("PINREC_STATE_DIR", str(state))
    monkeypatch.setenv("PINREC_DEBUG", "1")
    monkeypatch.setenv("CANARY_KEY", CANARY)
    where = reference(kind, tmp_path)
    faults = Indiscreet()
    with Sandbox((CANARY,), faults=faults) as sandbox:
        (tmp_path / "pinrec.yaml").write_text(
            "version: 1\nname: acme\nservices:\n"
            f"  s: {{endpoint: {sandbox.url!r}, key: {where}, profile: spec}}\n"
            f"pins:\n  - {{name: website, cid: {LETTERS['A']}}}\n"
        )
        for command in COMMANDS:
            faults.status = status if command[0] in ("apply", "ls", "destroy") else 0
            run(["-v", *command])
        out = capsys.readouterr()
        said = out.out + out.err + caplog.text
        asked = "".join(f"{r.path}?{r.query}{r.request.body!r}" for r in sandbox.requests)
    assert "website" in said
    assert CANARY not in said
    assert CANARY not in asked
    keys = {tmp_path / "key", tmp_path / "give-key"}
    for file in tmp_path.rglob("*"):
        if file.is_file() and file not in keys:
            assert CANARY.encode() not in file.read_bytes(), file
    if sys.platform == "linux":
        assert CANARY not in Path("/proc/self/cmdline").read_text()
    assert os.environ["CANARY_KEY"] == CANARY


def test_a_key_written_into_the_manifest_is_refused_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for value in (CANARY, f"{{value: {CANARY}}}", f"[{CANARY}]", f"{{env: {{x: {CANARY}}}}}"):
        (tmp_path / "pinrec.yaml").write_text(
            f"version: 1\nname: acme\nservices:\n  s: {{endpoint: https://example.com, key: {value}}}\npins: []\n"
        )
        for command in (["validate"], ["validate", "--format", "json"], ["plan"], ["apply", "--yes"]):
            assert run(command) == 64
        out = capsys.readouterr()
        assert CANARY not in out.out + out.err, value
        assert "pinrec.yaml:4" in out.err + out.out
