"""Random histories at every kind of service under every kind of fault, by the real client and engine over sockets.

Each history: pins of ours and of others are there; twice a manifest is wanted, applied while things go wrong, and
applied again when they do not. What must never happen is looked for at each single request:

foreign     a pin that is not ours is deleted, or its name or meta changed
lost        a wanted name had a pinned copy, and after a request of ours it has none
blind       a name is deleted on the strength of a listing that was not complete
twice       when all is quiet, a name is there twice
restless    when all is quiet the plan still has changes, and says of none why it cannot

PINREC_FAULT_RUNS: histories per service (default 3); PINREC_SEED: the first seed. A failure names its seed.
"""

import asyncio
import contextlib
import datetime
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.scenario import LETTERS

from reconciler.core.cid import canonical, parse
from reconciler.core.errors import EXIT_OK
from reconciler.core.manifest import Entry, Limits, Manifest, SecretRef, Service, Spec
from reconciler.core.plan import Blocked, Change, Delete, Keep, Overrides, Plan, Replace, Retry
from reconciler.core.presets import default_ownership
from reconciler.core.profile import PROFILES
from reconciler.engine.context import Context, Settings
from reconciler.engine.cycle import make_plan, run_apply
from reconciler.engine.journal import Journal
from reconciler.sandbox import (
    MISHAPS,
    PERSONALITIES,
    AllOf,
    Answer,
    Chance,
    Fault,
    Lifecycle,
    Personality,
    Received,
    Sandbox,
    Stored,
    with_quirks,
)
from reconciler.sandbox.documents import flat
from reconciler.services.client import open_services
from reconciler.transport.http import Seams

RUNS = int(os.environ.get("PINREC_FAULT_RUNS", "3"))
SEED = int(os.environ.get("PINREC_SEED", "0"))
NAMES = [f"n{i}" for i in range(4)]
CIDS = [LETTERS[c] for c in "ABCDE"]
ALLOWED = Overrides(allow_empty=True, allow_deletes=1000, allow_replaces=1000, allow_disjoint=True)

#: The personality, and the profile that somebody would declare for it.
KINDS: dict[str, tuple[str, str]] = {
    "spec": ("spec", "spec"),
    "pinata": ("pinata", "pinata"),
    "filebase": ("filebase", "filebase"),
    "4everland": ("4everland", "4everland"),
    "ipfs-cluster": ("ipfs-cluster", "ipfs-cluster"),
    "helia": ("helia", "helia"),
    "kubo-test": ("kubo-test", "unknown"),
    "mock": ("mock", "unknown"),
    "unmeasured": ("spec", "unknown"),
    "odd": ("spec", "unknown"),
}
#: What a service that nobody has measured may do: "odd" has three of these.
QUIRKS = [
    "second-add=overwrite", "second-add=same", "second-add=stuck", "second-add=refused", "requestid=cid",
    "requestid=integer", "requestid=base64", "replace=loses", "replace=refused", "same-cid-replace=loses",
    "same-cid-replace=inPlace", "starts=queued", "origins=dropped", "cid-echo=v1", "cid-echo=base32", "name=cid",
    "absent=null", "absent=empty", "precision=s", "precision=us", "precision=ns", "post-precision=ns",
    "created-offset=-05:00", "created-zeros=stripped", "request-id-casing=requestId", "delegates=none",
    "extra-members=yes", "order=oldest", "order=unsorted", "edges=inclusive", "truncate-filter=s", "count=plus1",
    "count=page", "count=unfiltered", "default-limit=none", "page-cap=10", "large-limit=obeyed",
    "default-status=all", "default-status=required", "ignore-filter=cid", "ignore-filter=meta",
    "ignore-filter=name", "ignore-filter=status", "ignore-filter=match", "match=exact", "match=broken",
    "cid-filter=text", "cid-filter=alone", "meta-filter=nothing", "meta-filter=error", "empty-list=null",
    "empty-list=404", "status-codes=200", "replace-body=empty", "delete=200-text", "delete=empty-object",
    "delete=204", "missing-delete=202", "error-shape=html", "error-shape=empty", "clock=-1h", "clock=1h",
]  # fmt: skip


