"""`kind: local-pins`: the node's own named pins, remotely."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from support.model import raw_cid
from support.rooted import ScriptedNode, cycle, manifest_of
from support.world import World

from reconciler.core.cid import parse
from reconciler.core.manifest import Entry, Spec
from reconciler.core.plan import Plan
from reconciler.core.policy import Policy
from reconciler.core.question import Facts, LocalPins, NamedPins, NotKnown
from reconciler.node.protocol import LocalPin
from reconciler.policies import KINDS

A, B, C = (parse(raw_cid(x)) for x in "ABC")


def policy(**more: Any) -> Policy:
    return Policy(name="keep", kind="local-pins", settings={"match": "release-*"}, pin_name="{name}", **more)


def names(*pins: tuple[str, Any]) -> dict[str, str]:
    facts = Facts({NamedPins("release-*"): LocalPins(pins)})
    wanted = KINDS["local-pins"].wanted(policy(), facts, {"s": "https://s.example"})
    assert not wanted.unknown
    return {w.name: w.cid.text for w in wanted.wants}


def test_each_named_pin_is_wanted_under_its_name() -> None:
    assert names(("release-1", A), ("release-2", B)) == {"release-1": A.text, "release-2": B.text}


def test_cids_that_share_a_name_are_told_apart_whatever_their_order() -> None:
    expected = {f"release-1-{A.text[-8:]}": A.text, f"release-1-{B.text[-8:]}": B.text, "release-2": C.text}
    assert names(("release-1", A), ("release-1", B), ("release-2", C)) == expected
    assert names(("release-2", C), ("release-1", B), ("release-1", A)) == expected


def test_one_cid_listed_twice_is_one_pin() -> None:
    assert names(("release-1", A), ("release-1", A)) == {"release-1": A.text}


def test_a_node_that_does_not_answer_is_unknown_and_what_it_could_own_is_named() -> None:
    facts = Facts({NamedPins("release-*"): NotKnown(why="it is down", hint="start it")})
    wanted = KINDS["local-pins"].wanted(policy(), facts, {})
    [unknown] = wanted.unknown
    assert (unknown.why, unknown.hint, unknown.patterns) == ("it is down", "start it", ("*",))
    assert not wanted.wants


def test_switched_off_asks_nothing_of_anybody() -> None:
    [unknown] = KINDS["local-pins"].wanted(policy(enabled=False), Facts(), {}).unknown
    assert unknown.meant


@pytest.mark.parametrize(("name", "fine"), [("{name}", True), ("mirror/{name}", True), ("mirror", False)])
def test_a_pin_name_without_the_local_name_is_refused(name: str, fine: bool) -> None:
    from msgspec.structs import replace

    assert (KINDS["local-pins"].problems(replace(policy(), pin_name=name)) == ()) is fine


def test_what_it_could_own_is_named_though_its_pin_name_looks_like_a_glob() -> None:
    from reconciler.core.globs import Globs

    odd = replace(policy(enabled=False), pin_name="a[1]/{name}")
    [unknown] = KINDS["local-pins"].wanted(odd, Facts(), {}).unknown
    assert Globs(unknown.patterns).match("a[1]/release-1") is not None


# --- names that cannot be ---------------------------------------------------------------------------------------------


class Pinning(ScriptedNode):
    """A node with these pins."""

    def __init__(self, *pins: tuple[str, Any]) -> None:
        super().__init__()
        self.named = pins

    async def pins(self, *, kind: str = "recursive") -> AsyncIterator[LocalPin]:
        for name, cid in self.named:
            yield LocalPin(cid=cid.text, kind=kind, name=name)


def mirrored(
    node: ScriptedNode, *entries: tuple[str, Any], ownership: str = "meta"
) -> tuple[Plan, dict[str, str]]:
    """The second plan, and what is there then."""
    w = World(random.Random(1), one=False)
    manifest = manifest_of(replace(policy(), settings={"match": "*"}))
    s = replace(manifest.services["s"], ownership=ownership)
    declared = [
        Entry(n, c, Spec(services=("s",), file="pinrec.yaml"), i) for i, (n, c) in enumerate(entries, 1)
    ]
    manifest = replace(manifest, services={"s": s}, entries=declared)

    async def go() -> Plan:
        for _ in range(2):
            plan = await cycle(manifest, w, node)
            w.tick()
        return plan

    plan = asyncio.run(go())
    return plan, {p.pin.name or "": p.pin.cid for p in w.pins.values()}


def test_names_that_come_to_be_one_concern_the_policy_alone() -> None:
    clash = f"release-1-{A.text[-8:]}"
    node = Pinning(("release-1", A), ("release-1", B), (clash, C), ("release-2", C))
    plan, there = mirrored(node, ("website", B))
    assert there == {
        clash: A.text, f"release-1-{B.text[-8:]}": B.text, "release-2": C.text, "website": B.text
    }  # fmt: skip
    assert not plan.changes
    assert plan.exit_code() == 3
    [finding] = plan.findings
    assert finding.guard == "unknown"
    assert clash in finding.message
    assert finding.message.startswith("policy keep")


def test_an_entry_has_its_name_whatever_the_node_has_under_it() -> None:
    plan, there = mirrored(Pinning(("website", A), ("release-2", C)), ("website", B))
    assert there == {"website": B.text, "release-2": C.text}
    assert not plan.changes
    assert plan.exit_code() == 3
    assert "pinrec.yaml:1" in plan.findings[0].message


@pytest.mark.parametrize(
    ("length", "ownership", "fine"),
    [(255, "meta", True), (256, "meta", False), (230, "prefix", True), (250, "prefix", False)],
)
def test_a_name_that_no_service_takes_is_told_by_the_plan(length: int, ownership: str, fine: bool) -> None:
    node = Pinning(("x" * length, A), ("release-2", C))
    plan, there = mirrored(node, ownership=ownership)
    assert (A.text in there.values()) == fine
    assert C.text in there.values()
    assert plan.exit_code() == (0 if fine else 3)
    if not fine:
        assert "bytes" in plan.findings[0].message
