"""`pins: [{path: …}]`: where it leads is found out when a plan is made; what leads nowhere is unknown."""

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace
from support.model import raw_cid
from support.names import DnsServer, Gateway, Key
from support.node import sandbox_node
from support.rooted import START, manifest_of
from support.world import OURS, Client, Clock, World

from reconciler.core.cid import parse
from reconciler.core.digest import digest
from reconciler.core.manifest import CidRef, Entry, Manifest, Names, Spec
from reconciler.core.plan import Add, Keep, Overrides, Plan, Replace
from reconciler.core.policy import Policy
from reconciler.core.question import Facts, NotKnown, Resolve, Resolved
from reconciler.core.unixfs import address, directory, file, params
from reconciler.core.unixfs.blocks import Entry as Block
from reconciler.engine.context import Context, Settings
from reconciler.engine.cycle import gather, load_saved, make_plan, run_apply
from reconciler.node.open import open_node

A, B = raw_cid("A"), raw_cid("B")
KEY = Key.new()


def ref(path: str) -> CidRef:
    return CidRef(kind="path", value=path)


def manifest(
    *entries: tuple[str, str],
    names: Names | None = None,
    services: tuple[str, ...] = ("s",),
    policy: str = "",
) -> Manifest:
    """(name, path or CID) each; `policy` follows a name."""
    followed = Policy(
        name="p", kind="ipns", settings={"name": policy or "/ipns/p.example"}, pin_name="followed"
    )
    made = manifest_of(followed, ("s", "t"))
    spec = Spec(services=services, file="pins.yaml")
    return replace(
        made,
        node=None,
        names=names or Names(),
        policies=made.policies if policy else {},
        entries=[
            Entry(name, ref(what) if what.startswith("/") else parse(what), spec, line)
            for line, (name, what) in enumerate(entries, 1)
        ],
    )


def context(world: World, **more: Any) -> Context:
    clock = Clock(world)
    return Context(
        **{
            "now": START,
            "services": {"s": Client(world), "t": Client(World(random.Random(2), one=False))},
            "new_id": lambda: "run",
            "settings": Settings(wait="none", second_look=1.0, visibility=(0.0,), poll=(1.0, 4.0)),
            "sleep": clock.sleep,
            "monotonic": clock,
        }
        | more
    )


def world() -> World:
    return World(random.Random(1), one=False)


def told(*paths: tuple[str, str]) -> Facts:
    """What each path leads to; "" is nowhere."""
    return Facts(
        {
            Resolve(p): Resolved(cid=parse(c)) if c else NotKnown(why=f"{p} is not known: no", hint="do")
            for p, c in paths
        }
    )


async def plan(
    m: Manifest, w: World, facts: Facts | None = None, resolved: Mapping[str, str] | None = None
) -> Plan:
    return (await make_plan(m, Overrides(), context(w), resolved=resolved or {}, facts=facts)).plan


async def applied(m: Manifest, w: World, facts: Facts) -> Plan:
    ctx = context(w)
    planned = await make_plan(m, Overrides(), ctx, resolved={}, facts=facts)
    await run_apply(planned, ctx)
    for _ in range(8):
        w.tick()
    return planned.plan


def held(w: World) -> list[tuple[str, str]]:
    return sorted((p.pin.name or "", p.pin.cid) for p in w.pins.values())


def test_a_path_is_pinned_and_replaced_as_it_moves_and_the_plan_shows_to_what() -> None:
    m, w = manifest(("docs", "/ipns/a.example/v1"), ("fixed", B)), world()

    async def go() -> None:
        first = await applied(m, w, told(("/ipns/a.example/v1", A)))
        assert first.resolved == {"path: /ipns/a.example/v1": A}
        assert [(a.name, a.cid, a.whence) for a in first.changes if isinstance(a, Add)] == [
            ("docs", A, "path: /ipns/a.example/v1"),
            ("fixed", B, ""),
        ]
        [second] = (await plan(m, w, told(("/ipns/a.example/v1", B)))).changes
        assert isinstance(second, Replace)
        assert not (await plan(m, w, told(("/ipns/a.example/v1", A)))).changes

    asyncio.run(go())


