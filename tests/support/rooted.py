"""A policy over a world whose MFS root moves: the real core and engine, a node and services that fail.

`Rooted.play` lets roots change, nodes and services fail and appliers restart in any order, and checks after every
request what the policy promises; then it lets all become quiet and checks what is there.
"""

import asyncio
import contextlib
import datetime
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from reconciler.core.cid import canonical, parse
from reconciler.core.errors import NodeError, NotFoundError
from reconciler.core.manifest import Limits, Manifest, SecretRef, Service
from reconciler.core.manifest import Node as NodeSpec
from reconciler.core.model import PinRequest, PinStatus
from reconciler.core.plan import Overrides, Plan
from reconciler.core.policy import Policy, PolicyUse, ReplaceMode, Retain
from reconciler.core.profile import PROFILES
from reconciler.core.question import Identity, KuboServices, Stat
from reconciler.engine.context import Context, Settings
from reconciler.engine.cycle import make_plan, run_apply
from reconciler.node.protocol import Entry, LocalPin, PinProgress
from support.model import raw_cid
from support.world import OURS, Client, Clock, World, owner_of

NAME = "policy/peer1/mfs"
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class ScriptedNode:
    """A node of which a test says what it answers. Implements `node.protocol.Node`."""

    where = "http://127.0.0.1:5001"

    def __init__(self, root: str = "", *, size: int = 1000) -> None:
        self.peer, self.root, self.size, self.empty = "peer1", root, size, False
        self.down = False
        self.kubo = KuboServices()
        #: Whether its token may not look at its configuration.
        self.shut = False
        self.sizes: dict[str, int] = {}
        self.requests = 0

    def _asked(self) -> None:
        self.requests += 1
        if self.down:
            raise NodeError("the node cannot be reached", unreachable=True)

    async def identity(self) -> Identity:
        self._asked()
        return Identity(peer_id=self.peer)

    async def version(self) -> str:
        self._asked()
        return "0.44.0"

    async def stat(self, path: str, *, deadline: float | None = None) -> Stat | None:
        self._asked()
        if not self.root:
            return None
        return Stat(cid=parse(self.root), size=self.size, kind="directory", empty=self.empty)

    async def size_of(self, cid: str, *, deadline: float | None = None) -> int | None:
        self._asked()
        return self.sizes.get(canonical(cid))

    async def free(self, *, deadline: float | None = None) -> int | None:
        self._asked()
        return None

    async def has(self, cid: str, *, deadline: float | None = None) -> bool:
        self._asked()
        return False

    async def connect(self, address: str, *, deadline: float | None = None) -> None:
        self._asked()

    async def flush(self, path: str = "/", *, deadline: float | None = None) -> str:
        self._asked()
        return self.root

    async def remote_services(self) -> KuboServices:
        self._asked()
        if self.shut:
            raise NodeError("config/show: Access Denied", status=403)
        return self.kubo

    async def pin(self, cid: str, *, name: str, stall: float = 60.0) -> None:
        self._asked()

    async def pinning(self, cid: str, *, name: str, stall: float = 60.0) -> AsyncIterator[PinProgress]:
        self._asked()
        yield PinProgress(nodes=1, done=True)

    async def unpin(self, cid: str) -> bool:
        self._asked()
        return True

    async def pins(self, *, kind: str = "recursive") -> AsyncIterator[LocalPin]:
        self._asked()
        for pin in ():
            yield pin

    async def pinned(self, cid: str, *, kind: str = "recursive") -> LocalPin | None:
        self._asked()
        return None

    async def entries(self, cid: str) -> AsyncIterator[Entry]:
        self._asked()
        for entry in ():
            yield entry


class Replacing(Client):
    """A service whose own replace keeps the old pin until the new one is accepted, and loses answers."""

    async def replace(self, requestid: str, pin: PinRequest) -> PinStatus | None:
        await self._turn()
        if requestid not in self.world.pins:
            raise NotFoundError("it is not there", service=self.name)
        made: list[str] = []

        def change() -> None:
            meta = dict(pin.meta) if isinstance(pin.meta, dict) else {}
            owner = meta.pop("pinrec", "nobody")
            made.append(self.world.put(str(pin.name), pin.cid, owner, meta=meta))
            del self.world.pins[requestid]

        self.world._fault(change)
        return self.world.pins[made[0]]


@dataclass(frozen=True, slots=True)
class Broken:
    promise: str
    seed: int
    detail: Any


def manifest_of(
    policy: Policy, services: tuple[str, ...] = ("s",), *, profile: str = "spec", path: str = "pinrec.yaml"
) -> Manifest:
    made = {
        name: Service(
            name=name,
            endpoint=f"http://127.0.0.1:{i + 1}",
            key=SecretRef(kind="env", value=("KEY",)),
            profile=PROFILES[profile],
            limits=Limits(concurrency=1),
        )
        for i, name in enumerate(services)
    }
    uses = policy.uses or {name: PolicyUse() for name in services}
    return Manifest(
        owner=OURS,
        services=made,
        entries=[],
        node=NodeSpec(api="http://127.0.0.1:5001"),
        policies={policy.name: replace(policy, uses=uses)},
        path=path,
    )