class Watcher:
    """Stands before all other faults, and holds what each request found against what it left behind."""

    def __init__(self) -> None:
        self.sandbox: Sandbox | None = None
        self.wanted: dict[str, str] = {}
        self.wrong: list[str] = []
        self._had: list[Stored] = []

    def before(self, request: Received) -> Fault | None:
        if request.method != "GET":
            self._had = self.pins()
        return None

    def after(self, request: Received, answer: Answer) -> Fault | None:
        if request.method == "GET":
            return None
        had, has = self._had, self.pins()
        did = f"{request.method} {request.path} {request.json}: {answer.status}"
        if _others(had) != _others(has):
            self.wrong.append(f"foreign: {did}")
        for name, cid in self.wanted.items():
            stood = {canonical(p.cid) for p in had if _is_pinned(p) and _stands(p, name, cid)}
            # An overwritten pin is queued for a moment, and its content is held all the same.
            held = {p.requestid for p in had if _is_pinned(p)}
            stands = {
                canonical(p.cid)
                for p in has
                if _is_pinned(p) or (_is_ours(p) and p.requestid in held and p.status != "failed")
            }
            if stood and not stands & (stood | {canonical(cid)}):
                self.wrong.append(f"lost: {name}: {did}")
        return None

    def pins(self) -> list[Stored]:
        """What is really there: a pin that only seems to have failed is pinned."""
        assert self.sandbox
        store = self.sandbox.store
        sql = (
            "SELECT json, CASE WHEN status = 3 AND due IS NOT NULL THEN outcome ELSE status END, info"
            " FROM pin WHERE account = ? ORDER BY created"
        )
        return [flat(*row) for row in store.read(sql, (store.account("token"),))]


def _is_ours(pin: Stored) -> bool:
    return pin.meta.get("pinrec") == "me" or (pin.name or "").startswith("pinrec/me/")


def _name(pin: Stored) -> str:
    return (pin.name or "").removeprefix("pinrec/me/")


def _is_pinned(pin: Stored) -> bool:
    return _is_ours(pin) and pin.status == "pinned"


def _stands(pin: Stored, name: str, cid: str) -> bool:
    return _name(pin) == name or canonical(pin.cid) == canonical(cid)


def _others(pins: list[Stored]) -> list[tuple[str, str, str | None, str]]:
    return sorted((p.requestid, p.cid, p.name, str(p.meta)) for p in pins if not _is_ours(p))


async def _no_sleep(_seconds: float) -> None:
    await asyncio.sleep(0)