def test_what_leads_nowhere_is_kept_and_told_and_the_rest_goes_on() -> None:
    m, w = manifest(("docs", "/ipns/a.example"), ("more", "/ipns/b.example")), world()

    async def go() -> None:
        await applied(m, w, told(("/ipns/a.example", A), ("/ipns/b.example", A)))
        now = await plan(m, w, told(("/ipns/a.example", ""), ("/ipns/b.example", B)))
        assert [type(a) for a in now.changes] == [Replace]
        [finding] = now.findings
        assert (finding.severity, finding.override) == ("unknown", "do")
        assert finding.message == "pins.yaml:1: /ipns/a.example is not known: no; what it has pinned stays"
        [kept] = [a for a in now.actions if isinstance(a, Keep)]
        assert (kept.name, kept.reason) == ("docs", "unknown")
        assert now.resolved == {"path: /ipns/b.example": B}

    asyncio.run(go())


def test_only_the_name_itself_is_held_back() -> None:
    m, w = manifest(("docs", "/ipns/a.example"), ("kept", A), ("gone", A)), world()

    async def go() -> None:
        await applied(m, w, told(("/ipns/a.example", B)))
        less = replace(m, entries=m.entries[:2])
        now = await plan(less, w, told(("/ipns/a.example", "")))
        assert [a.name for a in now.changes] == ["gone"]

    asyncio.run(go())


def test_nothing_but_unknown_things_is_no_emptied_manifest() -> None:
    m, w = manifest(("docs", "/ipns/a.example")), world()
    w.put("docs", A, OURS, "pinned", {})

    async def go() -> Plan:
        return await plan(m, w, told(("/ipns/a.example", "")))

    now = asyncio.run(go())
    assert not now.changes
    assert all(f.severity == "unknown" for f in now.findings)


@pytest.mark.parametrize("services", [("s",), ("s", "t")])
def test_it_is_told_once_if_it_is_wanted_everywhere(services: tuple[str, ...]) -> None:
    m, w = manifest(("docs", "/ipns/a.example"), services=services), world()
    now = asyncio.run(plan(m, w, told(("/ipns/a.example", ""))))
    assert [f.service for f in now.findings] == [""] if len(services) == 2 else ["s"]


def test_two_names_that_want_one_path_ask_once() -> None:
    with DnsServer({"_dnslink.a.example": [f"dnslink=/ipfs/{A}"]}) as server:
        m = manifest(("x", "/ipns/a.example"), ("y", "/ipns/a.example"), names=Names(dns=server.address))
        now = asyncio.run(plan(m, world()))
        assert [(a.name, a.cid) for a in now.changes] == [("x", A), ("y", A)]
        assert [domain for domain, _ in server.asked] == ["_dnslink.a.example"]


def test_without_a_node_names_are_followed_by_dns_and_gateways() -> None:
    with Gateway() as gateway:
        leaf = file.FileBuilder(params.KUBO_V1, gateway.put)
        leaf.update(b"hello")
        page = leaf.finish()
        root = directory.build({"page": Block(page.cid, page.tsize)}, params.KUBO_V1, gateway.put).entry
        gateway.publish(KEY, f"/ipfs/{address.to_text(root.cid)}")
        zone = {"_dnslink.a.example": [f"dnslink=/ipns/{KEY.name}"]}
        with DnsServer(zone) as server:
            names = Names(gateways=(gateway.url,), dns=server.address)
            m = manifest(
                ("page", "/ipns/a.example/page"),
                ("lost", "/ipns/b.example"),
                names=names,
                policy=f"/ipns/{KEY.name}",
            )
            now = asyncio.run(plan(m, world()))
    assert [(a.service, a.name, a.cid) for a in now.changes] == [
        ("s", "followed", address.to_text(root.cid)),
        ("s", "page", address.to_text(page.cid)),
        ("t", "followed", address.to_text(root.cid)),
    ]
    assert [f.message for f in now.findings] == [
        "pins.yaml:2: /ipns/b.example is not known: b.example has no DNSLink; what it has pinned stays"
    ]


