"""Folders that go through a node to services: a sandboxed node and service, over sockets."""

import asyncio
import random
import shutil

import pytest
from support.building import OWN, Here, fill, kill_midway
from support.process import done, start

from reconciler.core.local import LOCAL
from reconciler.core.manifest import Node as NodeSpec
from reconciler.core.plan import Blocked, Keep
from reconciler.core.policy import Retain
from reconciler.engine import sections
from reconciler.node.open import open_node
from reconciler.sandbox.node import SandboxNode


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sections of some kilobytes."""
    monkeypatch.setattr(sections, "LEAST", 40_000)
    monkeypatch.setattr(sections, "MOST", 80_000)


# --- it is imported, and then it is a pin like any other ---------------------------------------------------------


def test_a_folder_is_imported_and_pinned_here_and_there(here: Here) -> None:
    plan, report = here.apply()
    cid = here.cid()
    assert report.exit_code(plan) == 0
    assert {a.key for a in plan.changes} == {("s", "site"), (LOCAL, "site")}
    assert {a.whence for a in plan.changes} == {"directory: dist"}
    assert here.pins() == {cid: OWN + "site"}
    # The service has it from the node: it would not be pinned without the last of its blocks.
    assert here.remote() == {"site": (cid, "pinned")}
    assert not here.plan().changes


def test_a_plan_asks_nothing_of_the_node_and_sends_nothing(here: Here) -> None:
    here.plan()
    assert here.asked("dag/import") == here.asked("add") == here.asked("pin/add") == 0


def test_what_is_there_is_not_sent_again(here: Here) -> None:
    here.apply()
    here.used = ("s", "t")
    here.node.forget_requests()
    plan, report = here.apply()
    assert [a.key for a in plan.changes] == [("t", "site")]
    assert report.exit_code(plan) == 0
    assert here.remote("t") == here.remote("s")
    assert here.asked("dag/import") == 0


def test_a_new_build_takes_the_place_of_the_old_one(here: Here) -> None:
    here.apply()
    before = here.cid()
    here.write("index.html", "<h1>two</h1>")
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.cid() != before
    assert here.pins() == {here.cid(): OWN + "site"}
    assert here.remote() == {"site": (here.cid(), "pinned")}


def test_earlier_builds_that_are_kept_are_not_looked_for_on_the_disk(here: Here) -> None:
    here.policy = {"retain": Retain(count=2)}
    here.apply()
    first = here.cid()
    here.write("index.html", "<h1>two</h1>")
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert {cid for cid, _ in here.remote().values()} == {first, here.cid()}
    assert not here.plan().changes


def test_without_a_local_pin_it_is_imported_all_the_same(here: Here) -> None:
    here.policy = {"local": False}
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.pins() == {}
    assert here.remote() == {"site": (here.cid(), "pinned")}


@pytest.mark.parametrize("layout", ["kubo-v0", "kubo-v1", "unixfs-v1-2025"])
@pytest.mark.parametrize("wrap", [False, True])
def test_all_layouts(here: Here, layout: str, wrap: bool) -> None:
    here.settings = {"layout": layout, "wrap": wrap, "ignore": ("img/",)}
    here.write("large", bytes(2_000_000))
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.remote() == {"site": (here.cid(), "pinned")}
    assert not here.plan().changes


def test_a_single_file(here: Here) -> None:
    here.settings = {"path": "dist/index.html"}
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.remote()["site"][1] == "pinned"


def test_an_empty_file_without_a_local_pin(here: Here) -> None:
    here.write("nothing", b"")
    here.settings, here.policy = {"path": "dist/nothing"}, {"local": False}
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.remote()["site"][1] == "pinned"
    here.used = ("s", "t")
    assert here.apply()[1].exit_code(plan) == 0


def test_a_pin_of_the_node_s_user_keeps_its_name(here: Here) -> None:
    here.apply()
    cid = here.cid()

    async def rename() -> None:
        async with open_node(NodeSpec(api=here.node.api), environ={}) as node:
            await node.unpin(cid)
            await node.pin(cid, name="mine")

    asyncio.run(rename())
    here.used = ("s", "t")
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.pins() == {cid: "mine"}


# --- what is not what it was ------------------------------------------------------------------------------------


def test_a_folder_that_changed_since_it_was_planned_is_not_pinned_and_the_rest_goes_on(here: Here) -> None:
    other = here.node.add(b"other")
    here.entries = {"other": other}
    plan, report = here.apply(meanwhile=lambda: here.write("index.html", "<h1>changed</h1>"))
    results = {(o.service, o.name): (o.result, o.why) for o in report.outcomes}
    assert results[("s", "other")][0] == "done"
    for service in ("s", LOCAL):
        result, why = results[(service, "site")]
        assert result == "failed"
        assert "changed since it was planned" in why
    assert here.pins() == {}
    assert here.remote() == {"other": (other, "pinned")}
    assert report.exit_code(plan) == 3
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.remote()["site"] == (here.cid(), "pinned")


def test_a_folder_that_went_since_it_was_planned(here: Here) -> None:
    _, report = here.apply(meanwhile=lambda: here.dist.rename(here.dist.with_name("gone")))
    assert {(o.result, o.why) for o in report.outcomes} == {
        ("failed", "policy site: there is no such folder or file")
    }
    assert not here.pins()
    assert not here.remote()


def test_the_memory_of_large_files_is_dropped_when_it_was_wrong(here: Here) -> None:
    here.remembers = True
    here.write("large", bytes(1_000_000))
    memo = here.state / "folders"
    here.plan()
    here.apply(meanwhile=lambda: here.write("large", b"x" * 1_000_000))
    assert not list(memo.glob("*.memo")) if memo.exists() else True
    plan, report = here.apply()
    assert report.exit_code(plan) == 0


def test_a_build_that_failed_leaves_the_last_one_pinned(here: Here) -> None:
    here.apply()
    pinned = here.remote(), here.pins()
    here.dist.rename(here.dist.with_name("gone"))
    plan, report = here.apply()
    assert report.exit_code(plan) == 3
    [finding] = [f for f in plan.findings if f.service in ("", "s")]
    assert finding.guard == "unknown"
    assert "dist: there is no such folder or file" in finding.message
    assert (here.remote(), here.pins()) == pinned
    here.dist.mkdir()
    plan, report = here.apply()
    assert report.exit_code(plan) == 4
    # Every node has the empty folder pinned, so that there it would only be the old pin that goes.
    assert {(a.service, a.guard, a.resolve) for a in plan.blocked} >= {("s", "shrank", "--allow-shrink site")}
    assert (here.remote(), here.pins()) == pinned


def test_an_empty_folder_is_not_published_for_the_first_time_either(here: Here) -> None:
    shutil.rmtree(here.dist)
    (here.dist / "img").mkdir(parents=True)
    plan, report = here.apply()
    assert {(a.guard, a.reason) for a in plan.blocked} == {
        ("shrank", "policy site: directory: dist is empty")
    }
    assert report.exit_code(plan) == 4
    assert (here.remote(), here.pins()) == ({}, {})
    plan, report = here.apply(allow_shrink=("site",))
    assert report.exit_code(plan) == 0
    assert not here.plan().changes


def test_a_build_of_less_than_half_the_size_is_held_back(here: Here) -> None:
    here.apply()
    (here.dist / "img/ü.png").unlink()
    plan = here.plan()
    assert {a.guard for a in plan.blocked} == {"shrank"}
    plan, report = here.apply(allow_shrink=("site",))
    assert report.exit_code(plan) == 0


# --- no node, or one that fails ---------------------------------------------------------------------------------


def test_without_a_node_the_plan_shows_the_cid_and_nobody_is_asked_to_pin_it(here: Here) -> None:
    cid = here.cid()
    here.declared = False
    plan, report = here.apply()
    [held] = plan.actions
    assert isinstance(held, Blocked)
    assert (held.cid, held.guard, held.would, held.resolve) == (
        cid,
        "import",
        "add",
        "node: {} in the manifest",
    )
    assert report.exit_code(plan) == plan.exit_code() == 4
    assert not here.remote()


def test_what_a_service_has_already_needs_no_node(here: Here) -> None:
    here.apply()
    here.declared, here.used = False, ("s", "t")
    plan, report = here.apply()
    assert [a.key for a in plan.changes] == [("t", "site")]
    assert report.exit_code(plan) == 0
    assert here.remote("t")["site"] == (here.cid(), "pinned")


def test_a_node_that_is_down_fails_these_pins_alone(here: Here) -> None:
    here.timeout = 1.0
    other = here.node.add(b"other")
    here.entries = {"other": other}
    _, report = here.apply(meanwhile=here.node.stop)
    results = {o.name: o for o in report.outcomes if o.service == "s"}
    assert results["other"].result in ("done", "waiting")
    assert results["site"].result == "failed"
    assert "cannot be reached" in results["site"].why
    assert "site" not in here.remote()
    here.node.start()
    here.timeout = 5.0
    plan, report = here.apply()
    assert report.exit_code(plan) == 0


def test_a_node_that_is_down_is_not_needed_for_what_is_pinned_elsewhere(here: Here) -> None:
    here.apply()
    here.node.forget(here.cid())
    here.used = ("s", "t")
    here.policy, here.timeout = {"local": False}, 1.0
    _, report = here.apply(meanwhile=here.node.stop)
    assert "failed" not in {o.result for o in report.outcomes if o.service == "t"}
    assert any("it is pinned elsewhere" in told for told in here.notes.told)


def test_a_node_that_refuses_blocks(here: Here) -> None:
    here.node.faults.errors["dag/import"] = "no space left on device"
    _, report = here.apply()
    assert {o.result for o in report.outcomes} == {"failed"}
    assert all("no space left on device" in o.why for o in report.outcomes)
    assert not here.remote()


def test_another_node_than_the_one_that_is_believed_is_no_reason_not_to_know_a_folder(here: Here) -> None:
    from msgspec.structs import replace

    manifest = here.manifest()
    assert manifest.node is not None
    here.manifest = lambda: replace(manifest, node=replace(manifest.node, peer_id="another"))  # type: ignore[method-assign, type-var]
    assert {a.key for a in here.plan().changes} == {("s", "site"), (LOCAL, "site")}


# --- cut short --------------------------------------------------------------------------------------------------


def test_what_the_node_acknowledged_is_not_sent_again(here: Here, small: None) -> None:
    fill(here)
    here.remembers = True

    def stop(count: int) -> None:
        if count == 5:
            here.node.faults.errors["dag/import"] = "it was killed"

    here.after = stop
    _, report = here.apply()
    assert {o.result for o in report.outcomes} == {"failed"}
    assert not here.remote()
    assert here.asked("dag/import") == 6
    here.node.faults.clear()
    here.after = None
    here.node.forget_requests()
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    first = here.asked("dag/import")
    assert here.remote() == {"site": (here.cid(), "pinned")}
    # A new build of the same, but for one file: what did not change is not sent again either.
    here.node.forget_requests()
    here.write("many/30.bin", b"new")
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.remote() == {"site": (here.cid(), "pinned")}
    assert here.asked("dag/import") < first
    assert here.notes.sizes == sorted(here.notes.sizes)


def test_another_node_gets_all_of_it(here: Here, small: None) -> None:
    fill(here)
    here.remembers = True
    here.apply()
    with SandboxNode(seed="new", network=here.node.network) as new:
        here.node = new
        plan, report = here.apply()
        assert report.exit_code(plan) == 0
        assert here.pins() == {here.cid(): OWN + "site"}


@pytest.mark.parametrize("remembers", [False, True])
def test_garbage_collected_while_it_is_imported(here: Here, small: None, remembers: bool) -> None:
    fill(here)
    here.remembers = remembers

    def collect(count: int) -> None:
        if count == 3:
            here.node.state.blocks.held.clear()

    here.after = collect
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.remote() == {"site": (here.cid(), "pinned")}
    assert here.pins() == {here.cid(): OWN + "site"}


def test_a_node_that_forgets_what_was_remembered_as_sent(here: Here, small: None) -> None:
    fill(here)
    here.remembers, here.policy = True, {"local": False}
    here.apply()
    here.node.state.blocks.held.clear()
    here.write("index.html", "<h1>two</h1>")
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.remote() == {"site": (here.cid(), "pinned")}


def test_a_node_that_never_keeps_it(here: Here) -> None:
    here.after = lambda _count: here.node.state.blocks.held.clear()
    _, report = here.apply()
    assert {o.result for o in report.outcomes} == {"failed"}
    assert all("does not have all of it" in o.why for o in report.outcomes)
    assert here.asked("dag/import") == 2
    assert not here.remote()


def test_a_block_that_is_missing_deep_below_is_seen(here: Here) -> None:
    here.policy = {"local": False}
    here.apply()
    inner = next(c for c in here.node.state.blocks.held if len(here.node.state.blocks.held[c]) > 200_000)
    here.node.state.blocks.held.pop(inner)
    here.used = ("s", "t")
    here.node.forget_requests()
    here.apply()
    assert here.asked("dag/import") == 1


def test_what_waits_at_a_service_is_imported_again_if_the_node_lost_it(here: Here) -> None:
    here.policy, here.timeout = {"local": False}, 1.0
    with SandboxNode(seed="behind a NAT", network=here.node.network, dialable=False) as node:
        here.node = node
        node.faults.dial_refused = True
        _, report = here.apply()
        assert [o.result for o in report.outcomes] == ["waiting"]
        node.state.blocks.held.clear()
        node.faults.clear()
        here.timeout = 5.0
        plan, report = here.apply()
        assert [a.reason for a in plan.actions if isinstance(a, Keep)] == ["waiting"]
        assert report.exit_code(plan) == 0
        assert here.remote() == {"site": (here.cid(), "pinned")}


def test_a_run_that_is_stopped_skips_what_it_was_importing(here: Here, small: None) -> None:
    fill(here)

    def stop(count: int) -> None:
        if count == 2:
            assert here.stop is not None
            here.stop.set()

    here.after = stop
    plan, report = here.apply()
    assert {(o.result, o.why) for o in report.outcomes} == {("skipped", "interrupted")}
    assert here.asked("dag/import") < 8
    assert not here.remote()
    here.after = None
    assert here.apply()[1].exit_code(plan) == 0


def test_killed_midway_the_next_apply_sends_the_rest(here: Here) -> None:
    dice = random.Random(3)
    for n in range(150):
        here.write(f"{n}.bin", dice.randbytes(400_000))
    sent = kill_midway(here, here.dist.parent, "sent")
    acknowledged = sent.stat().st_size // 16
    code, said = done(start(here.dist.parent, "apply", "--yes"))
    assert code == 0, said
    total = sent.stat().st_size // 16
    assert here.asked("dag/import") == total - acknowledged
    assert here.remote()["site"][1] == "pinned"
    assert list(here.pins().values()) == [OWN + "site"]
