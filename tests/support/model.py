"""Random worlds, played by the real core and the real engine. See `engine/test_model.py`."""

import asyncio
import random
import sys
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from reconciler.core.cid import parse
from reconciler.core.manifest import Entry, Limits, Manifest, SecretRef, Service, Spec
from reconciler.core.plan import Blocked, Keep, Overrides, Plan
from reconciler.core.profile import PROFILES, Profile
from reconciler.engine.context import Context, Settings
from reconciler.engine.cycle import make_plan, run_apply
from support.world import NOW, OURS, THEIRS, Client, Clock, World, owner_of

#: A guard that fired would stop convergence for a good reason; these worlds are about the diff.
ALLOWED = Overrides(allow_empty=True, allow_deletes=1000, allow_replaces=1000, allow_disjoint=True)
NAMES = [f"n{i}" for i in range(4)]


def raw_cid(text: str) -> str:
    """A CIDv1 of raw bytes, in base32."""
    import base64

    digest = bytes([1, 0x55, 0x12, 0x20]) + sha256(text.encode()).digest()
    return "b" + base64.b32encode(digest).decode().lower().rstrip("=")


CIDS = [raw_cid(f"c{i}") for i in range(5)]


@dataclass(frozen=True, slots=True)
class Bad:
    check: str
    kind: str
    seed: int
    generation: int
    detail: Any


def manifest_of(wanted: dict[str, str], profile: Profile, *, owner: str = OURS) -> Manifest:
    service = Service(
        name="s",
        endpoint="http://127.0.0.1:1",
        key=SecretRef(kind="env", value=("KEY",)),
        profile=profile,
        limits=Limits(concurrency=1),
    )
    spec = Spec(services=("s",), file="pinrec.yaml")
    entries = [Entry(name, parse(cid), spec, line) for line, (name, cid) in enumerate(wanted.items(), 1)]
    return Manifest(owner=owner, services={"s": service}, entries=entries)


def context(world: World, clock: Clock, *, wait: str) -> Context:
    return Context(
        now=NOW,
        services={"s": Client(world)},
        new_id=lambda: "run",
        settings=Settings(
            wait="pinned" if wait == "pinned" else "none",
            timeout=8.0,
            second_look=1.0,
            visibility=(0.0, 1.0),
            poll=(1.0, 4.0),
        ),
        sleep=clock.sleep,
        monotonic=clock,
    )


async def run(world: World, wanted: dict[str, str], profile: Profile, *, wait: str) -> Plan:
    ctx = context(world, Clock(world), wait=wait)
    planned = await make_plan(manifest_of(wanted, profile), ALLOWED, ctx, resolved={})
    if planned.plan.changes:
        await run_apply(planned, ctx)
    return planned.plan


class Player:
    def __init__(self, seed: int, *, versions: bool, third: str) -> None:
        self.rnd = random.Random(seed)
        self.seed, self.versions, self.third = seed, versions, third
        one = self.rnd.random() < 0.4
        self.kind = "one" if one else "many"
        self.profile = PROFILES["ipfs-cluster"] if one else PROFILES["spec"]
        self.world = World(self.rnd, one=one, coarse=self.rnd.random() < 0.3)
        self.bad: list[Bad] = []

    async def play(self) -> list[Bad]:
        rnd, world = self.rnd, self.world
        for _ in range(rnd.randrange(9)):
            cid = rnd.choice(CIDS)
            if not (world.one and cid in world.pins):
                owner = rnd.choice([OURS, OURS, THEIRS])
                world.put(rnd.choice(NAMES), cid, owner, rnd.choice(["pinned", "pinned", "queued", "failed"]))
        for generation in range(3):
            wanted = {n: rnd.choice(CIDS) for n in rnd.sample(NAMES, rnd.randrange(1, 5))}
            other = {**wanted, rnd.choice(list(wanted)): rnd.choice(CIDS)} if self.versions else wanted
            world.wanted = [wanted, other] if self.versions else [wanted]
            world.lose = rnd.choice([0, 0.2, 0.5])
            for _ in range(4):
                await self._noisy([[wanted], [wanted, other], [wanted, other]][rnd.randrange(3)])
                if self.third == "between":
                    self._third()
            world.lose = 0.0
            await self._quiet(wanted, generation)
        if world.touched:
            self._found("F", -1, world.touched[:1])
        if world.lost:
            self._found("L", -1, world.lost)
        return self.bad

    async def _noisy(self, versions: list[dict[str, str]]) -> None:
        """One or two appliers, faults on, one request at a time in random order."""
        rnd, world, turns = self.rnd, self.world, self.world.turns
        turns.open = False
        tasks = [
            asyncio.create_task(run(world, w, self.profile, wait=rnd.choice(["pinned", "none"])))
            for w in versions
        ]
        while not all(t.done() for t in tasks):
            for _ in range(rnd.randrange(1, 12)):
                await asyncio.sleep(0)
            if turns.waiting:
                turns.waiting.pop(rnd.randrange(len(turns.waiting))).set_result(None)
                if rnd.random() < 0.3:
                    world.tick(p_fail=0.2)
                if self.third == "always" and rnd.random() < 0.1:
                    self._third()
        turns.open = True
        for task in tasks:
            task.result()

    def _third(self) -> None:
        rnd, world = self.rnd, self.world
        if rnd.random() < 0.5 and world.pins:
            world.pins.pop(rnd.choice(list(world.pins)))
        else:
            world.put(rnd.choice(NAMES), rnd.choice(CIDS), THEIRS, rnd.choice(["pinned", "queued"]))

    async def _quiet(self, wanted: dict[str, str], generation: int) -> None:
        world = self.world
        world.wanted = [wanted]
        for _ in range(14):
            await run(world, wanted, self.profile, wait="none")
            for _ in range(4):
                world.tick()
        ctx = context(world, Clock(world), wait="none")
        planned = await make_plan(manifest_of(wanted, self.profile), ALLOWED, ctx, resolved={})
        if planned.plan.changes:
            self._found("C", generation, planned.plan.changes[:2])
        told = {
            a.name
            for a in planned.plan.actions
            if isinstance(a, Blocked) or (isinstance(a, Keep) and a.reason == "held")
        }
        for name, cid in wanted.items():
            here = [p for p in world.pins.values() if p.pin.cid == cid]
            mine = [p for p in here if owner_of(p) == OURS and (world.one or p.pin.name == name)]
            if (name not in told and not any(p.status == "pinned" for p in here)) or len(mine) > 1:
                self._found("C", generation, (name, cid, here))

    def _found(self, check: str, generation: int, detail: Any) -> None:
        self.bad.append(Bad(check, self.kind, self.seed, generation, detail))


def play(seed: int, *, versions: bool = False, third: str = "") -> list[Bad]:
    return asyncio.run(Player(seed, versions=versions, third=third).play())


def report(bad: list[Bad]) -> str:
    lines = [repr(b) for b in bad[:6]]
    counts = [
        f"{check} {kind} {sum(b.check == check and b.kind == kind for b in bad)}"
        for check in "FLC"
        for kind in ("many", "one")
    ]
    return "\n".join([*lines, ", ".join(counts)])


if __name__ == "__main__":
    numbers = [int(a) for a in sys.argv[1:] if not a.startswith("--")]
    worlds, first = (numbers or [1000])[0], (numbers[1:] or [0])[0]
    third_party = "always" if "--third" in sys.argv else ""
    all_bad = [
        b
        for i in range(worlds)
        for b in play(first + i, versions="--versions" in sys.argv, third=third_party)
    ]
    print(f"{worlds} worlds from seed {first}:", report(all_bad))
    sys.exit(bool(all_bad))
