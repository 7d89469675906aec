"""kill -9 while the service fails at random: when it is well again one run makes everything right."""

import signal
from pathlib import Path

import pytest
from support.killer import Killer
from support.process import done, foreign, manifest, ours, start
from support.scenario import LETTERS

from reconciler.sandbox import AllOf, Chance, Sandbox

A, B, C, D = (LETTERS[c] for c in "ABCD")
MISHAPS = ("error", "error-after", "reset", "reset-after", "truncated", "html", "delay")


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
