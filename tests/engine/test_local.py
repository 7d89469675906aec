"""The node as a target: pins that also occur locally, on a node and a service over sockets."""

import asyncio
import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.model import raw_cid

from reconciler.core.cid import parse
from reconciler.core.local import LOCAL
from reconciler.core.manifest import Adopt, Entry, Limits, Manifest, SecretRef, Service, Spec
from reconciler.core.manifest import Node as NodeSpec
from reconciler.core.plan import Blocked, Overrides, Plan
from reconciler.core.profile import PROFILES
from reconciler.core.report import Report
from reconciler.engine.context import Context, Settings
from reconciler.engine.cycle import make_plan, run_apply
from reconciler.engine.local import with_node
from reconciler.engine.progress import Silent
from reconciler.node.kubo import args
from reconciler.node.open import open_node
from reconciler.node.protocol import LocalPin
from reconciler.sandbox import SPEC, Sandbox
from reconciler.sandbox.node import SandboxNode
from reconciler.services.client import open_services

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
OWN = "pinrec/acme/"


@dataclass
class Here:
    """A node, a service, and what the manifest wants: name → CID, on the service and locally."""

    node: SandboxNode
    service: Sandbox
    wanted: dict[str, str] = field(default_factory=dict)
    only_remote: set[str] = field(default_factory=set)
    adopt: tuple[Adopt, ...] = ()
    timeout: float = 5.0

    def manifest(self) -> Manifest:
        service = Service(
            name="s",
            endpoint=f"http://127.0.0.1:{self.service.port}",
            key=SecretRef(kind="env", value=("KEY",)),
            profile=PROFILES["spec"],
            limits=Limits(concurrency=2),
        )
        entries = [
            Entry(
                name,
                parse(cid),
                Spec(services=("s",), local=name not in self.only_remote, file="pinrec.yaml"),
                line,
            )
            for line, (name, cid) in enumerate(self.wanted.items(), 1)
        ]
        return Manifest(
            owner="acme",
            services={"s": service},
            entries=entries,
            adopt=self.adopt,
            node=NodeSpec(api=self.node.api, timeout=2.0),
        )

    async def _run(self, overrides: Overrides, *, apply: bool) -> tuple[Plan, Report | None]:
        manifest = self.manifest()
        stop = asyncio.Event()
        assert manifest.node is not None
        async with (
            open_services(manifest.services, environ={"KEY": "token"}) as services,
            open_node(manifest.node, environ={}) as node,
        ):
            ctx = Context(
                now=NOW,
                services=with_node(services, node, stop=stop, patience=self.timeout, progress=Silent()),
                node=node,
                new_id=lambda: "run",
                settings=Settings(timeout=self.timeout, second_look=0.05, poll=(0.05, 0.2), dial_grace=0.1),
                stop=stop,
            )
            planned = await make_plan(manifest, overrides, ctx, resolved={})
            return planned.plan, await run_apply(planned, ctx) if apply else None

    def plan(self, **overrides: Any) -> Plan:
        return asyncio.run(self._run(Overrides(**overrides), apply=False))[0]

    def apply(self, **overrides: Any) -> tuple[Plan, Report]:
        plan, report = asyncio.run(self._run(Overrides(**overrides), apply=True))
        assert report is not None
        return plan, report

    def pins(self) -> dict[str, str]:
        """CID → name of the node's recursive pins, but for the empty folder that every node pins."""
        empty = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"

        async def read() -> dict[str, str]:
            spec = self.manifest().node
            assert spec is not None
            async with open_node(spec, environ={}) as node:
                return {p.cid: p.name async for p in node.pins() if p.cid != empty}

        return asyncio.run(read())

    def pin(self, cid: str, name: str) -> None:
        async def go() -> None:
            spec = self.manifest().node
            assert spec is not None
            async with open_node(spec, environ={}) as node:
                await node.pin(cid, name=name)

        asyncio.run(go())

    def remote(self) -> dict[str, str]:
        return {str(p.name): p.cid for p in self.service.store.all("token")}


