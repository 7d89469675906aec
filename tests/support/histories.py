"""Random histories at one to three services under faults, by the real client and engine over sockets.

Pins of ours and of others are there; twice a manifest is wanted, applied while things go wrong (and runs are killed,
and services are down), and applied again when they do not. See `faults/test_histories.py` for what must never be.

`python -m support.histories HISTORIES [SEED]` in `tests/` plays and reports without pytest.
"""

import asyncio
import contextlib
import datetime
import random
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from reconciler.core.cid import canonical, parse
from reconciler.core.errors import EXIT_OK
from reconciler.core.manifest import Entry, Limits, Manifest, Replicas, SecretRef, Service, Spec
from reconciler.core.plan import Blocked, Change, Delete, Keep, Overrides, Plan, Replace, Retry
from reconciler.core.planning import Planned
from reconciler.core.presets import default_ownership
from reconciler.core.profile import PROFILES
from reconciler.engine.context import Context, Settings
from reconciler.engine.cycle import make_plan, run_apply
from reconciler.engine.journal import Journal
from reconciler.sandbox import (
    MISHAPS,
    PERSONALITIES,
    AllOf,
    Chance,
    Drop,
    Fault,
    Lifecycle,
    Personality,
    Received,
    Sandbox,
    with_quirks,
)
from reconciler.sandbox.faults import NoFaults
from reconciler.services.client import open_services
from reconciler.transport.http import Seams
from support.hurry import Hurry
from support.mortal import Fate, Killed, Mortal
from support.scenario import LETTERS
from support.watcher import Watcher, World, is_ours, is_pinned, name_of

NAMES = [f"n{i}" for i in range(4)]
CIDS = [LETTERS[c] for c in "ABCDE"]
ALLOWED = Overrides(allow_empty=True, allow_deletes=1000, allow_replaces=1000, allow_disjoint=True)
State = Literal["active", "suspended", "retiring"]

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
    "error-shape=fastify", "same-cid=text", "status-check=none", "instant-check=none", "instant-check=z",
    "unknown-path=404-html", "rate-headers=listing",
]  # fmt: skip


class Down(NoFaults):
    """A service that is not there while `down`."""

    def __init__(self) -> None:
        self.down = False

    def before(self, request: Received) -> Fault | None:
        return Drop() if self.down else None


class Place:
    """One service of a history: its habits, the profile it is declared with, and what goes wrong there."""

    def __init__(self, world: World, name: str, kind: str, rnd: random.Random, seed: str) -> None:
        personality, profile = KINDS[kind]
        self.name, self.kind, self.rnd = name, kind, rnd
        self.profile = PROFILES[profile]
        self.quirks: list[str] = []
        self.habits = self._habits(PERSONALITIES[personality], odd=kind == "odd")
        self.ownership = default_ownership(self.profile)
        kinds = [m.name for m in MISHAPS.values() if m.common and m.name != "fails"]
        self.chance = Chance(0, seed=seed, mishaps=kinds)
        self.down = Down()
        self.watcher = Watcher(world, name)
        self.state: State = "active"

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

    def sandbox(self, lifecycle: Lifecycle, time: Hurry) -> Sandbox:
        faults = AllOf(self.watcher, self.down, self.chance)
        self.watcher.sandbox = Sandbox(
            ["token"], personality=self.habits, lifecycle=lifecycle, faults=faults, clock=time.now
        )
        return self.watcher.sandbox

    def fill(self) -> None:
        sandbox = self.watcher.sandbox
        assert sandbox
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

    def declared(self) -> Service:
        assert self.watcher.sandbox
        return Service(
            name=self.name,
            endpoint=self.watcher.sandbox.url,
            key=SecretRef(kind="env", value=("KEY",)),
            profile=self.profile,
            ownership=self.ownership,
            limits=Limits(concurrency=4, timeout=5.0),
            state=self.state,
        )


