"""The real client and the real engine over sockets, against a service that drops, refuses and forgets to answer.

Random wanted and remote states under random faults, on each kind of service. While faults last nothing foreign is
changed; when they stop a few runs reach an empty plan, in which everything wanted is there once.
PINREC_FAULT_RUNS sets how many histories are played per service (default 12).
"""

import asyncio
import datetime
import os
import random

import pytest
from support.scenario import LETTERS

from reconciler.core.cid import canonical, parse
from reconciler.core.manifest import Entry, Limits, Manifest, SecretRef, Service, Spec
from reconciler.core.plan import Blocked, Keep, Overrides, Plan
from reconciler.core.profile import PROFILES
from reconciler.engine.context import Context, Settings
from reconciler.engine.cycle import make_plan, run_apply
from reconciler.sandbox import CLUSTER, HELIA, SPEC, Answer, Drop, Fault, Personality, Received, Sandbox
from reconciler.services.client import open_services
from reconciler.transport.http import Seams

RUNS = int(os.environ.get("PINREC_FAULT_RUNS", "12"))
SEED = int(os.environ.get("PINREC_SEED", "0"))
NAMES = [f"n{i}" for i in range(4)]
CIDS = [LETTERS[c] for c in "ABCDE"]
ALLOWED = Overrides(allow_empty=True, allow_deletes=1000, allow_replaces=1000, allow_disjoint=True)
SERVICES: dict[str, tuple[Personality, str]] = {
    "spec": (SPEC, "spec"),
    "ipfs-cluster": (CLUSTER, "ipfs-cluster"),
    "helia": (HELIA, "helia"),
    "unmeasured": (SPEC, "unknown"),
}


class Unreliable:
    """Faults with a seed: before or after the commit, by dropping the connection or by an error."""

    def __init__(self, rnd: random.Random) -> None:
        self.rnd = rnd
        self.rate = 0.0

    def before(self, request: Received) -> Fault | None:
        if self.rnd.random() >= self.rate:
            return None
        return self.rnd.choice(
            [Drop(), _error(500), _error(503), _error(429, {"Retry-After": "1"}), _error(400)]
        )

    def after(self, request: Received, answer: Answer) -> Fault | None:
        if self.rnd.random() >= self.rate:
            return None
        # ipfs-cluster says 400 to something it did all the same.
        truncated = Answer(
            status=answer.status, body=answer.body[: len(answer.body) // 2], headers=answer.headers
        )
        return self.rnd.choice([Drop(), _error(500), _error(400), truncated, Answer(status=202)])


def _error(status: int, headers: dict[str, str] | None = None) -> Answer:
    body = b'{"error":{"reason":"FAULT","details":"played"}}'
    return Answer(status=status, body=body, headers={"content-type": "application/json", **(headers or {})})


async def _no_sleep(_seconds: float) -> None:
    await asyncio.sleep(0)


def manifest(sandbox: Sandbox, profile: str, wanted: dict[str, str]) -> Manifest:
    service = Service(
        name="s",
        endpoint=sandbox.url,
        key=SecretRef(kind="env", value=("KEY",)),
        profile=PROFILES[profile],
        limits=Limits(concurrency=4, timeout=5.0),
    )
    spec = Spec(services=("s",), file="pinrec.yaml")
    entries = [Entry(n, parse(c), spec, line) for line, (n, c) in enumerate(wanted.items(), 1)]
    return Manifest(owner="me", services={"s": service}, entries=entries)


async def run(sandbox: Sandbox, profile: str, wanted: dict[str, str]) -> Plan:
    """Plan and apply once, as another machine would: nothing is remembered from the run before."""
    spec = manifest(sandbox, profile, wanted)
    seams = Seams(sleep=_no_sleep)
    async with open_services(spec.services, environ={"KEY": "token"}, seams=seams) as services:
        ctx = Context(
            now=datetime.datetime.now(datetime.UTC),
            services=services,
            new_id=lambda: "run",
            settings=Settings(timeout=2.0, second_look=0.0, visibility=(0.0, 0.0), poll=(0.01, 0.05)),
            sleep=_no_sleep,
        )
        planned = await make_plan(spec, ALLOWED, ctx, resolved={})
        if planned.plan.changes:
            await run_apply(planned, ctx)
        return planned.plan


def foreign(sandbox: Sandbox) -> list[tuple[str, str, str | None, str]]:
    pins = [p for p in sandbox.store.all("token") if p.meta.get("pinrec") != "me"]
    return sorted((p.requestid, p.cid, p.name, str(sorted(p.meta.items()))) for p in pins)


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
@pytest.mark.parametrize("kind", SERVICES)
def test_faults_touch_nothing_foreign_and_end_in_an_empty_plan(kind: str, seed: int) -> None:
    personality, profile = SERVICES[kind]
    rnd = random.Random(f"{kind} {seed}")
    faults = Unreliable(rnd)
    with Sandbox(("token",), personality=personality, faults=faults) as sandbox:
        for _ in range(rnd.randrange(7)):
            cid, mark = (
                rnd.choice(CIDS),
                rnd.choice([{"pinrec": "me"}, {"pinrec": "me"}, {}, {"pinrec": "they"}]),
            )
            if personality is not SPEC and any(p.cid == cid for p in sandbox.store.all("token")):
                continue
            status = rnd.choice(["pinned", "pinned", "failed"])
            requestid = cid if personality is CLUSTER else ""
            sandbox.store.put(
                "token", cid, name=rnd.choice(NAMES), meta=mark, status=status, requestid=requestid
            )
        before = foreign(sandbox)
        for _ in range(2):
            wanted = {n: rnd.choice(CIDS) for n in rnd.sample(NAMES, rnd.randrange(1, 5))}
            faults.rate = rnd.choice([0.05, 0.2, 0.4])
            for _ in range(2):
                asyncio.run(run(sandbox, profile, wanted))
            faults.rate = 0.0
            plan = _settle(sandbox, profile, wanted)
            assert foreign(sandbox) == before, f"seed {seed}"
            assert plan.changes == (), f"seed {seed}: {plan.changes}"
            _as_wanted(sandbox, plan, wanted, one=profile != "spec", where=f"seed {seed}")


def _settle(sandbox: Sandbox, profile: str, wanted: dict[str, str]) -> Plan:
    for _ in range(5):
        plan = asyncio.run(run(sandbox, profile, wanted))
        if not plan.changes:
            break
    return plan


def _as_wanted(sandbox: Sandbox, plan: Plan, wanted: dict[str, str], *, one: bool, where: str) -> None:
    excused = {a.name for a in plan.actions if isinstance(a, Keep | Blocked)}
    pins = [p for p in sandbox.store.all("token") if p.meta.get("pinrec") == "me"]
    for name, cid in wanted.items():
        mine = [p for p in pins if p.name == name and canonical(p.cid) == canonical(cid)]
        assert len(mine) <= 1, f"{where}: {name} is there {len(mine)} times"
        if name not in excused:
            assert [p.status for p in mine] == ["pinned"], f"{where}: {name}"
    for pin in pins:
        held = one and canonical(pin.cid) in {canonical(c) for c in wanted.values()}
        assert pin.name in wanted or held, f"{where}: {pin.name} is left over"
