"""A world in which folders go through a sandboxed node to sandboxed services, over sockets."""

import asyncio
import datetime
import os
import random
import time
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.core.cid import parse
from reconciler.core.manifest import Entry, Limits, Manifest, SecretRef, Service, Spec
from reconciler.core.manifest import Node as NodeSpec
from reconciler.core.plan import Overrides, Plan
from reconciler.core.planning import Planned
from reconciler.core.policy import Policy, PolicyUse
from reconciler.core.profile import PROFILES
from reconciler.core.report import Report
from reconciler.engine.context import Context, Settings
from reconciler.engine.cycle import make_plan, run_apply
from reconciler.engine.journal import Journal
from reconciler.engine.local import with_node
from reconciler.engine.progress import Silent
from reconciler.node.multipart import Part
from reconciler.node.open import open_node
from reconciler.node.upload import Added, Imported
from reconciler.sandbox import SPEC, Sandbox
from reconciler.sandbox.node import SandboxNode
from reconciler.services.client import open_services
from support.process import done, manifest, start

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
OWN = "pinrec/acme/"
EMPTY = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"

Meanwhile = Callable[[], object]


class Notes(Silent):
    def __init__(self) -> None:
        self.told: list[str] = []
        self.sizes: list[int] = []

    def note(self, service: str, text: str) -> None:
        self.told.append(text)

    def fetching(self, service: str, cid: str, nodes: int, size: int) -> None:
        self.sizes.append(size)


class Eventful:
    """A node beside which something happens after each CAR file that it took, or each upload."""

    def __init__(self, node: Any, after: Callable[[int], object]) -> None:
        self._node, self._after, self._count = node, after, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    async def import_car(self, data: AsyncIterable[bytes], **more: Any) -> Imported:
        done: Imported = await self._node.import_car(data, **more)
        self._count += 1
        self._after(self._count)
        return done

    async def add(self, parts: Iterable[Part], **more: Any) -> tuple[Added, ...]:
        done: tuple[Added, ...] = await self._node.add(parts, **more)
        self._count += 1
        self._after(self._count)
        return done


