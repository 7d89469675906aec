"""The same tasks as in reference.py, done by pinrec: `python bench/ours.py TASK ARGUMENT...` prints JSON."""

import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import task
import world


def load(path: str) -> task.Done:
    """The manifest read, validated, and every entry built."""
    from reconciler.manifest import load_manifest

    began = time.perf_counter()
    manifest = load_manifest(path)
    return task.Done(seconds=time.perf_counter() - began, count=len(manifest.entries))


def listing(endpoint: str, concurrency: str) -> task.Done:
    """A complete listing, as the engine makes it."""
    from reconciler.core.manifest import Limits, SecretRef, Service
    from reconciler.core.model import PinStatus
    from reconciler.core.profile import PROFILES
    from reconciler.services.client import open_services
    from reconciler.services.listing import sweep

    spec = Service(
        name=world.SERVICE,
        endpoint=endpoint,
        key=SecretRef(kind="env", value=(world.KEY_VARIABLE,)),
        profile=PROFILES["spec"],
        limits=Limits(concurrency=int(concurrency)),
    )
    count = 0

    def sink(pins: Sequence[PinStatus]) -> None:
        nonlocal count
        count += len(pins)

    async def main() -> task.Done:
        environ = {world.KEY_VARIABLE: "token-0"}
        async with open_services({spec.name: spec}, environ=environ) as services:
            began = time.perf_counter()
            swept = await sweep(services[spec.name], spec.profile, sink, concurrency=int(concurrency))
            seconds = time.perf_counter() - began
        assert swept.complete, swept.why
        return task.Done(seconds=seconds, count=count, requests=swept.requests)

    return asyncio.run(main())


def adds(path: str, token: str, journal: str = "journal") -> task.Done:
    """An apply of a manifest full of adds: intents journalled, answers checked, everything read once more."""
    from reconciler.core.plan import Overrides
    from reconciler.engine.context import Context
    from reconciler.engine.cycle import make_plan, run_apply
    from reconciler.engine.journal import Journal
    from reconciler.manifest import load_manifest
    from reconciler.services.client import open_services

    manifest = load_manifest(path)

    async def main(state: str) -> task.Done:
        environ = {world.KEY_VARIABLE: token}
        kept = Journal.open(Path(state)) if journal == "journal" else None
        try:
            async with open_services(manifest.services, environ=environ) as services:
                ctx = Context(
                    now=datetime.now(UTC),
                    new_id=lambda: secrets.token_hex(8),
                    environ=environ,
                    services=services,
                    journal=kept,
                )
                planned = await make_plan(manifest, Overrides(), ctx, resolved={})
                began = time.perf_counter()
                report = await run_apply(planned, ctx)
                seconds = time.perf_counter() - began
        finally:
            if kept is not None:
                kept.close()
        done = report.count("done")
        assert done == len(manifest.entries), report.services
        assert report.exit_code(planned.plan) == 0, report.services
        return task.Done(seconds=seconds, count=done, requests=sum(s.requests for s in report.services))

    with tempfile.TemporaryDirectory() as state:
        if profile := os.environ.get("PINREC_BENCH_PROFILE"):
            import cProfile

            profiler = cProfile.Profile()
            done = profiler.runcall(asyncio.run, main(state))
            profiler.dump_stats(profile)
            return done
        return asyncio.run(main(state))


def pressure(path: str, endpoint: str) -> task.Done:
    """`adds` at a service with a limit, as the service counts it: from the first request to the last add."""
    from urllib.request import urlopen

    done = adds(path, "token-0")
    with urlopen(f"{endpoint}/figures") as answer:
        told = json.load(answer)
    return task.Done(count=done.count, **told)


def imports(folder: str, api_file: str) -> task.Done:
    """A folder that was planned, brought to a node and pinned there: read, laid out, sent, and checked."""
    from reconciler.core.manifest import Node
    from reconciler.core.question import FolderOf
    from reconciler.engine import folders
    from reconciler.engine.context import Context
    from reconciler.engine.importing import Source, import_folder
    from reconciler.node.open import open_node

    question = FolderOf(path=folder)
    planned = folders.build(question)

    async def main() -> task.Done:
        async with open_node(Node(api_file=api_file), environ={}) as node:
            ctx = Context(now=datetime.now(UTC), services={}, new_id=secrets.token_hex, node=node)
            source = Source(cid=planned.cid, question=question, origin="bench", name="pinrec/bench/site")
            began = time.perf_counter()
            why = await import_folder(source, ctx)
            assert not why, why
            return task.Done(seconds=time.perf_counter() - began, count=planned.size)

    return asyncio.run(main())


if __name__ == "__main__":
    task.run((load, listing, adds, pressure, imports), sys.argv[1:])