def mfs(
    *,
    mode: ReplaceMode = "auto",
    retain: Retain | None = None,
    pin_name: str = "policy/{peer_id}/mfs",
    **more: Any,
) -> Policy:
    return Policy(
        name="all-in-mfs",
        kind="mfs",
        settings={"path": "/"},
        pin_name=pin_name,
        replace=mode,
        retain=retain,
        **more,
    )


async def cycle(
    manifest: Manifest,
    world: World,
    node: ScriptedNode,
    *,
    wait: str = "none",
    at: datetime.datetime = START,
    overrides: Overrides | None = None,
) -> Plan:
    clock = Clock(world)
    ctx = Context(
        now=at,
        services={name: Replacing(world) for name in manifest.services},
        node=node,
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
    planned = await make_plan(manifest, overrides or Overrides(), ctx, resolved={})
    if planned.plan.changes:
        await run_apply(planned, ctx)
    return planned.plan


class _Watched(World):
    """Checks the promises of the policy whenever a pin changes."""

    def __init__(self, rnd: random.Random, *, one: bool, modify: bool) -> None:
        super().__init__(rnd, one=one)
        self.modify = modify
        self.accepted = ""
        #: what the node's root is now: a root that comes back needs no new request
        self.root = ""
        self.broken: list[str] = []

    def family(self) -> list[PinStatus]:
        return [
            p
            for p in self.pins.values()
            if owner_of(p) == OURS and (p.pin.name or "").partition("@")[0] == NAME
        ]

    def put(
        self, name: str, cid: str, owner: str, status: str = "queued", meta: dict[str, str] | None = None
    ) -> str:
        rid = super().put(name, cid, owner, status, meta)
        if owner == OURS:
            self.accepted = cid
        return rid

    def _checked(self, change: Any) -> None:
        had = any(p.status == "pinned" for p in self.family())
        change()
        has = any(p.status == "pinned" for p in self.family())
        if had and not has and not self.modify:
            self.broken.append("safe: nothing is pinned where something was")
        if self.accepted and not {self.accepted, self.root} & {p.pin.cid for p in self.family()}:
            self.broken.append(f"the accepted request for the newest root is gone: {self.accepted}")


class Rooted:
    """One history. `mode` is the policy's, `one` a service with one pin per CID (which never modifies)."""

    def __init__(self, seed: int, *, retain: Retain | None = None) -> None:
        self.rnd = random.Random(seed)
        self.seed = seed
        self.one = self.rnd.random() < 0.4
        mode: ReplaceMode = self.rnd.choice(["auto", "safe", "modify"])
        self.modify = not self.one and mode != "safe"
        self.policy = mfs(mode=mode, retain=retain)
        self.manifest = manifest_of(self.policy, profile="ipfs-cluster" if self.one else "spec")
        self.world = _Watched(self.rnd, one=self.one, modify=self.modify and retain is None)
        self.node = ScriptedNode(raw_cid("root 0"))
        self.world.root = self.node.root
        self.at = START

    async def play(self) -> list[Broken]:
        rnd, world, node = self.rnd, self.world, self.node
        for _ in range(rnd.randrange(5, 25)):
            self.at += datetime.timedelta(seconds=rnd.randrange(1, 100))
            world.lose = rnd.choice([0, 0, 0.3])
            match rnd.randrange(6):
                case 0 | 1:
                    # Now and then a root comes back.
                    node.root = raw_cid(f"root {rnd.randrange(8)}")
                    world.root = node.root
                case 2:
                    node.down = not node.down
                case 3:
                    world.tick(p_fail=0.2)
                case _:
                    await self._maybe_killed()
        world.lose, node.down = 0.0, False
        for _ in range(12):
            self.at += datetime.timedelta(seconds=100)
            await cycle(self.manifest, world, node, at=self.at)
            for _ in range(4):
                world.tick()
        return [Broken(b, self.seed, "") for b in world.broken] + self._end(
            await cycle(self.manifest, world, node, at=self.at)
        )

    async def _maybe_killed(self) -> None:
        """A cycle that ends, or is cut off at any request and never knows what became of it."""
        task = asyncio.create_task(
            cycle(self.manifest, self.world, self.node, at=self.at, wait=self.rnd.choice(["pinned", "none"]))
        )
        if self.rnd.random() < 0.3:
            for _ in range(self.rnd.randrange(60)):
                await asyncio.sleep(0)
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def _end(self, plan: Plan) -> list[Broken]:
        found = []
        if plan.changes:
            found.append(Broken("a settled plan is not empty", self.seed, plan.changes))
        family = self.world.family()
        current = [p for p in family if p.pin.cid == self.node.root]
        if [p.status for p in current] != ["pinned"]:
            found.append(Broken("not exactly the current root is pinned", self.seed, family))
        retain = self.policy.retain
        if retain is None and len(family) != 1:
            found.append(Broken("more than the current root is there", self.seed, family))
        if retain is not None and retain.count is not None and len(family) > retain.count:
            found.append(Broken("more roots than are retained", self.seed, family))
        return found


def play(seed: int, *, retain: Retain | None = None) -> list[Broken]:
    return asyncio.run(Rooted(seed, retain=retain).play())