@pytest.fixture
def here() -> Iterator[Here]:
    with SandboxNode() as node, Sandbox(("token",), personality=SPEC) as service:
        yield Here(node, service)


def test_a_pin_occurs_locally_too_under_our_name(here: Here) -> None:
    cid = here.node.add(b"hello")
    here.wanted = {"website": cid}
    plan, report = here.apply()
    assert {a.key for a in plan.changes} == {("s", "website"), (LOCAL, "website")}
    assert report.exit_code(plan) == 0
    assert here.pins() == {cid: OWN + "website"}
    assert here.remote() == {"website": cid}
    assert not here.plan().changes


def test_what_its_user_pinned_is_never_named_anew_nor_unpinned(here: Here) -> None:
    cid, other = here.node.add(b"hello"), here.node.add(b"else")
    here.pin(cid, "mine")
    here.pin(other, "other")
    here.wanted = {"website": cid}
    here.adopt = (Adopt(match="*", prune=True),)
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert {s.service: s.held for s in plan.services} == {"s": 0, LOCAL: 1}
    assert not [a for a in plan.actions if a.service == LOCAL], "it may be hundreds, and is no news"
    here.wanted = {}
    here.apply(allow_empty=True, allow_disjoint=True)
    assert here.pins() == {cid: "mine", other: "other"}


def test_a_direct_pin_of_its_user_is_not_replaced_by_ours(here: Here) -> None:
    """A recursive pin takes the place of a direct one of the same CID, and its name."""
    cid = here.node.add(b"hello")

    async def direct() -> list[LocalPin]:
        spec = here.manifest().node
        assert spec is not None
        async with open_node(spec, environ={}) as node:
            if not here.wanted:
                await node.kubo.ask("pin/add", args(cid, name="mine", recursive=False))
            return [p async for p in node.pins(kind="direct")]

    there = asyncio.run(direct())
    here.wanted = {"website": cid}
    for _ in range(2):
        plan, report = here.apply()
        assert [(a.service, a.guard) for a in plan.actions if isinstance(a, Blocked)] == [(LOCAL, "held")]
        assert report.exit_code(plan) == 4
        assert asyncio.run(direct()) == there
        assert here.pins() == {}
        assert here.remote() == {"website": cid}


def test_what_left_the_manifest_is_unpinned_and_nothing_else(here: Here) -> None:
    one, two, theirs = (here.node.add(b) for b in (b"one", b"two", b"theirs"))
    here.pin(theirs, "pinrec/somebody/else")
    here.wanted = {"one": one, "two": two}
    here.apply()
    here.wanted = {"two": two}
    here.apply()
    assert here.pins() == {two: OWN + "two", theirs: "pinrec/somebody/else"}


def test_a_new_cid_is_pinned_before_the_old_one_is_let_go(here: Here) -> None:
    old, new = here.node.add(b"old"), here.node.add(b"new")
    here.wanted = {"website": old}
    here.apply()
    here.wanted = {"website": new}
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.pins() == {new: OWN + "website"}
    commands = [r.command for r in here.node.requests if r.command in ("pin/add", "pin/rm")]
    assert commands == ["pin/add", "pin/add", "pin/rm"]
    assert not here.plan().changes


def test_going_back_to_an_earlier_cid_settles(here: Here) -> None:
    """Kubo has no time of its making: what is pinned of the wanted CID is what stands."""
    a, b = here.node.add(b"a"), here.node.add(b"b")
    for cid in (a, b, a, b, a):
        here.wanted = {"website": cid}
        here.apply()
        assert not here.plan().changes
        assert here.pins() == {cid: OWN + "website"}