def test_a_policy_that_needs_a_node_and_one_that_does_not() -> None:
    with DnsServer({"_dnslink.p.example": [f"dnslink=/ipfs/{A}"]}) as server:
        m = manifest(names=Names(dns=server.address), policy="/ipns/p.example")
        mfs = Policy(name="m", kind="mfs", settings={"path": "/"}, pin_name="m", uses=m.policies["p"].uses)
        facts = asyncio.run(gather(replace(m, policies={**m.policies, "m": mfs}), context(world())))
    kinds = {type(q).__name__: type(a).__name__ for q, a in facts.answers.items()}
    assert kinds == {
        "Resolve": "Resolved", "WhoIsIt": "NotKnown", "StatOf": "NotKnown", "KuboPolicies": "NotKnown",
    }  # fmt: skip


def test_with_a_node_the_node_is_asked_and_its_failures_are_told() -> None:
    async def go() -> None:
        async with sandbox_node() as node:
            node.set_name("a.example", f"/ipfs/{A}")
            m = manifest(("docs", "/ipns/a.example"), ("lost", "/ipns/b.example"))
            from reconciler.core.manifest import Node

            async with open_node(Node(api=node.api), environ={}) as opened:
                planned = await make_plan(m, Overrides(), context(world(), node=opened), resolved={})
                assert [(a.name, a.cid) for a in planned.plan.changes] == [("docs", A)]
                [finding] = planned.plan.findings
                assert "/ipns/b.example is not known: the node at" in finding.message
                node.stop()
                planned = await make_plan(m, Overrides(), context(world(), node=opened), resolved={})
                assert not planned.plan.changes
                assert len(planned.plan.findings) == 2

    asyncio.run(go())


def test_a_saved_plan_carries_where_paths_led() -> None:
    """And is not refused because they lead elsewhere now, or because one led nowhere when it was made."""
    m, w = manifest(("docs", "/ipns/a.example"), ("lost", "/ipns/b.example")), world()

    async def go() -> None:
        saved = await plan(m, w, told(("/ipns/a.example", A), ("/ipns/b.example", "")))
        ctx = context(w)
        facts = told(("/ipns/a.example", B), ("/ipns/b.example", B))
        fresh = await make_plan(m, Overrides(), ctx, resolved=saved.resolved, facts=facts)
        narrowed = load_saved(fresh, saved, ctx)
        await run_apply(narrowed, ctx)
        assert held(w) == [("docs", A)]
        assert [(a.name, a.cid) for a in narrowed.newer] == [("lost", B)]

    asyncio.run(go())


def test_where_a_path_leads_is_no_part_of_what_the_manifest_says() -> None:
    one, two = manifest(("docs", "/ipns/a.example")), manifest(("docs", "/ipns/b.example"))
    assert digest(one, {}) == digest(one, {"path: /ipns/a.example": A})
    assert digest(one, {}) != digest(two, {})


def test_destroy_asks_nobody() -> None:
    with DnsServer({}) as server:
        m = manifest(("docs", "/ipns/a.example"), names=Names(dns=server.address), policy="/ipns/p.example")

        async def go() -> None:
            await make_plan(m, Overrides(destroy=True), context(world()), resolved={})

        asyncio.run(go())
        assert server.asked == []


def test_a_loop_is_not_led_back_to_an_older_record() -> None:
    w = world()
    with Gateway() as gateway:
        m = manifest(("docs", f"/ipns/{KEY.name}"), names=Names(gateways=(gateway.url,)))

        async def cycle(ctx: Context) -> str:
            planned = await make_plan(m, Overrides(), ctx, resolved={})
            return next(iter(planned.plan.resolved.values()))

        async def go() -> None:
            first = context(w)
            gateway.publish(KEY, f"/ipfs/{B}", sequence=2)
            assert await cycle(first) == B
            gateway.publish(KEY, f"/ipfs/{A}", sequence=1)
            assert await cycle(context(w, names=first.names)) == B
            assert await cycle(context(w)) == A

        asyncio.run(go())
