"""`guards.deleteGrace` over days: leaving, wanted again, leaving anew, gone; and without a memory never gone."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from support.model import NOW, manifest_of
from support.scenario import LETTERS
from support.world import OURS, Client, Clock, World

from reconciler.core.manifest import GuardLimits
from reconciler.core.plan import Delete, Keep, Overrides, Plan
from reconciler.core.profile import PROFILES
from reconciler.engine.context import Context
from reconciler.engine.cycle import make_plan
from reconciler.engine.journal import Journal

A, B = LETTERS["A"], LETTERS["B"]
DAY = timedelta(days=1)


def plan(
    world: World, journal: Journal | None, wanted: dict[str, str], *, after: timedelta, **more: Any
) -> Plan:
    clock = Clock()
    ctx = Context(
        now=NOW + after,
        services={"s": Client(world)},
        new_id=lambda: "p",
        journal=journal,
        sleep=clock.sleep,
        monotonic=clock,
    )
    manifest = replace(manifest_of(wanted, PROFILES["spec"]), guards=GuardLimits(delete_grace=86400.0))
    return asyncio.run(make_plan(manifest, Overrides(**more), ctx, resolved={})).plan


def leaves(plan: Plan) -> str:
    (action,) = [a for a in plan.actions if a.name == "gone"]
    return "deleted" if isinstance(action, Delete) else action.reason


def test_a_name_leaves_when_its_grace_has_run_out_and_not_before(tmp_path: Path) -> None:
    world = World(random.Random(0), one=False)
    world.put("kept", A, OURS, "pinned")
    world.put("gone", B, OURS, "pinned")
    with Journal.open(tmp_path) as journal:
        assert leaves(plan(world, journal, {"kept": A}, after=0 * DAY)) == "grace"
        assert leaves(plan(world, journal, {"kept": A}, after=0.9 * DAY)) == "grace"
        both = plan(world, journal, {"kept": A, "gone": B}, after=0.95 * DAY)
        assert both.actions == (), "wanted again, it costs nothing"
        assert leaves(plan(world, journal, {"kept": A}, after=1.5 * DAY)) == "grace", (
            "and its time begins anew"
        )
    with Journal.open(tmp_path) as journal:
        assert leaves(plan(world, journal, {"kept": A}, after=2.6 * DAY)) == "deleted"


def test_without_a_memory_nothing_is_deleted_and_the_plan_says_so() -> None:
    world = World(random.Random(0), one=False)
    world.put("kept", A, OURS, "pinned")
    world.put("gone", B, OURS, "pinned")
    for days in (0, 10, 100):
        made = plan(world, None, {"kept": A}, after=days * DAY)
        assert [a.reason for a in made.actions if isinstance(a, Keep)] == ["grace"]
        assert any("deleteGrace" in note for s in made.services for note in s.notes)


def test_destroy_waits_for_no_grace(tmp_path: Path) -> None:
    world = World(random.Random(0), one=False)
    world.put("gone", B, OURS, "pinned")
    with Journal.open(tmp_path) as journal:
        assert leaves(plan(world, journal, {}, after=0 * DAY, destroy=True)) == "deleted"


def test_a_name_that_a_guard_holds_back_is_leaving_all_the_same(tmp_path: Path) -> None:
    """What the guard says lifts it must lift it: the grace does not begin anew meanwhile."""
    world = World(random.Random(0), one=False)
    world.put("kept", A, OURS, "pinned")
    world.put("gone", B, OURS, "pinned")
    for n in range(5):
        world.put(f"gone-{n}", B, OURS, "pinned")
    with Journal.open(tmp_path) as journal:
        assert leaves(plan(world, journal, {"kept": A}, after=0 * DAY)) == "grace"
        held = plan(world, journal, {"kept": A}, after=1.1 * DAY)
        assert [f.override for f in held.findings] == ["--allow-deletes 6"]
    with Journal.open(tmp_path) as journal:
        assert leaves(plan(world, journal, {"kept": A}, after=1.2 * DAY, allow_deletes=6)) == "deleted"


def test_a_run_for_another_name_or_service_leaves_the_time_as_it_is(tmp_path: Path) -> None:
    world = World(random.Random(0), one=False)
    world.put("kept", A, OURS, "pinned")
    world.put("gone", B, OURS, "pinned")
    with Journal.open(tmp_path) as journal:
        assert leaves(plan(world, journal, {"kept": A}, after=0 * DAY)) == "grace"
        plan(world, journal, {"kept": A}, after=0.5 * DAY, targets=("kept",))
    with Journal.open(tmp_path) as journal:
        assert leaves(plan(world, journal, {"kept": A}, after=1.1 * DAY)) == "deleted"


def test_a_destroy_that_was_only_looked_at_begins_no_grace(tmp_path: Path) -> None:
    world = World(random.Random(0), one=False)
    world.put("kept", A, OURS, "pinned")
    world.put("gone", B, OURS, "pinned")
    with Journal.open(tmp_path) as journal:
        plan(world, journal, {}, after=0 * DAY, destroy=True)
    with Journal.open(tmp_path) as journal:
        assert leaves(plan(world, journal, {"kept": A}, after=2 * DAY)) == "grace"


def test_a_clock_that_was_ahead_at_the_first_look_delays_nothing_for_ever(tmp_path: Path) -> None:
    world = World(random.Random(0), one=False)
    world.put("kept", A, OURS, "pinned")
    world.put("gone", B, OURS, "pinned")
    with Journal.open(tmp_path) as journal:
        assert leaves(plan(world, journal, {"kept": A}, after=1000 * DAY)) == "grace"
    with Journal.open(tmp_path) as journal:
        assert leaves(plan(world, journal, {"kept": A}, after=0 * DAY)) == "grace"
    with Journal.open(tmp_path) as journal:
        assert leaves(plan(world, journal, {"kept": A}, after=1.1 * DAY)) == "deleted"


@pytest.mark.parametrize("first", [-1000 * DAY, 0 * DAY])
def test_a_clock_that_the_service_contradicts_by_a_day_measures_no_grace(
    tmp_path: Path, first: timedelta
) -> None:
    world = World(random.Random(0), one=False)
    world.put("kept", A, OURS, "pinned")
    world.put("gone", B, OURS, "pinned")
    with Journal.open(tmp_path) as journal:
        world.skew = -first.total_seconds()
        assert leaves(plan(world, journal, {"kept": A}, after=first)) == "grace"
    with Journal.open(tmp_path) as journal:
        world.skew = 0.0 if first else -1000 * 86400.0
        assert leaves(plan(world, journal, {"kept": A}, after=0 * DAY if first else 1000 * DAY)) == "grace"
    with Journal.open(tmp_path) as journal:
        world.skew = 0.0
        assert leaves(plan(world, journal, {"kept": A}, after=1.1 * DAY)) == "deleted"