def test_two_names_share_the_one_pin_of_a_cid(here: Here) -> None:
    cid = here.node.add(b"hello")
    here.wanted = {"a": cid, "b": cid}
    here.apply()
    assert here.pins() == {cid: OWN + "a"}
    assert not here.plan().changes
    here.wanted = {"b": cid}
    here.apply()
    assert list(here.pins()) == [cid]
    assert not here.plan().changes


def test_content_that_nobody_has_holds_up_no_remote_pin(here: Here) -> None:
    here.timeout = 1.0
    here.wanted = {"website": raw_cid("nowhere")}
    plan, report = here.apply()
    assert here.remote() == {"website": raw_cid("nowhere")}
    results = {o.service: o.result for o in report.outcomes}
    assert results["s"] == "done"
    assert results[LOCAL] in ("waiting", "failed")
    assert report.exit_code(plan) == 3


def test_without_the_node_remote_work_goes_on_and_the_plan_says_so(here: Here) -> None:
    cid = here.node.add(b"hello")
    here.wanted = {"website": cid}
    here.node.stop()
    plan, _ = here.apply()
    assert here.remote() == {"website": cid}
    assert [f.service for f in plan.findings] == [LOCAL]
    assert plan.exit_code() == 3


def test_a_node_that_is_down_and_of_which_nothing_is_wanted_is_nobodys_concern(here: Here) -> None:
    here.wanted = {"website": raw_cid("website")}
    here.only_remote = {"website"}
    here.node.stop()
    plan, _ = here.apply()
    assert plan.exit_code() == 0
    assert [s.service for s in plan.services] == ["s"]


def test_what_is_no_longer_wanted_locally_goes_although_nothing_else_is(here: Here) -> None:
    cid = here.node.add(b"hello")
    here.wanted = {"website": cid}
    here.apply()
    here.only_remote = {"website"}
    plan, _ = here.apply()
    assert {a.service for a in plan.changes} == {LOCAL}
    assert here.pins() == {}
    assert here.remote() == {"website": cid}


def test_the_local_copy_stays_while_it_is_the_last_one(here: Here) -> None:
    cid = here.node.add(b"hello")
    here.wanted = {"website": cid}
    here.apply()
    here.only_remote = {"website"}
    [pin] = here.service.store.all("token")
    store = here.service.store
    assert store.delete(store.account("token"), pin.requestid)
    # Nothing is sent to the service in this run, so that nothing will stand for the copy here.
    plan, report = here.apply(services=(LOCAL,), allow_disjoint=True)
    assert not plan.changes
    assert [f.guard for f in plan.findings] == ["last-copy"]
    assert report.exit_code(plan) == 4
    assert here.pins() == {cid: OWN + "website"}


def test_a_new_cid_after_a_rename_needs_no_override(here: Here) -> None:
    """The pin here keeps its name for ever, so that it is one that nothing wants."""
    cids = [here.node.add(text) for text in (b"one", b"two")]
    here.wanted = {"x": cids[0]}
    here.apply()
    here.wanted = {"y": cids[0]}
    here.apply()
    assert here.pins() == {cids[0]: OWN + "x"}
    here.wanted = {"y": cids[1]}
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.pins() == {cids[1]: OWN + "y"}
    assert here.remote() == {"y": cids[1]}


@pytest.mark.parametrize("same", [False, True], ids=["another service", "the same service"])
def test_another_manifest_of_the_same_owner_takes_no_pin_of_the_node(here: Here, same: bool) -> None:
    cids = [here.node.add(text) for text in (b"one", b"two")]
    here.wanted = {"x": cids[0]}
    here.apply()
    with Sandbox(("token",), personality=SPEC) as other:
        if not same:
            here.service = other
        here.wanted = {"y": cids[1]}
        for _ in range(2):
            plan, report = here.apply()
            assert report.exit_code(plan) == 4
            assert LOCAL in {f.service for f in plan.findings if f.guard == "disjoint"}
            assert here.pins() == {cids[0]: OWN + "x"}
