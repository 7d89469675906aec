"""kill -9 while a service retires: at each moment every pin is held by one of the two, and the next run ends it."""

import signal
from pathlib import Path

import pytest
from support.killer import Killer
from support.process import done, ours, start
from support.scenario import LETTERS

from reconciler.sandbox import AllOf, Chance, Sandbox

WANTED = {name: LETTERS[letter] for name, letter in (("one", "A"), ("two", "B"), ("three", "C"))}
MISHAPS = ("error-after", "reset", "reset-after", "truncated", "html", "delay")


def manifest(old: Sandbox, new: Sandbox) -> str:
    service = '{{endpoint: "{url}", key: {{env: KEY}}, profile: spec{more}}}'
    return "\n".join(
        [
            "version: 1",
            "name: acme",
            "services:",
            "  old: " + service.format(url=old.url, more=", state: retiring"),
            "  new: " + service.format(url=new.url, more=""),
            "pins:",
            *(f"  - {{name: {name}, cid: {cid}, services: [old, new]}}" for name, cid in WANTED.items()),
            "",
        ]
    )


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [2, 3, 4, 5])
def test_a_kill_while_a_service_retires_loses_no_copy(tmp_path: Path, at: int, when: str) -> None:
    killer = Killer(at, when)
    chances = [Chance(0.15, seed=f"{at} {when} {side}", mishaps=MISHAPS) for side in ("old", "new")]
    with (
        Sandbox(faults=AllOf(killer, chances[0])) as old,
        Sandbox(faults=AllOf(killer, chances[1])) as new,
    ):
        for name, cid in WANTED.items():
            old.store.put("token", cid, name=name, meta={"pinrec": "acme"})
        (tmp_path / "pinrec.yaml").write_text(manifest(old, new))
        for _ in range(8):
            killer.victim = start(tmp_path, "apply", "--yes")
            code, text = done(killer.victim)
            there = {p.cid for box in (old, new) for p in box.store.all("token") if p.status == "pinned"}
            assert there == set(WANTED.values()), text
            if code == -signal.SIGKILL:
                break
        assert code == -signal.SIGKILL, text
        killer.victim = None
        for chance in chances:
            chance.rate = 0.0
        code, text = done(start(tmp_path, "apply", "--yes"))
        assert code == 0, text
        code, text = done(start(tmp_path, "plan", "--detailed-exitcode"))
        assert code == 0, text
        assert ours(old.store.all("token")) == []
        assert ours(new.store.all("token")) == sorted((n, c, "pinned") for n, c in WANTED.items())
