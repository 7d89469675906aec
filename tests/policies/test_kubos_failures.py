"""Each way in which Kubo's own MFS policy fails, as docs/kubo-policy.md counts them, and the test that shows ours."""

import asyncio
import random
import re
from pathlib import Path

from support.model import raw_cid
from support.rooted import NAME, ScriptedNode, cycle, manifest_of, mfs
from support.world import OURS, World

from reconciler.core.plan import Retry
from reconciler.core.question import StatOf
from reconciler.policies import KINDS

TESTS = Path(__file__).parents[1]
#: Number in the page → the tests that would fail if ours did the same.
SHOWN = {
    1: (
        "test_a_failed_pin_is_tried_again_and_makes_the_plan_say_so",
        "test_a_pin_that_fails_is_told_and_tried_again",
    ),
    2: ("test_a_pin_deleted_remotely_is_repaired", "test_a_pin_that_somebody_deletes_is_made_again"),
    3: ("test_a_failed_pin_is_added_again_and_never_replaced_by_itself",),
    4: ("test_duplicates_under_the_name_are_cleaned",),
    5: ("test_a_service_that_hangs_delays_no_other",),
    6: ("test_a_service_that_is_down_is_asked_ever_more_rarely",),
    7: ("test_two_nodes_with_one_name_do_not_take_turns",),
    8: ("test_the_whole_way_with_a_node_and_when_it_has_gone",),
    9: ("test_any_path_may_be_followed", "test_the_last_roots_stay_as_pins_of_their_own"),
    10: ("test_the_first_change_goes_out_at_once_and_one_that_comes_soon_is_held",),
    11: ("test_a_broken_manifest_keeps_the_old_one_and_a_mended_one_is_taken",),
    12: ("test_after_a_restart_nothing_is_sent_twice",),
    13: ("test_it_keeps_and_is_told_and_ends",),
    14: ("test_a_dear_stat_is_asked_rarely_and_status_says_so",),
}


def test_every_failure_is_shown_by_tests_that_exist() -> None:
    page = (TESTS.parent / "docs" / "kubo-policy.md").read_text(encoding="utf-8")
    assert [int(n) for n in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)] == list(SHOWN)
    there = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    for names in SHOWN.values():
        for name in names:
            assert f"def {name}" in there, name


def test_a_failed_pin_is_added_again_and_never_replaced_by_itself() -> None:
    """At ipfs-cluster, where a replace with the same CID deletes the pin (measured on 1.1.6)."""
    root = raw_cid("root")
    world = World(random.Random(1), one=True)
    world.put(NAME, root, OURS, "failed")
    node = ScriptedNode(root)

    async def go() -> None:
        manifest = manifest_of(mfs(mode="modify"), profile="ipfs-cluster")
        plan = await cycle(manifest, world, node)
        assert [type(c) for c in plan.changes] == [Retry]
        assert root in world.pins
        for _ in range(8):
            world.tick()
        assert not (await cycle(manifest, world, node)).changes

    asyncio.run(go())
    assert [(p.pin.cid, p.status) for p in world.pins.values()] == [(root, "pinned")]


def test_any_path_may_be_followed() -> None:
    policy = mfs()
    policy.settings["path"] = "/photos/2026"
    assert StatOf("/photos/2026") in KINDS["mfs"].questions(policy)