@dataclass
class Here:
    """A node, services that fetch from it, a folder, and a manifest that wants it pinned."""

    dist: Path
    state: Path
    node: SandboxNode
    services: dict[str, Sandbox]
    used: tuple[str, ...] = ("s",)
    policy: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)
    declared: bool = True
    remembers: bool = False
    timeout: float = 5.0
    after: Callable[[int], object] | None = None
    notes: Notes = field(default_factory=Notes)
    stop: asyncio.Event | None = None

    def write(self, name: str, content: bytes | str) -> None:
        path = self.dist / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def manifest(self) -> Manifest:
        services = {
            name: Service(
                name=name,
                endpoint=f"http://127.0.0.1:{sandbox.port}",
                key=SecretRef(kind="env", value=("KEY",)),
                profile=PROFILES["spec"],
                limits=Limits(concurrency=2),
            )
            for name, sandbox in self.services.items()
        }
        spec = Spec(services=self.used, file="pinrec.yaml")
        site = Policy(
            name="site",
            kind="directory",
            settings={"path": self.dist.name, **self.settings},
            base=str(self.dist.parent),
            pin_name="site",
            uses={name: PolicyUse() for name in self.used},
            **{"local": True, **self.policy},
        )
        return Manifest(
            owner="acme",
            services=services,
            entries=[Entry(n, parse(c), spec, i) for i, (n, c) in enumerate(self.entries.items(), 1)],
            policies={"site": site},
            node=NodeSpec(api=self.node.api, timeout=2.0) if self.declared else None,
        )

    async def _run(
        self, overrides: Overrides, *, apply: bool, meanwhile: Meanwhile
    ) -> tuple[Planned, Report | None]:
        manifest = self.manifest()
        self.stop = asyncio.Event()
        self.notes = Notes()
        async with open_services(manifest.services, environ={"KEY": "token"}) as services:
            with ExitStack() as stack:
                journal = stack.enter_context(Journal.open(self.state)) if self.remembers else None
                if not self.declared:
                    return await self._with(services, None, journal, overrides, apply, meanwhile)
                async with open_node(NodeSpec(api=self.node.api, timeout=2.0), environ={}) as node:
                    wrapped = Eventful(node, self.after) if self.after is not None else node
                    return await self._with(services, wrapped, journal, overrides, apply, meanwhile)

    async def _with(
        self, services: Any, node: Any, journal: Any, overrides: Overrides, apply: bool, meanwhile: Meanwhile
    ) -> tuple[Planned, Report | None]:
        assert self.stop is not None
        ctx = Context(
            now=NOW,
            services=with_node(services, node, stop=self.stop, patience=5.0, progress=Silent()),
            node=node,
            journal=journal,
            new_id=lambda: os.urandom(4).hex(),
            settings=Settings(timeout=self.timeout, second_look=0.05, poll=(0.05, 0.2), dial_grace=0.1),
            progress=self.notes,
            stop=self.stop,
        )
        planned = await make_plan(self.manifest(), overrides, ctx, resolved={})
        if not apply:
            return planned, None
        meanwhile()
        return planned, await run_apply(planned, ctx)

    def plan(self, **overrides: Any) -> Plan:
        planned, _ = asyncio.run(self._run(Overrides(**overrides), apply=False, meanwhile=lambda: None))
        return planned.plan

    def apply(self, meanwhile: Meanwhile = lambda: None, **overrides: Any) -> tuple[Plan, Report]:
        planned, report = asyncio.run(self._run(Overrides(**overrides), apply=True, meanwhile=meanwhile))
        assert report is not None
        return planned.plan, report

    def cid(self) -> str:
        [want] = asyncio.run(self._run(Overrides(), apply=False, meanwhile=lambda: None))[0].desire.wants[
            "site"
        ]
        return want.cid.text

    def pins(self) -> dict[str, str]:
        """CID → name of the node's recursive pins, but for the empty folder that every node pins."""

        async def read() -> dict[str, str]:
            async with open_node(NodeSpec(api=self.node.api, timeout=2.0), environ={}) as node:
                return {p.cid: p.name async for p in node.pins() if p.cid != EMPTY}

        return asyncio.run(read())

    def remote(self, service: str = "s") -> dict[str, tuple[str, str]]:
        """name → (CID, status)."""
        return {str(p.name): (p.cid, p.status) for p in self.services[service].store.all("token")}

    def asked(self, command: str) -> int:
        return sum(r.command == command for r in self.node.requests)


@contextmanager
def building(path: Path) -> Iterator[Here]:
    """A small site below `path`, a node, and the services `s` and `t`."""
    with (
        SandboxNode() as node,
        Sandbox(("token",), personality=SPEC, network=node.network) as one,
        Sandbox(("token",), personality=SPEC, network=node.network) as two,
    ):
        world = Here(path / "dist", path / "state", node, {"s": one, "t": two})
        world.write("index.html", "<h1>one</h1>")
        world.write("img/ü.png", bytes(300_000))
        (world.dist / "latest").symlink_to("img")
        yield world


def kill_midway(here: Here, directory: Path, kind: str) -> Path:
    """Kills `pinrec apply` once the node has acknowledged something of that kind; the file that tells of it."""
    text = manifest(here.services["s"].url, {}, f"node: {{api: {here.node.api!r}}}").replace(
        "profile: spec}", "profile: spec, policies: [site]}"
    )
    (directory / "pinrec.yaml").write_text(
        text.replace("pins:\n", "policies: {site: {kind: directory, path: ./dist}}\n")
    )
    process = start(directory, "apply", "--yes")
    while not sum(f.stat().st_size for f in directory.glob(f"state/folders/*.{kind}")):
        assert process.poll() is None, done(process)
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not here.remote()
    # What the dead one has sent is dealt with first.
    before = -1
    while before != (before := len(here.node.requests)):
        time.sleep(0.5)
    here.node.forget_requests()
    [file] = directory.glob(f"state/folders/*.{kind}")
    return file


def fill(here: Here, seed: int = 0, files: int = 60) -> None:
    dice = random.Random(seed)
    for n in range(files):
        here.write(f"many/{n}.bin", dice.randbytes(dice.randrange(1, 30_000)))
