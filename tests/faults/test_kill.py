"""kill -9 at each point of an apply: after each intent is durable, and after each request took effect."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.scenario import LETTERS

from reconciler.engine.journal import Journal
from reconciler.sandbox import Answer, Drop, Fault, Received, Sandbox

A, B, C, D = (LETTERS[c] for c in "ABCD")


class Killer:
    """Kills the process that sends the n-th changing request, before or after it took effect."""

    def __init__(self) -> None:
        self.victim: subprocess.Popen[bytes] | None = None
        self.at, self.when = 0, "before"
        self.count = 0

    def before(self, request: Received) -> Fault | None:
        self.count += request.method != "GET"
        return self._kill() if self.when == "before" and self._now(request) else None

    def after(self, request: Received, answer: Answer) -> Fault | None:
        return self._kill() if self.when == "after" and self._now(request) else None

    def _now(self, request: Received) -> bool:
        return self.victim is not None and request.method != "GET" and self.count == self.at

    def _kill(self) -> Fault:
        assert self.victim is not None
        self.victim.kill()
        return Drop()


MANIFEST = """\
version: 1
name: acme
services: {{s: {{endpoint: "{url}", key: {{env: KEY}}, profile: spec}}}}
pins:
  - {{name: website, cid: {b}}}
  - {{name: kept, cid: {c}}}
  - {{name: new, cid: {d}}}
"""


def pinrec(directory: Path, *argv: str) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "KEY": "token", "PINREC_STATE_DIR": str(directory / "state")}
    command = [sys.executable, "-m", "reconciler.cli.main", *argv]
    return subprocess.Popen(
        command, cwd=directory, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_kill_at_any_request_the_next_run_converges(tmp_path: Path, when: str) -> None:
    killed = 0
    for at in range(1, 20):
        directory = tmp_path / str(at)
        directory.mkdir()
        killer = Killer()
        killer.when, killer.at = when, at
        with Sandbox(("token",), faults=killer) as sandbox:
            for name, cid, meta in (
                ("website", A, {"pinrec": "acme"}),
                ("kept", C, {"pinrec": "acme"}),
                ("gone", D, {"pinrec": "acme"}),
                ("website", B, {}),
                ("theirs", A, {"pinrec": "other"}),
            ):
                sandbox.store.put("token", cid, name=name, meta=meta)
            foreign = [p for p in sandbox.store.all("token") if p.meta.get("pinrec") != "acme"]
            (directory / "pinrec.yaml").write_text(MANIFEST.format(url=sandbox.url, b=B, c=C, d=D))
            killer.victim = pinrec(directory, "apply", "--yes")
            killer.victim.communicate(timeout=60)
            if killer.victim.returncode == 0:
                break
            assert killer.victim.returncode == -signal.SIGKILL
            killed += 1
            killer.victim = None
            with Journal.open(directory / "state") as journal:
                assert len(journal.runs("acme")) == 1
                assert bool(journal.open_intents("acme"))
            again = pinrec(directory, "apply", "--yes")
            text, _ = again.communicate(timeout=60)
            assert again.returncode == 0, text.decode()
            last = pinrec(directory, "plan", "--detailed-exitcode")
            text, _ = last.communicate(timeout=60)
            assert last.returncode == 0, text.decode()
            after = sandbox.store.all("token")
            assert [p for p in after if p.meta.get("pinrec") != "acme"] == foreign
            ours = sorted((p.name or "", p.cid, p.status) for p in after if p.meta.get("pinrec") == "acme")
            assert ours == sorted([("website", B, "pinned"), ("kept", C, "pinned"), ("new", D, "pinned")])
    else:
        pytest.fail("no run came to its end")
    assert killed >= 4, "fewer requests than there are changes"
