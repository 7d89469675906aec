"""A request that was thought lost takes effect an hour later, and two who apply at once."""

import random
import time
from pathlib import Path

import pytest
from support.process import done, foreign, is_ours, manifest, ours, start
from support.scenario import LETTERS

from reconciler.cli.main import run
from reconciler.sandbox import Answer, Delay, Drop, Fault, Received, Sandbox

A, B, C, D, E, F = (LETTERS[c] for c in "ABCDEF")


class FirstLost:
    """The first POST does not arrive, as far as anybody can tell; `body` is what it asked for."""

    def __init__(self) -> None:
        self.body: object = None

    def before(self, request: Received) -> Fault | None:
        if request.method != "POST" or self.body is not None:
            return None
        self.body = request.json
        return Drop()

    def after(self, request: Received, answer: Answer) -> Fault | None:
        return None


def test_a_lost_post_that_arrives_an_hour_later_is_surplus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEY", "token")
    lost, late = FirstLost(), [-3600.0]
    with Sandbox(("token",), faults=lost, clock=lambda: time.time() + late[0]) as sandbox:
        for name, cid, meta in (("kept", C, {"pinrec": "acme"}), ("site", F, {}), ("x", B, {"pinrec": "o"})):
            sandbox.store.put("token", cid, name=name, meta=meta)
        others = foreign(sandbox.store.all("token"))
        (tmp_path / "pinrec.yaml").write_text(manifest(sandbox.url, {"site": A, "kept": C}))
        assert run(["apply", "--yes"]) == 0
        wanted = [("kept", C, "pinned"), ("site", A, "pinned")]
        assert ours(sandbox.store.all("token")) == wanted
        assert isinstance(lost.body, dict)

        late[0] = 0.0
        body = lost.body
        sandbox.store.put("token", body["cid"], name=body["name"], meta=body["meta"])
        assert len(ours(sandbox.store.all("token"))) == 3
        assert run(["plan", "--detailed-exitcode"]) == 2
        sandbox.forget_requests()
        capsys.readouterr()
        assert run(["apply", "--yes"]) == 0, capsys.readouterr()
        assert [r.method for r in sandbox.requests if r.method != "GET"] == ["DELETE"]
        assert ours(sandbox.store.all("token")) == wanted
        assert foreign(sandbox.store.all("token")) == others
        assert run(["plan", "--detailed-exitcode"]) == 0


class Jostle:
    """Answers each request after a while of its own, and sees to it that what both want never is without a copy."""

    def __init__(self, seed: int) -> None:
        self.rnd = random.Random(seed)
        self.sandbox: Sandbox | None = None
        self.bare: list[str] = []

    def before(self, request: Received) -> Fault | None:
        return Delay(seconds=self.rnd.random() * 0.08)

    def after(self, request: Received, answer: Answer) -> Fault | None:
        assert self.sandbox
        if request.method != "GET":
            pinned = {p.name for p in self.sandbox.store.all("token") if is_ours(p) and p.status == "pinned"}
            self.bare += [f"{name}: {request.method} {request.path}" for name in {"site", "kept"} - pinned]
        return None


ONE = {"site": B, "kept": C, "new": D}
OTHER = {"site": E, "kept": C, "else": F}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("second", [ONE, OTHER], ids=["same", "versions"])
def test_two_who_apply_at_once_leave_what_one_run_makes_right(
    tmp_path: Path, second: dict[str, str], seed: int
) -> None:
    jostle = Jostle(seed)
    with Sandbox(("token",), faults=jostle) as sandbox:
        jostle.sandbox = sandbox
        for name, cid, meta in (
            ("site", A, {"pinrec": "acme"}),
            ("kept", C, {"pinrec": "acme"}),
            ("gone", D, {"pinrec": "acme"}),
            ("site", B, {}),
            ("new", F, {"pinrec": "other"}),
        ):
            sandbox.store.put("token", cid, name=name, meta=meta)
        others = foreign(sandbox.store.all("token"))
        rivals = []
        for name, pins in (("one", ONE), ("two", second)):
            directory = tmp_path / name
            directory.mkdir()
            (directory / "pinrec.yaml").write_text(manifest(sandbox.url, pins))
            rivals.append(start(directory, "apply", "--yes"))
        said = [done(rival) for rival in rivals]
        # What the other changed first is skipped, and told by exit code.
        assert all(code in (0, 3) for code, _ in said), said
        assert jostle.bare == []
        assert foreign(sandbox.store.all("token")) == others
        code, text = done(start(tmp_path / "one", "apply", "--yes"))
        assert code == 0, text
        code, text = done(start(tmp_path / "one", "plan", "--detailed-exitcode"))
        assert code == 0, text
        assert jostle.bare == []
        assert ours(sandbox.store.all("token")) == sorted((n, c, "pinned") for n, c in ONE.items())
        assert foreign(sandbox.store.all("token")) == others
