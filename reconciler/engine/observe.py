"""Verb 2, observe: what the services hold, of what concerns this manifest."""

import asyncio
from collections.abc import Mapping, Sequence

from reconciler.core.desire import Desire
from reconciler.core.errors import ServiceError
from reconciler.core.manifest import Manifest, Service
from reconciler.core.model import META_OWNER, Desired, Listing, Owner, PinStatus, Remote, Snapshot
from reconciler.core.ownership import Rules, classifier
from reconciler.engine.context import Context
from reconciler.engine.learning import learn
from reconciler.services.listing import sweep, workers


async def observe(
    manifest: Manifest, desire: Desire, ctx: Context, listings: Mapping[str, Listing] | None = None
) -> Snapshot:
    """List every declared service, each on its own: one that is down hides and delays no other.

    Services in `listings` are taken as they were seen there.
    """
    seen = dict(listings or {})
    rules = Rules.of(manifest)
    tasks = {
        name: asyncio.create_task(
            _listing(service, manifest.owner, rules.at(name), _relevant(desire, name), ctx)
        )
        for name, service in manifest.services.items()
        if name not in seen
    }
    try:
        found = {name: await task for name, task in tasks.items()}
        return Snapshot(listings={name: seen.get(name) or found[name] for name in manifest.services})
    finally:
        for task in tasks.values():
            task.cancel()


def _relevant(desire: Desire, service: str) -> Mapping[str, Desired]:
    wanted, expired = desire.by_service[service], desire.expired[service]
    return {**expired, **wanted} if expired else wanted


async def _listing(
    service: Service, owner: str, rules: Rules, wanted: Mapping[str, Desired], ctx: Context
) -> Listing:
    client = ctx.services[service.name]
    remotes: list[Remote] = []
    seen = 0
    classify = classifier(rules, wanted, remotes.append)

    def sink(pins: Sequence[PinStatus]) -> None:
        nonlocal seen
        seen += len(pins)
        for pin in pins:
            classify(pin)
        ctx.progress.listing(service.name, seen, done=False)

    before = client.requests
    try:
        swept = await sweep(client, service.profile, sink, concurrency=workers(service.limits))
    except ServiceError as error:
        ctx.progress.listing(service.name, seen, done=True)
        return Listing(
            service=service.name,
            reachable=False,
            why=error.message.removeprefix(f"{service.name}: "),
            hint=error.hint,
            requests=client.requests - before,
        )
    ctx.progress.listing(service.name, seen, done=True)
    for contradiction in swept.against:
        tell = f"against the profile, {contradiction}: {contradiction.consequence} here from now on"
        learn(ctx, service, contradiction.fact, contradiction.seen, tell=tell)
    mark_seen = any(r.owner is Owner.OURS and META_OWNER in r.meta for r in remotes)
    if ctx.journal is not None and swept.complete:
        ours = sum(r.owner is Owner.OURS for r in remotes)
        ctx.journal.saw(owner, service.name, ours)
    return Listing(
        service=service.name,
        remotes=tuple(remotes),
        complete=swept.complete,
        why=swept.why,
        absent=swept.absent,
        seen=seen,
        requests=client.requests - before,
        clock_skew=swept.skew,
        mark_seen=mark_seen,
        against=swept.against,
    )
