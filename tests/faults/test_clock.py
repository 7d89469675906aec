"""One of the two clocks is wrong, ours or the service's: nothing is taken for expired, and all else goes on."""

import time
from pathlib import Path

import pytest
from support.process import foreign, manifest, ours
from support.scenario import LETTERS

from reconciler.cli.main import run
from reconciler.core.errors import EXIT_OK, EXIT_PARTIAL
from reconciler.sandbox import Sandbox

A, B, C, D, E = (LETTERS[c] for c in "ABCDE")
DAY = 86_400.0
EXPIRED = f"  - {{name: old, cid: {E}, expires: 2020-01-01}}"


@pytest.mark.parametrize("days", [-400, -3, 3, 400, 0])
def test_what_expired_is_kept_while_the_clocks_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], days: int
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEY", "token")
    with Sandbox(("token",), clock=lambda: time.time() + days * DAY) as sandbox:
        for name, cid, owner in (
            ("website", A, "acme"),
            ("kept", C, "acme"),
            ("gone", D, "acme"),
            ("old", E, "acme"),
            ("old", E, "other"),
        ):
            sandbox.store.put("token", cid, name=name, meta={"pinrec": owner})
        others = foreign(sandbox.store.all("token"))
        (tmp_path / "pinrec.yaml").write_text(
            manifest(sandbox.url, {"website": B, "kept": C, "new": D}, EXPIRED)
        )
        code = run(["apply", "--yes"])
        said = capsys.readouterr()
        assert code == (EXIT_PARTIAL if days else EXIT_OK), said.out + said.err
        wanted = {("website", B), ("kept", C), ("new", D)} | ({("old", E)} if days else set())
        assert ours(sandbox.store.all("token")) == sorted((name, cid, "pinned") for name, cid in wanted)
        assert foreign(sandbox.store.all("token")) == others
        if days:
            assert f"the clock of s is {abs(days) * 24} h off ours" in said.out + said.err