class History:
    """`kinds`: a service for each. What its seed decides does not depend on what services answer."""

    def __init__(self, kinds: Sequence[str], seed: int, directory: Path) -> None:
        self.rnd = random.Random(f"{' '.join(kinds)} {seed}")
        self.world, self.time = World(), Hurry()
        self.places = [
            Place(self.world, name, kind, self.rnd, f"{kind} {seed}")
            for name, kind in zip("abc", kinds, strict=False)
        ]
        self.journal = directory if self.rnd.random() < 0.5 else None
        self.brisk = self.rnd.random() < 0.5
        self.entries: list[Entry] = []
        self.exit_code = EXIT_OK
        self.runs = self.killed = 0
        told = [f"{p.kind} {p.quirks}" if p.quirks else p.kind for p in self.places]
        self.where = f"{', '.join(told)}: PINREC_SEED={seed}"

    def play(self) -> None:
        slow = self.rnd.choice([0, 0, 0.01] if self.brisk else [0, 0, 2.0])
        self.lost = lost = self.rnd.choice([(), (), (CIDS[0],)])
        lifecycle = Lifecycle(queued=slow, pinning=slow, ends=lambda c: "failed" if c in lost else "pinned")
        with contextlib.ExitStack() as stack:
            for place in self.places:
                stack.enter_context(place.sandbox(lifecycle, self.time))
                place.fill()
            self.world.look_anew()
            for generation in range(2):
                self._want(generation)
                self._noisy()
                self._judge(self._settle())

    # --- what is wanted -----------------------------------------------------------------------------------------

    def _want(self, generation: int) -> None:
        """Something new; or, of what there was, the same content at other services, as when one is left."""
        names = self.rnd.sample(NAMES, self.rnd.randrange(1, 5))
        cids = {n: self.rnd.choice(CIDS) for n in names}
        if generation and len(self.places) > 1 and self.rnd.random() < 0.5:
            cids = {e.name: e.cid.text for e in self.entries if not isinstance(e.cid, tuple)}
        self.entries = [
            Entry(n, parse(c), Spec(services=self._services(), file="pinrec.yaml"), line)
            for line, (n, c) in enumerate(cids.items(), 1)
        ]
        for place in self.places:
            place.state = "active"
        if generation and len(self.places) > 1 and self.rnd.random() < 0.5:
            self.rnd.choice(self.places).state = self.rnd.choice(["retiring", "retiring", "suspended"])

    def _services(self) -> tuple[str, ...] | Replicas:
        names = [p.name for p in self.places]
        if len(names) > 1 and self.rnd.random() < 0.4:
            return Replicas(count=self.rnd.randrange(1, len(names)), of=tuple(names))
        return tuple(sorted(self.rnd.sample(names, self.rnd.randrange(1, len(names) + 1))))

    def manifest(self) -> Manifest:
        return Manifest(
            owner="me", services={p.name: p.declared() for p in self.places}, entries=self.entries
        )

    # --- runs -----------------------------------------------------------------------------------------------------

    def _noisy(self) -> None:
        for place in self.places:
            place.chance.rate = self.rnd.choice([0.05, 0.2, 0.4])
            place.down.down = len(self.places) > 1 and self.rnd.random() < 0.15
        for _ in range(2):
            at = self.rnd.choice([0, 0, 0, 1, 2, 4])
            self._run(Fate(at, after=self.rnd.random() < 0.5), noisy=True)
        for place in self.places:
            place.chance.rate, place.down.down = 0, False
        # A delete that comes back does so by now, and a breaker has closed.
        self.time.ahead += 1.0

    def _settle(self) -> Planned:
        waited = False
        for _ in range(9):
            planned = self._run(Fate())
            assert planned
            if not planned.plan.changes:
                if waited:
                    break
                # What is queued comes to its end, and may then be a duplicate that has to go.
                waited, self.time.ahead = True, self.time.ahead + 5.0
        return planned

    def _run(self, fate: Fate, *, noisy: bool = False) -> Planned | None:
        """Plan and apply once; with a journal on this machine, without one on another. None if it was killed."""
        self.runs += 1
        with _journal(self.journal) as journal:
            try:
                return asyncio.run(self._apply(journal, fate, noisy=noisy))
            except* Killed:
                self.killed += 1
        return None

    async def _apply(self, journal: Journal | None, fate: Fate, *, noisy: bool) -> Planned:
        manifest = self.manifest()
        seams = Seams(sleep=self.time.sleep, clock=self.time.monotonic, now=self.time.now)
        brisk = Settings(
            timeout=0.5, second_look=0.06, visibility=(0.0, 0.0), poll=(0.01, 0.05), retry_after=0.0
        )
        async with open_services(manifest.services, environ={"KEY": "token"}, seams=seams) as services:
            ctx = Context(
                now=datetime.datetime.fromtimestamp(self.time.now(), datetime.UTC),
                services={n: Mortal(client, fate) for n, client in services.items()},
                new_id=lambda: f"run-{self.rnd.randrange(10**9)}",
                journal=journal,
                settings=brisk if self.brisk else Settings(retry_after=0.0),
                sleep=self.time.sleep,
                monotonic=self.time.monotonic,
            )
            planned = await make_plan(manifest, ALLOWED, ctx, resolved={})
            self._look_at(planned)
            if noisy and self.rnd.random() < 0.3:
                self._fail_one()
            if planned.plan.changes:
                self.exit_code = (await run_apply(planned, ctx)).exit_code(planned.plan)
            return planned

    def _look_at(self, planned: Planned) -> None:
        by_service = planned.desire.by_service
        for place in self.places:
            place.watcher.wanted = {n: d.cid.text for n, d in by_service[place.name].items()}
        self.world.desired = {d.cid.canonical for wanted in by_service.values() for d in wanted.values()}
        blind = {s.service for s in planned.plan.services if not s.complete}
        self.world.wrong += [
            f"blind: {a.service}/{a.name}"
            for a in planned.plan.changes
            if isinstance(a, Delete) and a.leaves and a.service in blind
        ]

    def _fail_one(self) -> None:
        """Between the plan and its apply. Between the last look and the request nobody could help it."""
        place = self.rnd.choice(self.places)
        pinned = [p for p in place.watcher.pins() if is_pinned(p)]
        if pinned:
            assert place.watcher.sandbox
            place.watcher.sandbox.set_status(self.rnd.choice(pinned).requestid, "failed")
            self.world.look_anew()

    # --- judgement ------------------------------------------------------------------------------------------------

    def _judge(self, planned: Planned) -> None:
        plan = planned.plan
        played = [p.chance.played for p in self.places]
        assert not self.world.wrong, f"{self.where}: {self.world.wrong}; {played}"
        assert plan.changes == () or self._is_hopeless(plan), f"{self.where}: restless: {plan.changes}"
        assert plan.changes == () or self.exit_code != EXIT_OK, (
            f"{self.where}: it says that all is done: {plan}"
        )
        # What is left to do for ever makes every apply say so: a duplicate may rest on a pin that never comes.
        refused = (
            plan.exit_code() != EXIT_OK or bool(plan.changes) or not all(s.complete for s in plan.services)
        )
        for place in self.places:
            wanted = {n: d.cid.text for n, d in planned.desire.by_service[place.name].items()}
            excused = {
                a.name for a in plan.actions if isinstance(a, Keep | Blocked) and a.service == place.name
            }
            self._judge_place(
                place, wanted, excused, settled=not refused and not plan.changes, refused=refused
            )

    def _judge_place(
        self, place: Place, wanted: Mapping[str, str], excused: set[str], *, settled: bool, refused: bool
    ) -> None:
        where = f"{self.where}, {place.name}"
        pins = [p for p in place.watcher.pins() if is_ours(p)]
        for name, cid in wanted.items():
            mine = [p for p in pins if name_of(p) == name and canonical(p.cid) == canonical(cid)]
            alive = [p for p in mine if p.status != "failed"]
            if place.habits.second_add == "stuck" and "repeat-page" in place.chance.played:
                # Shown an old page as the listing and again as the answer to the look before the add, nobody can know
                # better than to add. What is stuck then is never pinned, and never deleted: at Helia that leaks.
                alive = [p for p in alive if p.status == "pinned"] or alive
            assert len(alive) <= 1 or refused, f"{where}: twice: {name}: {mine}"
            if name not in excused and settled:
                assert alive, f"{where}: {name} is not there"

    def _is_hopeless(self, plan: Plan) -> bool:
        """Whether each change is a new try at what can never be pinned, cleans up after one, or waits for one."""
        never = {a.key for a in plan.changes if a.cid in self.lost or self._never_ends(a)}
        return all(a.key in never or (isinstance(a, Delete) and _waits_for(a, never)) for a in plan.changes)

    def _never_ends(self, change: Change) -> bool:
        """A POST of what has failed is refused; or nothing is ever pinned."""
        habits = next(p.habits for p in self.places if p.name == change.service)
        return (isinstance(change, Retry) and habits.second_add == "refused") or (
            isinstance(change, Retry | Replace) and habits.starts == "by-name"
        )