class History:
    def __init__(self, kind: str, seed: int, directory: Path) -> None:
        self.rnd = random.Random(f"{kind} {seed}")
        personality, profile = KINDS[kind]
        self.profile = PROFILES[profile]
        self.quirks: list[str] = []
        self.habits = self._habits(PERSONALITIES[personality], odd=kind == "odd")
        self.ownership = default_ownership(self.profile)
        kinds = [m.name for m in MISHAPS.values() if m.common and m.name != "fails"]
        self.chance = Chance(0, seed=f"{kind} {seed}", mishaps=kinds)
        self.watcher = Watcher()
        self.journal = directory if self.rnd.random() < 0.5 else None
        self.where = f"{kind}, PINREC_SEED={seed}" + (f", {self.quirks}" if self.quirks else "")

    def _habits(self, base: Personality, *, odd: bool) -> Personality:
        while odd:
            self.quirks = self.rnd.sample(QUIRKS, 3)
            if {"empty-list=404", "error-shape=html"} <= set(self.quirks):
                continue  # a 404 that is a web page says that the endpoint is wrong, and nothing of pins
            try:
                return with_quirks(base, self.quirks)
            except ValueError:
                continue
        return base

    def play(self) -> None:
        slow = self.rnd.choice([0, 0, 0.01])
        self.lost = lost = self.rnd.choice([(), (), (CIDS[0],)])
        lifecycle = Lifecycle(queued=slow, pinning=slow, ends=lambda c: "failed" if c in lost else "pinned")
        faults = AllOf(self.watcher, self.chance)
        with Sandbox(["token"], personality=self.habits, lifecycle=lifecycle, faults=faults) as sandbox:
            self.watcher.sandbox = sandbox
            self._begin(sandbox)
            for _ in range(2):
                self.wanted = {
                    n: self.rnd.choice(CIDS) for n in self.rnd.sample(NAMES, self.rnd.randrange(1, 5))
                }
                self.watcher.wanted = self.wanted
                self.chance.rate = self.rnd.choice([0.05, 0.2, 0.4])
                for _ in range(2):
                    self._run(sandbox)
                self.chance.rate = 0
                plan = self._settle(sandbox)
                self._judge(sandbox, plan)

    def _begin(self, sandbox: Sandbox) -> None:
        for _ in range(self.rnd.randrange(7)):
            cid = self.rnd.choice(CIDS)
            owner = self.rnd.choice(["me", "me", "", "they"])
            if self.habits.second_add != "new" and any(p.cid == cid for p in self.watcher.pins()):
                continue
            name = self.rnd.choice(NAMES)
            meta = {"pinrec": owner} if owner else {}
            if self.ownership == "prefix" or self.habits.meta == "dropped":
                name, meta = f"pinrec/{owner}/{name}" if owner else name, {}
            requestid = cid if self.habits.requestid == "cid" else ""
            status = self.rnd.choice(["pinned", "pinned", "failed"])
            sandbox.store.put("token", cid, name=name, meta=meta, status=status, requestid=requestid)

    def _run(self, sandbox: Sandbox) -> Plan:
        """Plan and apply once; with a journal on this machine, without one on another."""
        with _journal(self.journal) as journal:
            return asyncio.run(self._apply(sandbox, journal))

    async def _apply(self, sandbox: Sandbox, journal: Journal | None) -> Plan:
        service = Service(
            name="s",
            endpoint=sandbox.url,
            key=SecretRef(kind="env", value=("KEY",)),
            profile=self.profile,
            ownership=self.ownership,
            limits=Limits(concurrency=4, timeout=5.0),
        )
        spec = Spec(services=("s",), file="pinrec.yaml")
        entries = [Entry(n, parse(c), spec, line) for line, (n, c) in enumerate(self.wanted.items(), 1)]
        manifest = Manifest(owner="me", services={"s": service}, entries=entries)
        async with open_services(
            manifest.services, environ={"KEY": "token"}, seams=Seams(sleep=_no_sleep)
        ) as services:
            ctx = Context(
                now=datetime.datetime.now(datetime.UTC),
                services=services,
                new_id=lambda: f"run-{self.rnd.randrange(10**9)}",
                journal=journal,
                settings=Settings(
                    timeout=0.5, second_look=0.06, visibility=(0.0, 0.0), poll=(0.01, 0.05), retry_after=0.0
                ),
            )
            planned = await make_plan(manifest, ALLOWED, ctx, resolved={})
            plan = planned.plan
            if not all(s.complete for s in plan.services):
                blind = [a for a in plan.changes if isinstance(a, Delete) and a.leaves]
                self.watcher.wrong += [f"blind: {a.name}" for a in blind]
            if self.chance.rate and self.rnd.random() < 0.3:
                self._fail_one(sandbox)
            if plan.changes:
                await run_apply(planned, ctx)
            return plan

    def _fail_one(self, sandbox: Sandbox) -> None:
        """Between the plan and its apply. Between the last look and the request nobody could help it."""
        pinned = [p for p in self.watcher.pins() if _is_pinned(p)]
        if pinned:
            sandbox.set_status(self.rnd.choice(pinned).requestid, "failed")

    def _settle(self, sandbox: Sandbox) -> Plan:
        for _ in range(6):
            plan = self._run(sandbox)
            if not plan.changes:
                break
        return plan

    def _judge(self, sandbox: Sandbox, plan: Plan) -> None:
        assert not self.watcher.wrong, f"{self.where}: {self.watcher.wrong}; {self.chance.played}"
        refused = plan.exit_code() != EXIT_OK or not all(s.complete for s in plan.services)
        assert plan.changes == () or self._is_hopeless(plan), f"{self.where}: restless: {plan.changes}"
        pins = [p for p in self.watcher.pins() if _is_ours(p)]
        excused = {a.name for a in plan.actions if isinstance(a, Keep | Blocked)}
        for name, cid in self.wanted.items():
            mine = [p for p in pins if _name(p) == name and canonical(p.cid) == canonical(cid)]
            alive = [p for p in mine if p.status != "failed"]
            assert len(alive) <= 1 or refused, f"{self.where}: twice: {name}: {mine}"
            if name not in excused and not refused and not plan.changes:
                assert alive, f"{self.where}: {name} is not there: {plan}"

    def _is_hopeless(self, plan: Plan) -> bool:
        """Whether each change is a new try, or the cleaning up after one, at what can never be pinned here."""
        return all(a.cid in self.lost or self._never_ends(a) for a in plan.changes)

    def _never_ends(self, change: Change) -> bool:
        """A POST of what has failed is answered with the pin that has failed; or nothing is ever pinned."""
        return (isinstance(change, Retry) and self.habits.second_add in ("same", "refused")) or (
            isinstance(change, Retry | Replace) and self.habits.starts == "by-name"
        )


@contextlib.contextmanager
def _journal(directory: Path | None) -> Iterator[Journal | None]:
    if directory is None:
        yield None
        return
    with Journal.open(directory / "state") as journal:
        yield journal


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_and_every_history_ends(kind: str, seed: int, tmp_path: Path) -> None:
    History(kind, seed, tmp_path).play()
