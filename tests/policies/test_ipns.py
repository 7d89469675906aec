"""`kind: ipns`: what is planned for a name that moves, by the real core and engine over a service in memory."""

import asyncio
import contextlib
import random
from typing import Any

import pytest
from msgspec.structs import replace
from support.model import raw_cid
from support.rooted import START, ScriptedNode, cycle, manifest_of
from support.world import OURS, World, owner_of

from reconciler.core.cid import Cid, parse
from reconciler.core.errors import NodeError
from reconciler.core.plan import Add, Keep, Plan, Replace
from reconciler.core.policy import Policy, PolicyUse, Retain
from reconciler.core.question import Facts, NotKnown, Resolve, Resolved
from reconciler.core.unixfs import address, directory, file, params
from reconciler.core.unixfs.blocks import Entry
from reconciler.policies import ipns

NAME = "/ipns/docs.example.org"
A, B = raw_cid("A"), raw_cid("B")
KEY = "k51qzi5uqu5diqp3bshgmlffjq6xnrkgajoacouusu3pkilvc05h41hivsvv66"


class NamedNode(ScriptedNode):
    """`leads`: what the name leads to, or why it leads nowhere."""

    leads = A
    fails = ""

    async def resolve_name(self, path: str, *, fresh: bool = False, deadline: float | None = None) -> Cid:
        self._asked()
        assert (path, fresh) == (NAME, True)
        if self.fails:
            raise NodeError(f"the node at {self.where}: name/resolve: {self.fails}", text=self.fails)
        return parse(self.leads)


def policy(**more: Any) -> Policy:
    return Policy(
        **{"name": "docs", "kind": "ipns", "settings": {"name": NAME}, "pin_name": "docs.example.org"} | more
    )


def world(seed: int = 1) -> World:
    return World(random.Random(seed), one=False)


def play(w: World, node: NamedNode, *, rounds: int = 1, **more: Any) -> Plan:
    async def go() -> Plan:
        for _ in range(rounds):
            plan = await cycle(manifest_of(policy(**more)), w, node)
            for _ in range(8):
                w.tick()
        return plan

    return asyncio.run(go())


def held(w: World) -> list[tuple[str, str]]:
    return sorted((p.pin.name or "", p.pin.cid) for p in w.pins.values())


def test_what_a_name_leads_to_is_pinned_and_replaced() -> None:
    w, node = world(), NamedNode()
    [added] = play(w, node).changes
    assert isinstance(added, Add)
    assert (added.name, added.whence) == ("docs.example.org", f"{NAME}, by the node")
    assert held(w) == [("docs.example.org", A)]
    node.leads = B
    [replaced] = play(w, node).changes
    assert isinstance(replaced, Replace)
    assert not play(w, node, rounds=4).changes
    assert held(w) == [("docs.example.org", B)]


@pytest.mark.parametrize("down", [True, False])
def test_a_name_that_leads_nowhere_today_changes_nothing(down: bool) -> None:
    w, node = world(), NamedNode()
    play(w, node, rounds=2)
    if down:
        node.down = True
    else:
        node.fails = "could not resolve name"
    plan = play(w, node)
    [finding] = plan.findings
    assert (finding.guard, finding.severity) == ("unknown", "unknown")
    assert "policy docs: /ipns/docs.example.org is not known: the node" in finding.message
    assert not plan.changes
    assert held(w) == [("docs.example.org", A)]


@pytest.mark.parametrize(
    "entry",
    [
        directory.build({}, params.KUBO).entry,
        directory.build({}, params.KUBO_V1).entry,
        file.FileBuilder(params.KUBO).finish(),
        file.FileBuilder(params.KUBO_V1).finish(),
    ],
)
def test_a_site_that_was_emptied_costs_nothing_until_it_is_meant(entry: Entry) -> None:
    w, node = world(), NamedNode()
    play(w, node, rounds=2)
    node.leads = address.to_text(entry.cid)
    plan = play(w, node)
    [finding] = plan.findings
    assert (finding.guard, finding.severity) == ("shrank", "block")
    assert "/ipns/docs.example.org, by the node became empty" in finding.message
    assert held(w) == [("docs.example.org", A)]


def test_switched_off_it_keeps_what_it_has() -> None:
    w, node = world(), NamedNode()
    play(w, node, rounds=2)
    plan = play(w, node, enabled=False)
    assert not plan.changes
    assert not plan.findings
    assert [type(a) for a in plan.actions] == [Keep]


