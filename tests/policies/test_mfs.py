"""`kind: mfs`: what is planned for the root of an MFS path, by the real core and engine over a service in memory."""

import asyncio
import datetime
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.model import raw_cid
from support.rooted import NAME, START, ScriptedNode, cycle, manifest_of, mfs, play
from support.world import OURS, World

from reconciler.core.model import PinBody, PinStatus
from reconciler.core.plan import Add, Delete, Keep, Overrides, Plan, Replace, Retry
from reconciler.core.policy import PolicyUse, Retain
from reconciler.core.question import (
    Facts,
    Identity,
    KuboPolicies,
    KuboService,
    KuboServices,
    Stat,
    StatOf,
    WhoIsIt,
)
from reconciler.policies import KINDS

A, B, C = raw_cid("A"), raw_cid("B"), raw_cid("C")


def world(*, one: bool = False) -> World:
    return World(random.Random(1), one=one)


def put(
    w: World, cid: str, *, name: str = NAME, status: str = "pinned", size: int | None = None, **meta: str
) -> str:
    marks = {"pinrec.source": "policy all-in-mfs", **meta}
    if size is not None:
        marks["pinrec.size"] = str(size)
    return w.put(name, cid, OURS, status, marks)


def put_by_kubo(w: World, cid: str, *, name: str = NAME) -> str:
    rid = put(w, cid, name=name)
    pin = w.pins[rid]
    w.pins[rid] = PinStatus(rid, pin.status, pin.created, PinBody(cid, name, None, None), [], {})
    return rid


def settled(w: World, node: ScriptedNode, *, rounds: int = 4, **policy: Any) -> Plan:
    async def go() -> Plan:
        manifest = manifest_of(mfs(**policy))
        for _ in range(rounds):
            plan = await cycle(manifest, w, node)
            for _ in range(8):
                w.tick()
        return plan

    return asyncio.run(go())


def planned(w: World, node: ScriptedNode, *, overrides: Overrides | None = None, **policy: Any) -> Plan:
    """The first plan; what it says is also done."""
    return asyncio.run(cycle(manifest_of(mfs(**policy)), w, node, overrides=overrides))


def held(w: World) -> list[tuple[str, str]]:
    return sorted((p.pin.name or "", p.pin.cid) for p in w.pins.values())


# --- following the root -------------------------------------------------------------------------------------------


def test_the_root_is_pinned_under_the_name_with_its_size_and_source() -> None:
    w = world()
    plan = planned(w, ScriptedNode(A, size=123))
    [add] = plan.changes
    assert isinstance(add, Add)
    assert (add.name, add.cid, add.origin, add.whence) == (NAME, A, "policy all-in-mfs", "mfs: /")
    [pin] = w.pins.values()
    assert pin.pin.meta == {
        "pinrec": OURS,
        "pinrec.size": "123",
        "pinrec.source": "policy all-in-mfs of peer1",
    }


@pytest.mark.parametrize(
    ("mode", "profile", "how"),
    [
        ("auto", "spec", "modify"),
        ("auto", "pinata", "safe"),  # what its replace does is not known
        ("auto", "ipfs-cluster", "safe"),
        ("modify", "pinata", "modify"),
        ("modify", "ipfs-cluster", "safe"),  # it loses data
        ("safe", "spec", "safe"),
    ],
)
def test_a_new_root_is_a_modify_where_that_is_trusted_or_asked_for(mode: Any, profile: str, how: str) -> None:
    w = world(one=profile != "spec")
    put(w, A)
    plan = asyncio.run(cycle(manifest_of(mfs(mode=mode), profile=profile), w, ScriptedNode(B)))
    [change] = plan.changes
    assert isinstance(change, Replace)
    assert change.how == how


def test_a_service_may_ask_for_another_way_than_the_policy() -> None:
    w = world()
    put(w, A)
    policy = mfs(mode="modify", uses={"s": PolicyUse(replace="safe")})
    plan = asyncio.run(cycle(manifest_of(policy), w, ScriptedNode(B)))
    assert [c.how for c in plan.changes if isinstance(c, Replace)] == ["safe"]


def test_a_pin_deleted_remotely_is_repaired_though_the_root_did_not_change() -> None:
    w, node = world(), ScriptedNode(A)
    settled(w, node)
    w.pins.clear()
    assert [type(c) for c in planned(w, node).changes] == [Add]
    assert held(w) == [(NAME, A)]


def test_duplicates_under_the_name_are_cleaned() -> None:
    w = world()
    for cid in (A, B, A, C):
        put(w, cid)
    assert not settled(w, ScriptedNode(B), rounds=6).changes
    assert held(w) == [(NAME, B)]


