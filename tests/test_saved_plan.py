"""`plan --out` and `apply plan.json`: only what was saved, and only if the world is still what it was made of."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.scenario import LETTERS, Stage

A, B, C, D = (LETTERS[x] for x in "ABCD")
WEBSITE = "pins:\n  - {name: website, cid: $B, services: [s]}\n"
MORE = WEBSITE + "  - {name: new, cid: $C, services: [s]}\n"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    data = {"manifest": MORE, "remote": ["s website A pinned ours", "s theirs D pinned unmarked"]}
    stage = Stage(data, tmp_path, monkeypatch, capsys)
    with stage.open():
        yield stage


def saved(stage: Stage) -> dict[str, Any]:
    code, out, err = stage.pinrec("plan", "--out", "plan.json")
    assert code == 0, out + err
    return json.loads(Path("plan.json").read_text())


def test_it_does_what_it_says_without_asking_and_a_second_time_nothing(stage: Stage) -> None:
    saved(stage)
    assert stage.pinrec("apply", "plan.json")[0] == 0
    assert stage.state() == ["s new C pinned ours", "s theirs D pinned unmarked", "s website B pinned ours"]
    before = len(stage.changes())
    code, out, err = stage.pinrec("apply", "plan.json")
    assert code == 0, out + err
    assert len(stage.changes()) == before


def test_newer_differences_are_listed_and_left(stage: Stage) -> None:
    saved(stage)
    stage.sandboxes["s"].store.put("token", LETTERS["E"], name="surplus", meta={"pinrec": "acme"})
    code, out, err = stage.pinrec("apply", "plan.json")
    assert code == 0, out + err
    assert "surplus" in out + err
    assert "s surplus E pinned ours" in stage.state()


def test_it_is_stale_when_the_manifest_says_something_else(stage: Stage) -> None:
    saved(stage)
    stage.write_manifest(WEBSITE)
    code, _, err = stage.pinrec("apply", "plan.json")
    assert (code, stage.changes()) == (5, [])
    assert "pinrec plan --out" in err


def test_a_comment_is_nothing_else(stage: Stage) -> None:
    saved(stage)
    stage.write_manifest("# a word\n" + MORE)
    assert stage.pinrec("apply", "plan.json")[0] == 0


@pytest.mark.parametrize("move", ["gone", "added", "renamed", "foreign"])
def test_it_is_stale_when_what_is_under_a_key_has_moved(stage: Stage, move: str) -> None:
    saved(stage)
    store = stage.sandboxes["s"].store
    website = next(p for p in store.all("token") if p.name == "website")
    if move in ("gone", "renamed"):
        code, _, _ = stage.pinrec("version")
        import httpx

        url = f"{stage.sandboxes['s'].url}/pins/{website.requestid}"
        httpx.delete(url, headers={"Authorization": "Bearer token"}, trust_env=False)
    if move == "added":
        store.put("token", D, name="website", meta={"pinrec": "acme"})
    if move == "foreign":
        store.put("token", D, name="website")
    if move == "renamed":
        store.put("token", A, name="website", meta={"pinrec": "acme"})
    before = stage.changes()
    code, _, err = stage.pinrec("apply", "plan.json")
    assert code == 5, err
    assert stage.changes() == before


def test_it_is_refused_when_it_is_a_day_old(stage: Stage) -> None:
    plan = saved(stage)
    plan["created"] = "2020-01-01T00:00:00Z"
    Path("plan.json").write_text(json.dumps(plan))
    code, _, err = stage.pinrec("apply", "plan.json")
    assert (code, stage.changes()) == (5, [])
    assert "h old" in err


def test_it_is_refused_when_it_comes_from_the_future(stage: Stage) -> None:
    plan = saved(stage)
    plan["created"] = "2099-01-01T00:00:00Z"
    Path("plan.json").write_text(json.dumps(plan))
    code, _, err = stage.pinrec("apply", "plan.json")
    assert (code, stage.changes()) == (5, [])
    assert "in the future" in err


def test_it_holds_no_address_of_a_service_that_is_down(stage: Stage) -> None:
    stage.services = {"s": {"down": True}}
    stage.write_manifest(MORE)
    code, _, _ = stage.pinrec("plan", "--out", "plan.json")
    assert code == 3
    text = Path("plan.json").read_text()
    assert "nothing is known of s" in text
    assert "127.0.0.1" not in text


def test_another_run_on_its_keys_makes_it_stale(stage: Stage) -> None:
    saved(stage)
    assert stage.pinrec("apply", "--yes")[0] == 0
    before = stage.changes()
    code, _, err = stage.pinrec("apply", "plan.json")
    assert (code, stage.changes()) == (5, before)
    assert "another run" in err


def test_it_carries_cids_from_outside_and_the_overrides(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.write_manifest("pins:\n  - {name: website, cid: {env: SITE_CID}, services: [s]}\n")
    monkeypatch.setenv("SITE_CID", B)
    plan = saved(stage)
    assert plan["resolved"] == {"env: SITE_CID": B}
    monkeypatch.delenv("SITE_CID")
    assert stage.pinrec("apply", "plan.json")[0] == 0
    assert "s website B pinned ours" in stage.state()


def test_it_holds_no_endpoint_and_no_key(stage: Stage) -> None:
    saved(stage)
    text = Path("plan.json").read_text()
    assert "127.0.0.1" not in text
    assert "SCENARIO_KEY" not in text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "9.0"}', '{"format": "1.0"}', "null"])
def test_what_is_no_plan_is_refused(stage: Stage, text: str) -> None:
    Path("plan.json").write_text(text)
    code, _, err = stage.pinrec("apply", "plan.json")
    assert code in (5, 64), err
    assert "Traceback" not in err
    assert stage.changes() == []