def test_roots_that_were_replaced_may_stay() -> None:
    w, node = world(), NamedNode()
    play(w, node, rounds=2, retain=Retain(count=2))
    node.leads = B
    play(w, node, rounds=3, retain=Retain(count=2))
    names = [name for name, _ in held(w)]
    assert len(names) == 2
    assert all(name.startswith("docs.example.org") for name in names)
    assert {cid for _, cid in held(w)} == {A, B}
    # Unresolvable, the kept one is not taken for one that nobody wants either.
    node.fails = "no"
    assert not play(w, node, retain=Retain(count=2)).changes


@pytest.mark.parametrize("seed", range(60))
def test_flapping_names_and_failing_nodes_never_cost_the_pin(seed: int) -> None:
    rnd = random.Random(seed)
    w, node = world(seed), NamedNode()
    manifest = manifest_of(policy(replace=rnd.choice(["auto", "safe"])))

    def pinned() -> bool:
        return any(p.status == "pinned" and owner_of(p) == OURS for p in w.pins.values())

    async def go() -> Plan:
        had = False
        for _ in range(rnd.randrange(5, 20)):
            w.lose = rnd.choice([0, 0, 0.3])
            match rnd.randrange(6):
                case 0 | 1:
                    node.leads = raw_cid(f"root {rnd.randrange(3)}")
                case 2:
                    node.down = not node.down
                case 3:
                    node.fails = rnd.choice(["", "could not resolve name"])
                case 4:
                    w.tick(p_fail=0.2)
                case _:
                    task = asyncio.create_task(cycle(manifest, w, node, wait=rnd.choice(["pinned", "none"])))
                    if rnd.random() < 0.3:
                        for _ in range(rnd.randrange(60)):
                            await asyncio.sleep(0)
                        task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
            # A modify may leave only what is under way; what was never replaced so stays pinned.
            had = had or pinned()
            assert not had or any(owner_of(p) == OURS for p in w.pins.values())
        w.lose, node.down, node.fails = 0.0, False, ""
        for _ in range(12):
            plan = await cycle(manifest, w, node)
            for _ in range(4):
                w.tick()
        return plan

    assert not asyncio.run(go()).changes
    assert held(w) == [("docs.example.org", node.leads)]


# --- the kind itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (NAME, ""),
        (f"/ipns/{KEY}/sub/path", ""),
        ("ipns://docs.example.org", ""),
        ("", "is no name that can be followed: it must begin with /ipns/"),
        ("docs.example.org", "such as /ipns/docs.example.org"),
        ("/ipns/nothing", "neither a domain nor the name of a key"),
        (f"/ipfs/{A}", "pin it by its CID"),
    ],
)
def test_what_may_be_followed(name: str, wrong: str) -> None:
    found = ipns.problems(policy(settings={"name": name}))
    assert [setting for setting, _ in found] == ["name"] * bool(wrong)
    assert all(wrong in message for _, message in found)


def test_two_spellings_of_a_name_are_one_question() -> None:
    peer = "12D3KooWGj5sx51hBx5rKd87sKcAD4WxDtaJoU8igRhhGMHDpbmw"
    spelled = {
        ipns.questions(policy(settings={"name": f"{p}{n}"}))
        for p in ("/ipns/", "ipns://")
        for n in (KEY, peer)
    }
    assert spelled == {(Resolve(f"/ipns/{KEY}"),)}


def test_an_answer_of_another_kind_is_none() -> None:
    said = ipns.wanted(policy(), Facts({}), {"s": "http://127.0.0.1:1"})
    assert [u.why for u in said.unknown] == ["nobody asked"]
    assert not said.wants


def test_only_its_own_names_are_held_back() -> None:
    facts = Facts({Resolve(NAME): NotKnown(why="no", hint="do")})
    [unknown] = ipns.wanted(policy(pin_name="a*b"), facts, {}).unknown
    assert unknown.patterns == ("a[*]b", "a[*]b@*") or all(p != "a*b" for p in unknown.patterns)
    assert (unknown.why, unknown.hint) == ("no", "do")


def test_services_that_use_it_are_all_that_get_it() -> None:
    facts = Facts({Resolve(NAME): Resolved(cid=parse(A), via="DNSLink")})
    [want] = ipns.wanted(replace(policy(), uses={"s": PolicyUse()}), facts, {"s": "http://127.0.0.1:1"}).wants
    assert (want.name, want.cid.text, want.whence) == ("docs.example.org", A, f"{NAME}, by DNSLink")
    assert START.year == 2026