def test_a_failed_pin_is_tried_again_and_makes_the_plan_say_so() -> None:
    w = world()
    put(w, A, status="failed")
    assert [type(c) for c in planned(w, ScriptedNode(A)).changes] == [Retry]


def test_a_failed_pin_of_an_old_root_is_not_what_a_new_one_waits_for() -> None:
    w = world()
    put(w, A)
    put(w, B, status="failed")
    assert not settled(w, ScriptedNode(C)).changes
    assert held(w) == [(NAME, C)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([None, Retain(count=1), Retain(count=3), Retain(age=500.0)]))
def test_any_interleaving_ends_with_exactly_the_current_root(seed: int, retain: Retain | None) -> None:
    assert play(seed, retain=retain) == []


# --- what is not known --------------------------------------------------------------------------------------------


def test_with_the_node_down_the_last_pins_stay_and_the_plan_says_so() -> None:
    w, node = world(), ScriptedNode(A)
    settled(w, node)
    node.down = True
    plan = planned(w, node)
    assert plan.exit_code() == 3
    assert not plan.changes
    assert [(a.name, a.reason) for a in plan.actions if isinstance(a, Keep)] == [(NAME, "unknown")]
    assert "the node cannot be reached" in plan.findings[0].message
    assert held(w) == [(NAME, A)]


def test_an_mfs_path_that_is_gone_is_not_known_either() -> None:
    w, node = world(), ScriptedNode(A)
    settled(w, node)
    node.root = ""
    plan = planned(w, node)
    assert plan.exit_code() == 3
    assert not plan.changes
    assert "there is no / in MFS" in plan.findings[0].message


def test_a_service_without_pins_of_the_policy_tells_of_the_unknown_too() -> None:
    node = ScriptedNode(A)
    node.down = True
    assert planned(world(), node).exit_code() == 3


def test_another_node_than_the_manifest_names_is_not_believed() -> None:
    from msgspec.structs import replace

    w, node = world(), ScriptedNode(A)
    put(w, B)
    manifest = manifest_of(mfs())
    assert manifest.node is not None
    manifest = replace(manifest, node=replace(manifest.node, peer_id="peer9"))
    plan = asyncio.run(cycle(manifest, w, node))
    assert plan.exit_code() == 3
    assert not plan.changes
    assert "is peer1, and the manifest names peer9" in plan.findings[0].message


def test_switched_off_keeps_the_last_pins_without_a_finding() -> None:
    w, node = world(), ScriptedNode(A)
    settled(w, node)
    node.root, asked = B, node.requests
    plan = planned(w, node, enabled=False)
    assert plan.exit_code(detailed=True) == 0
    assert [(a.name, a.reason) for a in plan.actions if isinstance(a, Keep)] == [(NAME, "switched-off")]
    assert node.requests == asked
    assert held(w) == [(NAME, A)]


def test_a_policy_that_left_the_manifest_is_pruned_like_any_pin() -> None:
    from msgspec.structs import replace

    w, node = world(), ScriptedNode(A)
    settled(w, node)
    manifest = replace(manifest_of(mfs()), policies={})
    plan = asyncio.run(cycle(manifest, w, node))
    assert not plan.changes
    assert [f.guard for f in plan.findings] == ["empty"]
    plan = asyncio.run(cycle(manifest, w, node, overrides=Overrides(allow_empty=True)))
    assert [type(c) for c in plan.changes] == [Delete]
    assert held(w) == []


# --- what shrank --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "now", "fires"), [(1000, 499, True), (1000, 500, False), (0, 0, False)])
def test_half_of_what_is_pinned_is_the_least(before: int, now: int, fires: bool) -> None:
    w = world()
    put(w, A, size=before)
    plan = planned(w, ScriptedNode(B, size=now))
    assert [f.guard for f in plan.findings] == (["shrank"] if fires else [])
    assert bool(plan.changes) != fires
    assert plan.exit_code() == (4 if fires else 0)


def test_an_emptied_mfs_is_held_back_and_a_person_lets_it_pass() -> None:
    w, node = world(), ScriptedNode(B, size=4)
    node.empty = True
    put(w, A)
    plan = planned(w, node)
    assert not plan.changes
    assert plan.findings[0].override == "--allow-shrink all-in-mfs"
    assert planned(w, node, overrides=Overrides(allow_shrink=("all-in-mfs",))).changes
    assert held(w) == [(NAME, B)]


