"""kill -9 while the service fails at random: when it is well again one run makes everything right."""

import signal
import subprocess
from pathlib import Path

import pytest
from support.process import done, foreign, manifest, ours, start
from support.scenario import LETTERS

from reconciler.sandbox import AllOf, Answer, Chance, Drop, Fault, Received, Sandbox

A, B, C, D = (LETTERS[c] for c in "ABCD")
MISHAPS = ("error", "error-after", "reset", "reset-after", "truncated", "html", "delay")


class Killer:
    """Kills the process that sends the n-th changing request or one after it, before or after it took effect."""

    def __init__(self, at: int, when: str) -> None:
        self.victim: subprocess.Popen[str] | None = None
        self.at, self.when, self.count = at, when, 0

    def before(self, request: Received) -> Fault | None:
        self.count += request.method != "GET"
        return self._kill(request, "before")

    def after(self, request: Received, answer: Answer) -> Fault | None:
        return self._kill(request, "after")

    def _kill(self, request: Received, when: str) -> Fault | None:
        if self.victim is None or when != self.when or self.count < self.at or request.method == "GET":
            return None
        self.victim.kill()
        return Drop()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_kill_amid_faults_leaves_nothing_that_the_next_run_does_not_mend(
    tmp_path: Path, at: int, when: str
) -> None:
    killer = Killer(at, when)
    chance = Chance(0.25, seed=f"{at} {when}", mishaps=MISHAPS)
    with Sandbox(("token",), faults=AllOf(killer, chance)) as sandbox:
        for name, cid, meta in (
            ("website", A, {"pinrec": "acme"}),
            ("kept", C, {"pinrec": "acme"}),
            ("gone", D, {"pinrec": "acme"}),
            ("website", B, {}),
            ("theirs", A, {"pinrec": "other"}),
        ):
            sandbox.store.put("token", cid, name=name, meta=meta)
        others = foreign(sandbox.store.all("token"))
        wanted = {"website": B, "kept": C, "new": D}
        (tmp_path / "pinrec.yaml").write_text(manifest(sandbox.url, wanted))
        # A run may give up before it gets so far. Until all is done it takes four changes, so one is killed.
        for _ in range(6):
            killer.victim = start(tmp_path, "apply", "--yes")
            code, text = done(killer.victim)
            if code == -signal.SIGKILL:
                break
        assert code == -signal.SIGKILL, text
        assert foreign(sandbox.store.all("token")) == others
        killer.victim = None
        chance.rate = 0.0
        code, text = done(start(tmp_path, "apply", "--yes"))
        assert code == 0, text
        code, text = done(start(tmp_path, "plan", "--detailed-exitcode"))
        assert code == 0, text
        after = sandbox.store.all("token")
        assert ours(after) == sorted((name, cid, "pinned") for name, cid in wanted.items())
        assert foreign(after) == others
