"""The node's hints, whatever the node does: origins of what it has, and delegates that it connects to.

The node is scripted behind its Protocol; the service is a sandbox on a socket, asked by the real client.
"""

import asyncio
import datetime
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.model import raw_cid

from reconciler.cli.main import run
from reconciler.cli.render import render_report
from reconciler.core.cid import parse
from reconciler.core.errors import NodeError
from reconciler.core.manifest import Entry, Limits, Manifest, SecretRef, Service, Spec
from reconciler.core.manifest import Node as NodeSpec
from reconciler.core.plan import Overrides, Plan
from reconciler.core.profile import PROFILES
from reconciler.core.question import Identity
from reconciler.core.report import Outcome, Report, ServiceReport
from reconciler.engine.context import Context, Settings
from reconciler.engine.cycle import make_plan, run_apply
from reconciler.engine.dial import AT_ONCE, plan_note
from reconciler.node.absent import AbsentNode
from reconciler.node.protocol import Node
from reconciler.sandbox import SPEC, Lifecycle, Sandbox, with_quirks
from reconciler.sandbox.documents import DELEGATES
from reconciler.sandbox.faults import Answer, Fault, Received
from reconciler.sandbox.node import NodeFaults, SandboxNode
from reconciler.services.client import open_services

PEER = "12D3KooWDcsZcmWMhDcEjeqR9qYqYkrjwH9tnSM4PDk6XW4UBVgW"
OTHER_PEER = "12D3KooWQYbwuuY1VtJDBw9XtFoGq6Z1J4bRGRcVnpwbjvvkQ8mG"
OWN = (f"/ip4/93.184.215.14/udp/4001/quic-v1/p2p/{PEER}", f"/dns4/node.example.com/tcp/4001/p2p/{PEER}")
DECLARED = f"/dns4/office.example.com/tcp/4001/p2p/{OTHER_PEER}"
SLOWLY = Lifecycle(queued=0.05, pinning=0.1)
FOR_EVER = Lifecycle(queued=3600)
DOWN = NodeError("the node at 127.0.0.1:5001 does not answer: connection refused", unreachable=True)

Does = Callable[[str], Awaitable[Any]]


async def yes(_: str) -> bool:
    return True


async def no(_: str) -> bool:
    return False


async def down(_: str) -> Any:
    raise DOWN


async def hang(_: str) -> Any:
    await asyncio.Event().wait()


@dataclass
class Scripted:
    """What of `node.protocol.Node` a run uses, with all that was asked."""

    who: Does | None = None
    holds: Does = yes
    reach: Does = yes
    addresses: tuple[str, ...] = OWN
    asked: list[str] = field(default_factory=list)
    dialled: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    where: str = "127.0.0.1:5001"
    now: int = 0
    most: int = 0

    async def identity(self) -> Identity:
        self.asked.append("id")
        if self.who is not None:
            await self.who("")
        return Identity(peer_id=PEER, addresses=self.addresses)

    async def has(self, cid: str, *, deadline: float | None = None) -> bool:
        assert deadline is not None
        self.asked.append(cid)
        return bool(await self.holds(cid))

    async def size_of(self, cid: str, *, deadline: float | None = None) -> int | None:
        return None  # plans show sizes, hints need none

    async def connect(self, address: str, *, deadline: float | None = None) -> None:
        assert deadline is not None
        self.dialled.append(address)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.reach(address)
        except asyncio.CancelledError:
            self.given_up.append(address)
            raise
        finally:
            self.now -= 1