def test_an_empty_mfs_of_which_nothing_is_pinned_has_not_shrunk() -> None:
    w, node = world(), ScriptedNode(B, size=4)
    node.empty = True
    assert planned(w, node).changes


def test_where_no_mark_tells_the_size_the_node_does() -> None:
    w, node = world(), ScriptedNode(B, size=10)
    put(w, A)
    node.sizes[A] = 1000
    assert [f.guard for f in planned(w, node).findings] == ["shrank"]


def test_where_nobody_knows_the_size_the_plan_says_so() -> None:
    w, node = world(), ScriptedNode(B, size=10)
    put(w, A)
    plan = planned(w, node)
    assert plan.changes
    assert any("size of what is pinned is not known" in n for s in plan.services for n in s.notes)


def test_another_node_is_held_back_until_a_person_lets_it_pass() -> None:
    w, node = world(), ScriptedNode(A)
    put(w, B, name="policy/peer0/mfs")
    plan = planned(w, node)
    assert not plan.changes
    assert [f.guard for f in plan.findings] == ["shrank"]
    assert "the node is another" in plan.findings[0].message
    assert held(w) == [("policy/peer0/mfs", B)]
    planned(w, node, overrides=Overrides(allow_shrink=("all-in-mfs",)))
    assert held(w) == [(NAME, A)]


def test_the_pin_of_another_node_stays_although_this_one_has_its_own() -> None:
    w = world()
    put(w, B, name="policy/peer0/mfs")
    put(w, C)
    planned(w, ScriptedNode(A))
    assert held(w) == [("policy/peer0/mfs", B), (NAME, A)]


def test_two_nodes_with_one_name_do_not_take_turns() -> None:
    """A name without the peer id looks the same from every node: what is pinned says which one it came from."""
    w = world()
    put(w, A, name="photos", **{"pinrec.source": "policy all-in-mfs of peer0"})
    plan = planned(w, ScriptedNode(B), pin_name="photos")
    assert not plan.changes
    assert "pinned this from peer0, and peer1 answers now" in plan.findings[0].message
    planned(w, ScriptedNode(B), pin_name="photos", overrides=Overrides(allow_shrink=("all-in-mfs",)))
    assert held(w) == [("photos", B)]
    assert not planned(w, ScriptedNode(B), pin_name="photos").findings


def test_a_name_of_a_list_that_looks_like_another_nodes_is_no_former_one() -> None:
    w = world()
    put(w, B, name="policy/notes/mfs", **{"pinrec.source": "pins.txt"})
    plan = planned(w, ScriptedNode(A))
    assert "shrank" not in {f.guard for f in plan.findings}


# --- Kubo's own policy --------------------------------------------------------------------------------------------


def test_the_pin_that_kubo_left_is_taken_over_by_a_replace() -> None:
    w = world()
    old = put_by_kubo(w, A)
    plan = planned(w, ScriptedNode(B))
    [change] = plan.changes
    assert isinstance(change, Replace)
    assert change.target is not None
    assert change.target.ref.requestid == old
    assert held(w) == [(NAME, B)]


def test_the_pin_of_another_nodes_kubo_is_nobodys_business() -> None:
    w = world()
    put_by_kubo(w, A, name="policy/peer0/mfs")
    planned(w, ScriptedNode(B))
    assert held(w) == [("policy/peer0/mfs", A), (NAME, B)]


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1/", "http://localhost:1", "HTTP://[::1]:1/pins"])
def test_a_pin_of_the_name_stays_while_kubos_own_policy_is_on(endpoint: str) -> None:
    """Two writers of one name would take turns for ever."""
    w, node = world(), ScriptedNode(B)
    put_by_kubo(w, A)
    node.kubo = KuboServices((KuboService(name="mine", endpoint=endpoint, mfs_enabled=True, pin_name=NAME),))
    plan = planned(w, node)
    assert not plan.changes
    assert plan.exit_code() == 3
    assert "as mine" in plan.findings[0].message
    assert plan.findings[0].override.endswith(
        "ipfs config --json Pinning.RemoteServices.mine.Policies.MFS.Enable false"
    )


def test_kubos_policy_at_another_service_is_no_fight() -> None:
    w, node = world(), ScriptedNode(B)
    node.kubo = KuboServices(
        (KuboService(name="x", endpoint="https://else.example", mfs_enabled=True, pin_name=NAME),)
    )
    assert planned(w, node).changes


