"""A service that goes, and the earlier roots that a policy retains there: they move as well, or nothing goes."""

import asyncio
import random
from typing import Any

import pytest
from msgspec.structs import replace
from support.model import raw_cid
from support.rooted import NAME, START, Replacing, ScriptedNode, manifest_of, mfs
from support.world import OURS, Clock, World

from reconciler.core.cid import parse
from reconciler.core.errors import ServiceError
from reconciler.core.manifest import Entry, Manifest, Spec
from reconciler.core.plan import Blocked, Overrides, Plan
from reconciler.core.policy import PolicyUse, Retain
from reconciler.engine.context import Context, Settings
from reconciler.engine.cycle import make_plan, run_apply
from reconciler.services.protocol import Page, Query

ROOTS = [raw_cid(f"root {i}") for i in range(4)]
NAMES = [f"{NAME}@2025-01-01T0{i}:00:00Z" for i in range(4)]


class Moody(Replacing):
    """A service that may be down."""

    down = False

    async def pins(self, query: Query) -> Page:
        if self.down:
            raise ServiceError("cannot be reached", service=self.name)
        return await super().pins(query)


class Move:
    """From `old`, which retires and holds `roots`, to `new`."""

    def __init__(self, *, one: bool = False, uses: tuple[str, ...] = ("old", "new"), **policy: Any) -> None:
        rnd = random.Random(1)
        self.worlds = {"old": World(rnd, one=one), "new": World(rnd, one=one)}
        self.clients = {name: Moody(world) for name, world in self.worlds.items()}
        for name, client in self.clients.items():
            client.name = name
        for name, cid in zip(NAMES, ROOTS, strict=True):
            self.put("old", name, cid)
        self.node = ScriptedNode(ROOTS[-1])
        made = manifest_of(
            mfs(retain=Retain(count=3), uses={s: PolicyUse() for s in uses}, **policy),
            ("old", "new"),
            profile="ipfs-cluster" if one else "spec",
        )
        retiring = replace(made.services["old"], state="retiring")
        self.manifest: Manifest = replace(made, services={**made.services, "old": retiring})

    def put(self, service: str, name: str, cid: str, status: str = "pinned") -> None:
        self.worlds[service].put(name, cid, OURS, status, {"pinrec.source": "policy all-in-mfs"})

    def held(self, service: str) -> list[str]:
        pins = self.worlds[service].pins.values()
        return [p.pin.cid for p in sorted(pins, key=lambda p: str(p.pin.name)) if p.status == "pinned"]

    def run(self, times: int = 1) -> Plan:
        async def go() -> Plan:
            for _ in range(times):
                clock = Clock()
                ctx = Context(
                    now=START,
                    services=self.clients,
                    node=self.node,
                    new_id=lambda: "run",
                    settings=Settings(wait="none", timeout=8.0, visibility=(0.0, 1.0), poll=(1.0, 4.0)),
                    sleep=clock.sleep,
                    monotonic=clock,
                )
                planned = await make_plan(self.manifest, Overrides(), ctx, resolved={})
                await run_apply(planned, ctx)
                held = set(self.held("old")) | set(self.held("new"))
                kept = ROOTS[2:] if self.node.root in held - set(ROOTS) else ROOTS[1:]
                assert held >= set(kept), "a root that is retained was lost"
                for world in self.worlds.values():
                    for _ in range(8):
                        world.tick()
            return planned.plan

        return asyncio.run(go())


@pytest.mark.parametrize("one", [False, True])
def test_the_roots_that_are_retained_move_too_under_their_names(one: bool) -> None:
    move = Move(one=one)
    assert not move.run(5).changes
    assert move.held("old") == []
    assert move.held("new") == ROOTS[1:]
    assert [p.pin.name for p in move.worlds["new"].pins.values()] == NAMES[1:]


def test_no_root_goes_while_the_service_that_is_to_hold_it_is_down() -> None:
    move = Move()
    move.clients["new"].down = True
    move.run(2)
    assert set(move.held("old")) >= set(ROOTS[1:])
    move.clients["new"].down = False
    assert not move.run(5).changes
    assert (move.held("old"), move.held("new")) == ([], ROOTS[1:])


@pytest.mark.parametrize("status", ["pinned", "failed"])
def test_what_the_other_service_holds_already_is_not_brought_twice(status: str) -> None:
    move = Move()
    move.put("new", NAMES[2], ROOTS[2], status)
    move.put("new", f"{NAME}@2025-01-01T03:30:00Z", ROOTS[3])
    assert not move.run(6).changes
    assert (move.held("old"), move.held("new")) == ([], ROOTS[1:])


@pytest.mark.parametrize("runs", [0, 1])
def test_a_new_root_in_the_midst_of_it(runs: int) -> None:
    move = Move()
    if runs:
        move.run(runs)
    move.node.root = raw_cid("newest")
    assert not move.run(6).changes
    assert (move.held("old"), move.held("new")) == ([], [*ROOTS[2:], move.node.root])


def test_roots_of_a_policy_that_no_other_service_uses_stay() -> None:
    move = Move(uses=("old",))
    other = Entry(name="other", cid=parse(raw_cid("other")), spec=Spec(services=("new",)))
    move.manifest = replace(move.manifest, entries=[other])
    plan = move.run(4)
    assert {a.name for a in plan.actions if isinstance(a, Blocked)} == set(NAMES)
    assert move.held("old") == ROOTS


def test_two_uses_of_a_policy_that_replace_differently_are_one_home() -> None:
    move = Move()
    [policy] = move.manifest.policies.values()
    uses = {"old": PolicyUse(replace="safe"), "new": PolicyUse(replace="modify")}
    move.manifest = replace(move.manifest, policies={policy.name: replace(policy, uses=uses)})
    assert not move.run(5).actions
    assert (move.held("old"), move.held("new")) == ([], ROOTS[1:])