def _waits_for(action: Delete, never: set[tuple[str, str]]) -> bool:
    victim = action.victim
    keys = {*victim.elsewhere, *((s, action.name) for s in victim.all_of)}
    keys |= {(action.service, name) for name in victim.needs}
    return not keys.isdisjoint(never)


@contextlib.contextmanager
def _journal(directory: Path | None) -> Iterator[Journal | None]:
    if directory is None:
        yield None
        return
    with Journal.open(directory / "state") as journal:
        yield journal


def kinds_of(services: int, seed: int) -> list[str]:
    """The makes of a history at several services."""
    return random.Random(seed).choices(list(KINDS), k=services)


def _main(histories: int, first: int) -> int:
    """Plays so many per make, and per number of services; tells each that fails."""
    played = runs = failed = 0
    for seed in range(first, first + histories):
        for kinds in [*([kind] for kind in KINDS), kinds_of(2, seed), kinds_of(3, seed)]:
            with tempfile.TemporaryDirectory() as directory:
                history = History(kinds, seed, Path(directory))
                try:
                    history.play()
                except Exception:  # noqa: BLE001  whatever it is, the others go on
                    failed += 1
                    traceback.print_exc()
                played, runs = played + 1, runs + history.runs
        print(f"seed {seed}: {played} histories, {runs} runs, {failed} failed", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    numbers = [int(a) for a in sys.argv[1:]]
    sys.exit(_main((numbers or [10])[0], (numbers[1:] or [0])[0]))