def test_a_plan_says_where_it_could_not_look_whether_kubo_pins_too() -> None:
    w, node = world(), ScriptedNode(B)
    node.shut = True
    plan = planned(w, node)
    assert [type(a) for a in plan.changes] == [Add]
    assert plan.exit_code() == 0
    [note] = plan.notes
    assert "whether Kubo itself pins MFS" in note
    assert "Access Denied" in note
    node.shut = False
    assert not planned(w, node).notes
    node.down = True
    assert not planned(w, node).notes


def test_without_a_look_at_its_configuration_nothing_of_kubo_is_taken() -> None:
    facts = Facts(
        {WhoIsIt(): Identity(peer_id="peer1"), StatOf("/"): Stat(cid=_cid(A), size=1, kind="directory")}
    )
    [want] = KINDS["mfs"].wanted(mfs(), facts, {"s": "http://127.0.0.1:1"}).wants
    assert not want.takeover
    known = Facts({**facts.answers, KuboPolicies(): KuboServices()})
    [want] = KINDS["mfs"].wanted(mfs(), known, {"s": "http://127.0.0.1:1"}).wants
    assert want.takeover


def _cid(text: str) -> Any:
    from reconciler.core.cid import parse

    return parse(text)


# --- retention ----------------------------------------------------------------------------------------------------


def history(w: World, roots: list[str], retain: Retain, *, hours: float = 1.0) -> Plan:
    node = ScriptedNode()
    manifest = manifest_of(mfs(retain=retain))

    async def go() -> Plan:
        at = START
        for root in roots:
            node.root = root
            at += datetime.timedelta(hours=hours)
            for _ in range(3):
                plan = await cycle(manifest, w, node, at=at)
                for _ in range(8):
                    w.tick()
        return plan

    return asyncio.run(go())


def test_the_last_roots_stay_as_pins_of_their_own() -> None:
    w = world()
    roots = [raw_cid(f"root {i}") for i in range(6)]
    assert not history(w, roots, Retain(count=3)).changes
    assert held(w) == [
        (f"{NAME}@2026-01-01T04:00:00Z", roots[3]),
        (f"{NAME}@2026-01-01T05:00:00Z", roots[4]),
        (f"{NAME}@2026-01-01T06:00:00Z", roots[5]),
    ]


def test_a_root_that_comes_back_is_found_again_and_nothing_is_renamed() -> None:
    w = world()
    assert not history(w, [A, B, A, B, A], Retain(count=3)).changes
    assert held(w) == [(f"{NAME}@2026-01-01T01:00:00Z", A), (f"{NAME}@2026-01-01T02:00:00Z", B)]


def test_a_pin_under_the_plain_name_is_the_oldest() -> None:
    w = world()
    put(w, C)
    history(w, [A, B], Retain(count=2))
    assert [cid for _, cid in held(w)] == [A, B]


def test_roots_are_kept_so_long_after_they_were_replaced() -> None:
    w = world()
    roots = [raw_cid(f"root {i}") for i in range(5)]
    # The second was replaced at 3 h, two hours before the last came: it is still kept.
    history(w, roots, Retain(age=2 * 3600.0))
    assert [cid for _, cid in held(w)] == roots[1:]


def test_a_clock_that_was_ahead_costs_no_root() -> None:
    w = world()
    put(w, raw_cid("ahead"), name=f"{NAME}@2028-01-01T00:00:00Z")
    history(w, [A, B, C], Retain(count=2))
    assert {cid for _, cid in held(w)} == {raw_cid("ahead"), B, C}


def test_no_root_goes_by_its_age_where_the_service_has_another_time() -> None:
    w = world()
    history(w, [A, B], Retain(age=2 * 3600.0))
    before = held(w)
    w.coarse = True  # the service says what time it is, and this clock is years ahead of that
    manifest, node = manifest_of(mfs(retain=Retain(age=2 * 3600.0))), ScriptedNode(B)
    plan = asyncio.run(cycle(manifest, w, node, at=START + datetime.timedelta(days=366)))
    assert not plan.changes
    assert held(w) == before


def test_an_old_root_goes_last_when_the_new_one_is_pinned() -> None:
    w, node = world(), ScriptedNode(C)
    put(w, A, name=f"{NAME}@2025-01-01T01:00:00Z")
    put(w, B, name=f"{NAME}@2025-01-01T02:00:00Z")
    policy = {"retain": Retain(count=2)}
    plan = planned(w, node, **policy)
    [change] = plan.changes
    assert isinstance(change, Replace)
    assert (change.reason, [v.ref.cid for v in change.olds]) == ("rotate", [A])
    plan = planned(w, node, **policy)
    assert not plan.changes, "the new one waits"
    for _ in range(8):
        w.tick()
    [change] = planned(w, node, **policy).changes
    assert isinstance(change, Delete)
    assert change.reason == "rotated"
    assert [cid for _, cid in held(w)] == [B, C]


