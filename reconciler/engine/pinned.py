"""The pins that `verify` may look at: those of ours that services call pinned, each with its delegates."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from reconciler.core.errors import ServiceError
from reconciler.core.globs import Globs
from reconciler.core.manifest import Manifest
from reconciler.core.model import PINNED, PinStatus
from reconciler.core.ownership import Rules, record
from reconciler.core.verified import Target, Unread
from reconciler.engine.context import Context
from reconciler.engine.dag_sample import chance_of
from reconciler.engine.verify_pins import target_of
from reconciler.services.listing import sweep, workers

#: Delegates of one pin that are kept. The API allows 20.
MOST_DELEGATES: Final = 20


class Pinned(Struct, frozen=True, kw_only=True):
    """`targets` by service and name. `there`: of services that were read whole, the ids of all pins of ours."""

    targets: tuple[Target, ...]
    there: dict[str, frozenset[str]]
    unread: tuple[Unread, ...] = ()


async def pinned_pins(manifest: Manifest, ctx: Context, *, services: Sequence[str], names: Globs) -> Pinned:
    """All pinned pins of ours at `services` whose name matches; without `names` all.

    Raises nothing for a service that cannot be read: it is `unread`.
    """
    rules = Rules.of(manifest)
    targets: list[Target] = []
    there: dict[str, frozenset[str]] = {}
    unread: list[Unread] = []
    for service in services:
        found: list[Target] = []
        try:
            ids, why = await _read(manifest, ctx, rules.at(service), service, names, found)
        except ServiceError as error:
            unread.append(Unread(service=service, why=error.message.removeprefix(f"{service}: ")))
            continue
        if why:
            unread.append(Unread(service=service, why=f"not the whole listing: {why}"))
        else:
            there[service] = frozenset(ids)
        targets += sorted(found, key=lambda t: (t.name, t.requestid))
    return Pinned(targets=tuple(targets), there=there, unread=tuple(unread))


async def _read(
    manifest: Manifest, ctx: Context, rules: Rules, name: str, names: Globs, found: list[Target]
) -> tuple[set[str], str]:
    service, client = manifest.services[name], ctx.services[name]
    #: Most pins of a service name the same peers.
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    ids: set[str] = set()
    seen = 0

    def sink(pins: Sequence[PinStatus]) -> None:
        nonlocal seen
        seen += len(pins)
        for status in pins:
            pin = record(rules, status)
            if not pin.mine:
                continue
            ids.add(pin.requestid)
            if pin.status == PINNED and (not names or names.match(pin.name) is not None):
                delegates = tuple((status.delegates or ())[:MOST_DELEGATES])
                found.append(target_of(name, pin, known.setdefault(delegates, delegates)))
        ctx.progress.listing(name, seen, done=False)

    try:
        swept = await sweep(client, service.profile, sink, concurrency=workers(service.limits))
    finally:
        ctx.progress.listing(name, seen, done=True)
    return ids, "" if swept.complete else swept.why


def some(targets: Sequence[Target], most: int | None, seed: int) -> tuple[Target, ...]:
    """`most` of the targets, by chance, in their order; all of them if there are no more."""
    if most is None or most >= len(targets):
        return tuple(targets)
    return tuple(targets[i] for i in sorted(chance_of(seed).sample(range(len(targets)), most)))
