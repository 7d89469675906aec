"""Plan and apply once by the real client and engine, against sandboxes, with time that hurries."""

import asyncio
import datetime
from collections.abc import Mapping, Sequence
from typing import Literal

from reconciler.core.cid import parse
from reconciler.core.manifest import Entry, Limits, Manifest, SecretRef, Service, Spec
from reconciler.core.plan import Overrides
from reconciler.core.planning import Planned
from reconciler.core.profile import Profile
from reconciler.core.report import Report
from reconciler.engine.context import Context, Settings
from reconciler.engine.cycle import make_plan, run_apply
from reconciler.engine.journal import Journal
from reconciler.engine.progress import Silent
from reconciler.sandbox import Sandbox
from reconciler.services.client import open_services
from reconciler.transport.http import Seams
from support.hurry import Hurry


class Notes(Silent):
    """What a person is told while a run goes on."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, service: str, text: str) -> None:
        self.told.append(f"{service}: {text}")


def declared(sandbox: Sandbox, profile: Profile, *, name: str = "s") -> Service:
    return Service(
        name=name,
        endpoint=sandbox.url,
        key=SecretRef(kind="env", value=("KEY",)),
        profile=profile,
        limits=Limits(concurrency=4, timeout=5.0),
    )


def manifest(services: Sequence[Service], wanted: Mapping[str, str]) -> Manifest:
    """Every name at every service."""
    spec = Spec(services=tuple(s.name for s in services), file="pinrec.yaml")
    entries = [Entry(n, parse(c), spec, line) for line, (n, c) in enumerate(wanted.items(), 1)]
    return Manifest(owner="me", services={s.name: s for s in services}, entries=entries)


def run(
    wanted: Manifest,
    time: Hurry,
    *,
    journal: Journal | None = None,
    notes: Notes | None = None,
    wait: Literal["pinned", "none"] = "pinned",
) -> tuple[Planned, Report | None]:
    async def once() -> tuple[Planned, Report | None]:
        seams = Seams(sleep=time.sleep, clock=time.monotonic, now=time.now)
        async with open_services(wanted.services, environ={"KEY": "token"}, seams=seams) as services:
            ctx = Context(
                now=datetime.datetime.fromtimestamp(time.now(), datetime.UTC),
                services=services,
                new_id=lambda: "run",
                journal=journal,
                progress=notes or Notes(),
                settings=Settings(retry_after=0.0, wait=wait),
                sleep=time.sleep,
                monotonic=time.monotonic,
            )
            planned = await make_plan(wanted, Overrides(), ctx, resolved={})
            return planned, await run_apply(planned, ctx) if planned.plan.changes else None

    return asyncio.run(once())
