"""Nothing is half done silently: whatever ends a lane early, each action of the plan has an outcome in the report."""

import json
from pathlib import Path

import pytest
from support.scenario import Stage

from reconciler.sandbox import Answer, Fault, Lifecycle, Received, Sandbox

TWO = "pins:\n  - {name: one, cid: $A, services: [s]}\n  - {name: two, cid: $B, services: [s]}\n"


def outcomes(stage: Stage, *argv: str) -> tuple[int, dict[str, str]]:
    code, out, _ = stage.pinrec("apply", "--yes", "--format", "json", *argv)
    return code, {o["name"]: o["result"] for o in json.loads(out)["outcomes"]}


def test_what_comes_after_a_mark_that_was_not_kept_is_told_as_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"services": {"s": {"personality": "no-meta", "yaml": ""}}, "manifest": TWO}
    stage = Stage(data, tmp_path, monkeypatch, capsys)
    with stage.open():
        assert outcomes(stage) == (3, {"one": "failed", "two": "skipped"})


class RevokedKey:
    """The key is refused after so many requests."""

    def __init__(self, requests: int) -> None:
        self.requests = requests

    def before(self, request: Received) -> Fault | None:
        if request.number <= self.requests:
            return None
        body = b'{"error":{"reason":"UNAUTHORIZED","details":"revoked"}}'
        return Answer(status=401, body=body, headers={"content-type": "application/json"})

    def after(self, request: Received, answer: Answer) -> Fault | None:
        return None


@pytest.mark.parametrize("requests", [1, 2, 3, 4])
def test_a_key_that_is_revoked_midway_leaves_no_action_without_an_outcome(
    requests: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = Stage({"manifest": TWO}, tmp_path, monkeypatch, capsys)
    with Sandbox(("token",), lifecycle=Lifecycle(queued=60), faults=RevokedKey(requests)) as sandbox:
        stage.sandboxes["s"] = sandbox
        stage.write_manifest(TWO)
        code, told = outcomes(stage, "--timeout", "2s")
    assert code == 3
    assert told.keys() == {"one", "two"}
    assert "done" not in told.values()