class Heard:
    """A Progress that keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str]] = []

    def note(self, service: str, text: str) -> None:
        self.notes.append((service, text))

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class Naming:
    """Every PinStatus names these delegates."""

    def __init__(self, *delegates: str) -> None:
        self.delegates = delegates

    def before(self, request: Received) -> Fault | None:
        return None

    def after(self, request: Received, answer: Answer) -> Fault | None:
        if request.method == "DELETE" or not answer.body or answer.status >= 300:
            return None
        body = msgspec.json.decode(answer.body)
        for pin in body.get("results", [body]):
            pin["delegates"] = list(self.delegates)
        return msgspec.structs.replace(answer, body=msgspec.json.encode(body))


class Refusing:
    """400 INVALID_ORIGINS for requests with one of these origins, before or after it was done."""

    def __init__(self, *origins: str, done: bool = False, times: int = 1000) -> None:
        self.origins, self.done, self.times = set(origins), done, times

    def _answer(self, request: Received) -> Fault | None:
        body = request.json
        if not isinstance(body, dict) or not self.origins & set(body.get("origins", ())) or not self.times:
            return None
        self.times -= 1
        error = {"error": {"reason": "INVALID_ORIGINS", "details": "no such transport"}}
        return Answer(
            status=400, body=msgspec.json.encode(error), headers={"content-type": "application/json"}
        )

    def before(self, request: Received) -> Fault | None:
        return None if self.done else self._answer(request)

    def after(self, request: Received, answer: Answer) -> Fault | None:
        return self._answer(request) if self.done else None


@dataclass
class Ran:
    plan: Plan
    report: Report
    notes: list[tuple[str, str]]

    @property
    def results(self) -> list[str]:
        return [o.result for o in self.report.outcomes]


def manifest(
    boxes: dict[str, Sandbox],
    pins: dict[str, str],
    *,
    origins: Sequence[str] = (),
    peer_id: str = "",
    replace: str = "safe",
    concurrency: int = 4,
) -> Manifest:
    profile = (
        msgspec.structs.replace(PROFILES["spec"], modify="keeps") if replace == "modify" else PROFILES["spec"]
    )
    services = {
        name: Service(
            name=name,
            endpoint=box.url,
            key=SecretRef(kind="env", value=("KEY",)),
            profile=profile,
            limits=Limits(concurrency=concurrency),
        )
        for name, box in boxes.items()
    }
    spec = Spec(
        services=tuple(boxes),
        file="pinrec.yaml",
        origins=tuple(origins),
        replace=replace,  # type: ignore[arg-type]
    )
    entries = [Entry(name, parse(cid), spec, line) for line, (name, cid) in enumerate(pins.items(), 1)]
    return Manifest(owner="acme", services=services, entries=entries, node=NodeSpec(peer_id=peer_id))


def apply(wanted: Manifest, node: Scripted | AbsentNode | None, **more: Any) -> Ran:
    async def play() -> Ran:
        heard = Heard()
        quick: dict[str, Any] = {
            "poll": (0.01, 0.05),
            "second_look": 0.05,
            "visibility": (0.0,),
            "timeout": 20.0,
        }
        async with open_services(wanted.services, environ={"KEY": "token"}) as services:
            ctx = Context(
                now=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
                services=services,
                new_id=lambda: "run",
                node=cast("Node | None", node),
                progress=heard,
                settings=Settings(**{**quick, "node_patience": 0.2, "dial_grace": 0.2, **more}),
            )
            planned = await make_plan(wanted, Overrides(), ctx, resolved={})
            report = await run_apply(planned, ctx)
            if isinstance(node, Scripted):
                assert node.now == 0, "nothing goes on after the end"
        return Ran(planned.plan, report, heard.notes)

    return asyncio.run(play())


def sent(box: Sandbox) -> list[tuple[str, ...] | None]:
    """The origins of each POST."""
    bodies = [r.json for r in box.requests if r.method == "POST"]
    return [tuple(b["origins"]) if "origins" in b else None for b in bodies if isinstance(b, dict)]


def pinned(box: Sandbox) -> list[tuple[str, str]]:
    return sorted((p.name or "", p.cid) for p in box.store.all("token"))


def many(count: int) -> dict[str, str]:
    return {f"n{i}": raw_cid(f"c{i}") for i in range(count)}


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@contextmanager
def slow_box(*delegates: str, lifecycle: Lifecycle = SLOWLY) -> Iterator[Sandbox]:
    with Sandbox(lifecycle=lifecycle, faults=Naming(*delegates) if delegates else None) as sandbox:
        yield sandbox


# --- origins ----------------------------------------------------------------------------------------------------


def test_what_the_node_has_is_sent_with_its_addresses_after_those_declared(box: Sandbox) -> None:
    here, gone = raw_cid("here"), raw_cid("gone")

    async def holds(cid: str) -> bool:
        return cid == here

    node = Scripted(holds=holds)
    ran = apply(manifest({"s": box}, {"a": here, "b": gone}, origins=[DECLARED], concurrency=1), node)
    assert ran.results == ["done", "done"]
    assert sent(box) == [(DECLARED, *OWN), (DECLARED,)]
    assert ran.notes == []


def test_a_node_is_asked_once_about_a_cid_and_once_who_it_is() -> None:
    cid = raw_cid("same")
    with Sandbox() as one, Sandbox() as two:
        node = Scripted()
        apply(manifest({"one": one, "two": two}, {"a": cid, "b": cid, "c": cid}, concurrency=1), node)
        assert sorted(node.asked) == sorted(["id", cid])
        assert sent(one) + sent(two) == [OWN] * 6


def test_no_more_than_twenty_origins_and_none_twice(box: Sandbox) -> None:
    own = tuple(f"/ip4/93.184.215.{i}/tcp/4001/p2p/{PEER}" for i in range(30))
    declared = [f"/dns4/d{i}.example.com/tcp/1/p2p/{PEER}" for i in range(15)] + [own[0]]
    ran = apply(manifest({"s": box}, many(1), origins=declared), Scripted(addresses=own))
    assert ran.results == ["done"]
    (origins,) = sent(box)
    assert origins is not None
    assert origins[:16] == tuple(declared)
    assert len(origins) == len(set(origins)) == 20


def test_where_the_manifest_declares_all_that_fits_the_node_is_not_asked(box: Sandbox) -> None:
    declared = [f"/dns4/d{i}.example.com/tcp/1/p2p/{PEER}" for i in range(20)]
    node = Scripted()
    apply(manifest({"s": box}, many(1), origins=declared), node)
    assert node.asked == []
    assert sent(box) == [tuple(declared)]


def test_a_node_without_an_address_for_the_service_is_not_asked_what_it_has(box: Sandbox) -> None:
    node = Scripted(addresses=())
    apply(manifest({"s": box}, many(3)), node)
    assert node.asked == ["id"]
    assert sent(box) == [None] * 3


def test_another_node_than_the_declared_one_gives_no_origins(box: Sandbox) -> None:
    ran = apply(manifest({"s": box}, many(3), peer_id=OTHER_PEER), Scripted())
    assert ran.results == ["done"] * 3
    assert sent(box) == [None] * 3
    ((service, text),) = ran.notes
    assert service == ""
    assert text.startswith(f"the node is {PEER} and not {OTHER_PEER}: ")


@pytest.mark.parametrize(
    "node",
    [Scripted(who=hang), Scripted(who=down), Scripted(holds=hang), Scripted(holds=down), AbsentNode(DOWN)],
    ids=["hangs", "is-down", "hangs-at-has", "dies-at-has", "absent"],
)
def test_a_node_that_fails_is_left_alone_and_every_pin_goes_out(
    box: Sandbox, node: Scripted | AbsentNode
) -> None:
    ran = apply(manifest({"s": box}, many(30)), node)
    assert ran.results == ["done"] * 30
    assert sent(box) == [None] * 30
    ((service, text),) = ran.notes
    assert service == ""
    assert text.endswith(": requests go without its addresses as origins")
    if isinstance(node, Scripted):
        # The first of each worker, and then no more.
        assert len(node.asked) <= 1 + 4


def test_a_node_that_dies_midway(box: Sandbox) -> None:
    left = iter(range(5))

    async def holds(_: str) -> bool:
        if next(left, None) is None:
            raise DOWN
        return True

    node = Scripted(holds=holds)
    ran = apply(manifest({"s": box}, many(20), concurrency=1), node)
    assert ran.results == ["done"] * 20
    assert sent(box) == [OWN] * 5 + [None] * 15
    assert len(node.asked) == 1 + 6


def test_a_slow_node_may_use_up_its_time_and_no_more(box: Sandbox) -> None:
    async def holds(_: str) -> bool:
        await asyncio.sleep(0.1)
        return True

    node = Scripted(holds=holds)
    ran = apply(manifest({"s": box}, many(40), concurrency=1), node)
    assert ran.results == ["done"] * 40
    assert 1 < len(node.asked) < 12
    assert [text for _, text in ran.notes] == [
        "the node does not answer in time: requests go without its addresses as origins"
    ]


def test_a_fault_of_ours_in_the_client_of_the_node_fails_no_pin(box: Sandbox) -> None:
    async def holds(_: str) -> bool:
        raise ValueError("no NodeError")

    ran = apply(manifest({"s": box}, many(5)), Scripted(holds=holds))
    assert ran.results == ["done"] * 5


# --- origins that a service refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["failure", "reason-only", "no-details", "crust", "html", "text", "array"])
def test_refused_origins_are_left_out_and_told_once(shape: str) -> None:
    habits = with_quirks(SPEC, ["origins=refused", f"error-shape={shape}"])
    with Sandbox(personality=habits) as box:
        wanted = many(6)
        ran = apply(manifest({"s": box}, wanted), Scripted())
        told = [text for service, text in ran.notes if service == "s"]
        assert ran.results == ["done"] * 6
        assert pinned(box) == sorted(wanted.items())
        assert len(told) == 1
        assert told[0].startswith("it refuses these origins")


def test_refused_origins_that_only_the_manifest_names() -> None:
    with Sandbox(personality=with_quirks(SPEC, ["origins=refused"])) as box:
        ran = apply(manifest({"s": box}, many(4), origins=[DECLARED], concurrency=1), None)
        assert ran.results == ["done"] * 4
        assert sent(box) == [(DECLARED,), None, None, None, None]


def test_where_only_the_node_s_are_refused_the_declared_ones_go_on() -> None:
    with Sandbox(faults=Refusing(*OWN)) as box:
        node = Scripted()
        ran = apply(manifest({"s": box}, many(3), origins=[DECLARED], concurrency=1), node)
        assert ran.results == ["done"] * 3
        assert sent(box) == [(DECLARED, *OWN), None, (DECLARED,), (DECLARED,)]
        assert len(node.asked) == 2


def test_a_refusal_that_was_no_refusal_is_not_sent_again() -> None:
    with Sandbox(faults=Refusing(*OWN, done=True)) as box:
        wanted = many(3)
        ran = apply(manifest({"s": box}, wanted), Scripted())
        assert ran.results == ["done"] * 3
        assert pinned(box) == sorted(wanted.items())
        assert sent(box) == [OWN] * 3


def test_a_replace_is_sent_again_without_the_refused_origins() -> None:
    with Sandbox(faults=Refusing(*OWN)) as box:
        old = box.store.put("token", raw_cid("old"), name="site", meta={"pinrec": "acme"})
        ran = apply(manifest({"s": box}, {"site": raw_cid("new")}, replace="modify"), Scripted())
        assert ran.results == ["done"]
        assert sent(box) == [OWN, None]
        assert {r.path for r in box.requests if r.method == "POST"} == {f"/pins/{old}"}
        assert pinned(box) == [("site", raw_cid("new"))]


def test_a_replace_whose_refusal_was_no_refusal_is_not_sent_again() -> None:
    with Sandbox(faults=Refusing(*OWN, done=True)) as box:
        box.store.put("token", raw_cid("old"), name="site", meta={"pinrec": "acme"})
        ran = apply(manifest({"s": box}, {"site": raw_cid("new")}, replace="modify"), Scripted())
        assert ran.results == ["done"]
        assert sent(box) == [OWN]
        assert pinned(box) == [("site", raw_cid("new"))]


def test_a_refusal_that_does_not_speak_of_origins_fails_the_pin() -> None:
    with Sandbox(personality=with_quirks(SPEC, ["origins=refused", "error-shape=empty"])) as box:
        ran = apply(manifest({"s": box}, many(1)), Scripted())
        assert ran.results == ["failed"]
        assert sent(box) == [OWN]


def test_where_it_is_not_certain_that_nothing_was_done_nothing_is_sent_again() -> None:
    class Blind(Refusing):
        """Refuses, and then its listings fail."""

        def before(self, request: Received) -> Fault | None:
            if request.method == "GET" and self.times < 1000:
                return Answer(status=400)
            return super().before(request)

    with Sandbox(faults=Blind(*OWN)) as box:
        ran = apply(manifest({"s": box}, many(1)), Scripted())
        assert ran.results == ["failed"]
        assert sent(box) == [OWN]


# --- delegates --------------------------------------------------------------------------------------------------


def test_delegates_are_dialled_after_a_request_and_counted(box: Sandbox) -> None:
    node = Scripted()
    ran = apply(manifest({"s": box}, many(3)), node)
    assert ran.results == ["done"] * 3
    assert node.dialled == list(DELEGATES), "once a minute, however many pins name it"
    (service,) = ran.report.services
    assert (service.dialled, service.connected, service.undialled) == (1, 1, 0)


@pytest.mark.parametrize("lifecycle", [Lifecycle(), SLOWLY], ids=["at-once", "later"])
def test_delegates_are_dialled_after_a_replace(lifecycle: Lifecycle) -> None:
    with slow_box(lifecycle=lifecycle) as box:
        box.store.put("token", raw_cid("old"), name="site", meta={"pinrec": "acme"}, status="pinned")
        node = Scripted()
        ran = apply(manifest({"s": box}, {"site": raw_cid("new")}, replace="modify"), node)
        assert ran.results == ["done"]
        assert node.dialled == list(DELEGATES)


@pytest.mark.parametrize("pins", [1, 12], ids=["one-by-one", "by-page"])
def test_delegates_are_dialled_again_while_a_pin_waits(pins: int) -> None:
    with slow_box(lifecycle=FOR_EVER) as box:
        apply(manifest({"s": box}, many(pins)), None, wait="none")
        often, once = Scripted(), Scripted()
        apply(manifest({"s": box}, many(pins)), often, dial_again=0.0, timeout=0.3)
        assert len(often.dialled) > 1
        assert set(often.dialled) == set(DELEGATES)
        apply(manifest({"s": box}, many(pins)), once, timeout=0.3)
        assert once.dialled == list(DELEGATES)


def test_what_an_earlier_run_left_waiting_is_dialled_too() -> None:
    with slow_box() as box:
        apply(manifest({"s": box}, many(2)), None, wait="none")
        node = Scripted()
        ran = apply(manifest({"s": box}, many(2)), node)
        assert [o.action for o in ran.report.outcomes] == ["wait", "wait"]
        assert node.dialled == list(DELEGATES)


def test_what_names_no_peer_is_skipped_and_counted() -> None:
    good = f"/ip4/203.0.113.9/tcp/4001/p2p/{PEER}"
    bad = [
        "/ip4/203.0.113.9/tcp/4001",
        "",
        "garbage",
        f"{good}/p2p-circuit",
        f"{good}\x1b[2J",
        "/" + "x" * 600,
    ]
    with slow_box(good, *bad) as box:
        node = Scripted()
        ran = apply(manifest({"s": box}, many(3)), node)
        assert ran.results == ["done"] * 3
        assert node.dialled == [good]
        (service,) = ran.report.services
        assert (service.dialled, service.connected, service.undialled) == (1, 1, len(bad))


def test_a_delegate_that_is_the_node_itself_needs_no_connection() -> None:
    async def itself(_: str) -> None:
        raise NodeError(
            "swarm/connect failed", text="connect 12D3 failure: dial to self attempted", status=500
        )

    with slow_box() as box:
        ran = apply(manifest({"s": box}, many(1)), Scripted(reach=itself))
        assert [(s.dialled, s.connected) for s in ran.report.services] == [(1, 1)]


@pytest.mark.parametrize("reach", [down, hang], ids=["refused", "hangs"])
def test_delegates_that_cannot_be_reached_hold_up_nothing(reach: Does) -> None:
    with slow_box() as box:
        node = Scripted(reach=reach)
        ran = apply(manifest({"s": box}, many(3)), node)
        assert ran.results == ["done"] * 3
        assert [(s.dialled, s.connected) for s in ran.report.services] == [(1, 0)]
        assert node.given_up == (list(DELEGATES) if reach is hang else [])
        assert "delegate" not in render_report(ran.report)


def test_a_dial_ends_at_its_deadline() -> None:
    with slow_box() as box:
        node = Scripted(reach=hang)
        apply(manifest({"s": box}, many(1)), node, dial_deadline=0.02, dial_again=0.0)
        assert len(node.dialled) > 1, "the next one could begin"


def test_as_many_at_once_as_a_node_can_bear() -> None:
    addresses = [f"/ip4/203.0.113.{i}/tcp/4001/p2p/{PEER}" for i in range(20)]

    async def takes_a_while(_: str) -> None:
        await asyncio.sleep(0.02)

    with slow_box(*addresses) as box:
        node = Scripted(reach=takes_a_while)
        ran = apply(manifest({"s": box}, many(5)), node)
        assert sorted(node.dialled) == sorted(addresses)
        assert 1 < node.most <= AT_ONCE
        assert [(s.dialled, s.connected) for s in ran.report.services] == [(20, 20)]


def test_a_service_that_names_others_each_time_does_not_make_the_node_dial_the_world() -> None:
    class World(Naming):
        def after(self, request: Received, answer: Answer) -> Fault | None:
            base = request.number * 1000
            self.delegates = tuple(f"/ip4/203.0.113.1/tcp/{base + i}/p2p/{PEER}" for i in range(500))
            return super().after(request, answer)

    with Sandbox(faults=World()) as box:
        node = Scripted()
        ran = apply(manifest({"s": box}, many(5)), node)
        assert ran.results == ["done"] * 5
        assert len(node.dialled) <= 256


def test_a_pin_that_waits_and_nobody_to_fetch_it_from_is_told() -> None:
    with slow_box(lifecycle=FOR_EVER) as box:
        ran = apply(manifest({"s": box}, many(1)), Scripted(reach=down), timeout=0.1)
        assert ran.results == ["waiting"]
        assert "    the delegate of s could not be reached by the node\n" in render_report(ran.report)


def test_with_no_wait_the_end_gives_dials_a_moment() -> None:
    async def takes_a_while(_: str) -> None:
        await asyncio.sleep(0.05)

    with slow_box(lifecycle=FOR_EVER) as box:
        ran = apply(manifest({"s": box}, many(1)), Scripted(reach=takes_a_while), wait="none", dial_grace=5.0)
        assert [(s.dialled, s.connected) for s in ran.report.services] == [(1, 1)]


def test_how_delegates_are_told() -> None:
    def text(result: Any, *, verbose: bool = False, **counts: int) -> str:
        return render_report(
            Report(
                pinrec="1", run="r", plan="p", owner="acme", started="2026-01-01T00:00:00Z", seconds=1,
                outcomes=(Outcome(service="s", name="n", action="add", result=result, cid="bafy"),),
                services=(ServiceReport(service="s", **counts),),
            ),
            verbose=verbose,
        )  # fmt: skip

    assert "none of the 3 delegates of s could be reached by the node" in text("waiting", dialled=3)
    assert "delegate" not in text("waiting", dialled=3, connected=1)
    assert "delegate" not in text("done", dialled=3)
    assert "the node reached 1 of 3 delegates\n" in text("done", dialled=3, connected=1, verbose=True)
    assert "0 of 1 delegate; 2 more cannot be" in text("done", dialled=1, undialled=2, verbose=True)
    assert "delegate" not in text("done", verbose=True)


# --- a plan, and whatever comes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (Scripted(), ""),
        (None, ""),
        (
            Scripted(who=down),
            f"{DOWN.message}: its addresses are not sent as origins, and no delegate is dialled",
        ),
        (
            AbsentNode(DOWN),
            f"{DOWN.message}: its addresses are not sent as origins, and no delegate is dialled",
        ),
    ],
    ids=["there", "none", "down", "absent"],
)
def test_a_plan_says_that_the_node_cannot_help(box: Sandbox, node: Any, says: str) -> None:
    async def notes(wanted: Manifest) -> str:
        async with open_services(wanted.services, environ={"KEY": "token"}) as services:
            ctx = Context(
                now=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
                services=services,
                new_id=lambda: "run",
                node=node,
            )
            planned = await make_plan(wanted, Overrides(), ctx, resolved={})
            return await plan_note(ctx, planned.plan)

    assert asyncio.run(notes(manifest({"s": box}, many(1)))) == says
    assert asyncio.run(notes(manifest({"s": box}, {}))) == "", "nothing is to be sent"


async def odd(_: str) -> Any:
    raise ValueError("a fault of ours")


BEHAVIOURS = (yes, no, down, hang, odd)
ADDRESSES = st.lists(
    st.sampled_from([*OWN, DECLARED, "", "garbage", "/ip4/127.0.0.1/tcp/4001", f"/p2p/{PEER}", "/\x1b[2J"]),
    max_size=25,
)


@given(data=st.data())
@settings(max_examples=25)
def test_whatever_the_node_does_every_pin_ends_as_without_it(data: st.DataObject) -> None:
    def script(label: str) -> Does:
        steps = iter(data.draw(st.lists(st.sampled_from(BEHAVIOURS), max_size=6), label=label))

        async def do(text: str) -> Any:
            return await next(steps, yes)(text)

        return do

    own = tuple(data.draw(ADDRESSES, label="addresses"))
    named = data.draw(ADDRESSES, label="delegates")
    refused = data.draw(st.sampled_from([(), OWN, (DECLARED,)]), label="refused")
    node = Scripted(script("id"), script("has"), script("connect"), addresses=own)

    class Both(Naming):
        def before(self, request: Received) -> Fault | None:
            return Refusing(*refused).before(request)

    with Sandbox(faults=Both(*named), lifecycle=SLOWLY) as box:
        wanted = many(6)
        declared = data.draw(st.sampled_from([(), (DECLARED,)]), label="declared")
        ran = apply(
            manifest({"s": box}, wanted, origins=declared),
            node,
            node_patience=0.03,
            dial_deadline=0.03,
            dial_again=0.0,
            dial_grace=0.04,
        )
        assert ran.results == ["done"] * 6
        assert pinned(box) == sorted(wanted.items())
        assert all(len(o) <= 20 and len(set(o)) == len(o) for o in sent(box) if o is not None)
        (service,) = ran.report.services
        assert service.connected <= service.dialled <= len(set(named))


# --- as a person meets it: the command, the real client, a sandbox node on a socket -----------------------------


class Place:
    """A directory with a manifest that names a node, and the command."""

    def __init__(self, directory: Path, box: Sandbox, capture: pytest.CaptureFixture[str]) -> None:
        self.directory, self.box, self.capture = directory, box, capture

    def manifest(self, node: str, pins: dict[str, str]) -> None:
        lines = [
            "version: 1",
            "name: acme",
            f"node: {{api: {json.dumps(node)}}}",
            "defaults: {local: false}",
            f'services: {{s: {{endpoint: "{self.box.url}", key: {{env: KEY}}, profile: spec}}}}',
            "pins:",
            *(f"  - {{name: {name}, cid: {cid}}}" for name, cid in pins.items()),
        ]
        (self.directory / "pinrec.yaml").write_text("\n".join(lines) + "\n")

    def run(self, *argv: str) -> tuple[int, str]:
        self.capture.readouterr()
        code = run(list(argv))
        return code, "".join(self.capture.readouterr())


@pytest.fixture
def place(
    tmp_path: Path, box: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Place:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEY", "token")
    monkeypatch.setenv("COLUMNS", "400")
    return Place(tmp_path, box, capsys)


def test_the_whole_way_with_a_node_and_when_it_has_gone(place: Place) -> None:
    with SandboxNode() as node:
        cid = node.add(b"a picture")
        place.manifest(node.api, {"here": cid, "elsewhere": raw_cid("elsewhere")})
        assert place.run("apply", "--yes")[0] == 0
        near = tuple(a for a in node.addresses if a.startswith("/ip4/127.0.0.1/"))
        assert near
        assert {o for o in sent(place.box) if o is not None} == {near}
        assert sent(place.box).count(None) == 1
        assert {address for address, _ in node.dials} == set(DELEGATES)

        node.stop()
        place.box.forget_requests()
        place.manifest(node.api, {"here": cid, "later": node.add(b"another")})
        code, text = place.run("plan")
        assert code == 0
        assert text.count("no delegate is dialled") == 1
        code, text = place.run("apply", "--yes")
        assert code == 0
        assert sent(place.box) == [None]
        assert "later" in {name for name, _ in pinned(place.box)}


def test_a_node_whose_api_file_is_not_there_fails_no_command(place: Place) -> None:
    place.manifest("./repository/api", {"a": raw_cid("a")})
    code, text = place.run("plan")
    assert code == 0
    assert text.count("no delegate is dialled") == 1
    assert place.run("apply", "--yes")[0] == 0
    assert sent(place.box) == [None]
    code, text = place.run("plan")
    assert (code, "delegate" in text) == (0, False), "nothing is to be sent"
    assert place.run("ls")[0] == 0


def test_a_node_that_answers_nothing_is_waited_for_for_a_moment(place: Place) -> None:
    with SandboxNode(faults=NodeFaults(mute=True)) as node:
        place.manifest(node.api, many(3))
        code, text = place.run("apply", "--yes")
        assert code == 0
        assert "does not answer" in text
        assert sent(place.box) == [None] * 3