def test_a_root_is_kept_where_another_name_that_wants_it_shares_its_pin() -> None:
    w, node = world(one=True), ScriptedNode()
    manifest = manifest_of(mfs(retain=Retain(count=2)), profile="ipfs-cluster")
    kept = manifest.policies["all-in-mfs"]
    plain = replace(kept, name="plain", pin_name="plain", retain=None)
    manifest = replace(manifest, policies={"plain": plain, "all-in-mfs": kept})

    async def go() -> Plan:
        for hour, root in enumerate((A, B)):
            node.root = root
            for _ in range(6):
                plan = await cycle(manifest, w, node, at=START + datetime.timedelta(hours=hour))
                for _ in range(8):
                    w.tick()
        return plan

    assert not asyncio.run(go()).changes
    assert {cid for _, cid in held(w)} == {A, B}


def test_one_apply_that_waits_rotates_at_once() -> None:
    w = world()
    put(w, A, name=f"{NAME}@2025-01-01T01:00:00Z")
    put(w, B, name=f"{NAME}@2025-01-01T02:00:00Z")
    manifest = manifest_of(mfs(retain=Retain(count=2)))

    async def go() -> Plan:
        async def turning() -> None:
            while True:
                w.tick()
                await asyncio.sleep(0)

        task = asyncio.create_task(turning())
        await cycle(manifest, w, ScriptedNode(C), wait="pinned")
        task.cancel()
        return await cycle(manifest, w, ScriptedNode(C))

    assert not asyncio.run(go()).changes
    assert sorted(cid for _, cid in held(w)) == sorted([B, C])


def test_a_root_that_is_protected_by_name_stays() -> None:
    from msgspec.structs import replace

    w = world()
    put(w, A, name=f"{NAME}@2025-01-01T01:00:00Z")
    manifest = replace(manifest_of(mfs(retain=Retain(count=1))), protected=(f"{NAME}@2025*",))

    async def go() -> None:
        for _ in range(4):
            await cycle(manifest, w, ScriptedNode(C))
            for _ in range(8):
                w.tick()

    asyncio.run(go())
    assert sorted(cid for _, cid in held(w)) == sorted([A, C])


def test_rotation_is_no_delete_that_a_guard_counts() -> None:
    w, node = world(), ScriptedNode(C)
    for hour in range(9):
        put(w, raw_cid(f"old {hour}"), name=f"{NAME}@2026-01-01T0{hour}:00:00Z")
    plan = settled(w, node, retain=Retain(count=1))
    assert not plan.findings
    assert [cid for _, cid in held(w)] == [C]


def test_without_a_node_earlier_roots_stay() -> None:
    w, node = world(), ScriptedNode(A)
    node.down = True
    for hour in range(4):
        put(w, raw_cid(f"old {hour}"), name=f"{NAME}@2026-01-01T0{hour}:00:00Z")
    before = held(w)
    assert not planned(w, node, retain=Retain(count=1)).changes
    assert held(w) == before


def test_kept_roots_become_one_pin_when_the_retention_goes() -> None:
    w = world()
    history(w, [A, B], Retain(count=2))
    assert not settled(w, ScriptedNode(B), rounds=6).changes
    assert held(w) == [(NAME, B)]


@pytest.mark.parametrize("first", ["short", "long"])
def test_a_root_goes_when_no_policy_over_the_same_path_keeps_it_where_they_share_its_pin(first: str) -> None:
    w, node = world(one=True), ScriptedNode()
    base = mfs()
    both = {
        name: replace(base, name=name, pin_name=name, retain=Retain(count=n), uses={"s": PolicyUse()})
        for name, n in (("short", 2), ("long", 4))
    }
    manifest = replace(
        manifest_of(base, profile="ipfs-cluster"),
        policies={name: both[name] for name in sorted(both, key=lambda n: n != first)},
    )
    roots = [raw_cid(f"root {i}") for i in range(7)]

    async def go() -> Plan:
        for hour, root in enumerate(roots):
            node.root = root
            for _ in range(6):
                plan = await cycle(manifest, w, node, at=START + datetime.timedelta(hours=hour))
                for _ in range(8):
                    w.tick()
            assert {cid for _, cid in held(w)} == set(roots[max(0, hour - 3) : hour + 1])
        return plan

    assert not asyncio.run(go()).changes
