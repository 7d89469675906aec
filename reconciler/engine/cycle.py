"""The whole product in a few lines: desire, observe, diff and guard; then apply and wait (`engine.apply`)."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from msgspec.structs import replace

from reconciler import __version__
from reconciler.core.desire import Desire, desire
from reconciler.core.digest import digest
from reconciler.core.globs import escape
from reconciler.core.learned import with_learned
from reconciler.core.local import LOCAL, with_local
from reconciler.core.manifest import Adopt, Manifest
from reconciler.core.model import Listing
from reconciler.core.plan import Delete, Keep, Overrides
from reconciler.core.planning import Planned, Stamp, explain
from reconciler.core.planning import make_plan as plan_of
from reconciler.core.pruning import clock_is_off, still_leaving
from reconciler.core.question import Facts
from reconciler.engine.apply import run_apply
from reconciler.engine.context import Context, Settings
from reconciler.engine.facts import gather, said, sizes, unseen
from reconciler.engine.learning import doubts
from reconciler.engine.learning import learned as learned_of
from reconciler.engine.local import unless_idle
from reconciler.engine.observe import observe
from reconciler.engine.paths import lead
from reconciler.engine.saved import load_saved, made_at
from reconciler.engine.sizing import with_sizes
from reconciler.engine.sources import resolve_cids

__all__ = [
    "Context",
    "Planned",
    "Settings",
    "explain",
    "gather",
    "load_saved",
    "made_at",
    "make_plan",
    "resolve_cids",
    "run_apply",
]


async def make_plan(
    manifest: Manifest,
    overrides: Overrides,
    ctx: Context,
    *,
    resolved: Mapping[str, str],
    facts: Facts | None = None,
    listings: Mapping[str, Listing] | None = None,
    named: datetime | None = None,
) -> Planned:
    """What differs between the manifest and the world, guarded, and nothing changed.

    `facts` are used instead of asking the node, and `listings` instead of observing the services they are of:
    they are evidence, and whatever a change rests on is read again before it. `named` is the time that names of
    new roots bear, that of a saved plan, or else now.

    Raises UsageError for a service or target that is not there, ManifestError if references turn out wrong.
    A service that cannot be read is no error: it is unknown, and the plan says so.
    """
    with _without_gc():
        if facts is None:
            facts = Facts() if overrides.destroy else await gather(manifest, ctx)
        if LOCAL in ctx.services:
            manifest = with_local(manifest)
        learned = _as_learned(manifest, ctx)
        planned = await _planned(learned, overrides, ctx, resolved, facts, listings or {}, named)
    if ctx.node is not None:
        planned = await with_sizes(planned, ctx)
    _remember_leaving(planned, ctx)
    if notes := (*unseen(facts), *_no_longer_declared(manifest, ctx)):
        planned = replace(planned, plan=replace(planned.plan, notes=(*planned.plan.notes, *notes)))
    return planned


async def _planned(
    manifest: Manifest,
    overrides: Overrides,
    ctx: Context,
    resolved: Mapping[str, str],
    facts: Facts,
    listings: Mapping[str, Listing],
    named: datetime | None,
) -> Planned:
    number = digest(manifest, resolved)
    if overrides.destroy:
        manifest = replace(manifest, entries=[], sources=(), policies={})
    led = await lead(manifest, ctx, resolved=resolved, facts=facts)
    wanted = desire(
        manifest, now=ctx.now, resolved=led.cids, policies=said(manifest, facts), nowhere=led.nowhere
    )
    manifest = _taking_over(manifest, wanted)
    snapshot = await observe(manifest, wanted, ctx, listings)
    manifest, wanted, snapshot = unless_idle(manifest, wanted, snapshot)
    stamp = Stamp(
        pinrec=__version__,
        id=ctx.new_id(),
        # To the microsecond: a run that ended in the same second has not "changed these keys since".
        created=f"{ctx.now:%Y-%m-%dT%H:%M:%S.%fZ}",
        digest=number,
        resolved=dict(led.cids),
        now=ctx.now,
        leaving=ctx.journal.leaving(manifest.owner) if ctx.journal is not None else None,
        sizes=await sizes(wanted, snapshot, ctx),
        named=named,
        doubts=doubts(ctx, manifest),
    )
    return plan_of(manifest, wanted, snapshot, overrides, stamp)


def _taking_over(manifest: Manifest, wanted: Desire) -> Manifest:
    """The pin that Kubo's own MFS policy left under the name of one of ours is adopted: a replace, no second pin."""
    names = {w.name for wants in wanted.wants.values() for w in wants if w.takeover}
    adopt = tuple(Adopt(match=escape(name)) for name in sorted(names))
    return replace(manifest, adopt=(*manifest.adopt, *adopt)) if adopt else manifest


@contextmanager
def _without_gc() -> Iterator[None]:
    """The collector is off: a plan is a million small objects without a cycle, all of which stay, and going through
    them again and again takes half as long as making them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _as_learned(manifest: Manifest, ctx: Context) -> Manifest:
    """What earlier runs found out about services, where a journal remembers it."""
    if ctx.journal is None:
        return manifest
    learned = {
        name: with_learned(service, learned_of(ctx, service)) for name, service in manifest.services.items()
    }
    return replace(manifest, services=learned)


def _remember_leaving(planned: Planned, ctx: Context) -> None:
    """A grace counts from the first run that finds a name unwanted; wanted again, it is forgotten."""
    if ctx.journal is None or not planned.manifest.guards.delete_grace or planned.plan.overrides.destroy:
        return
    unwanted = {
        a.key
        for a in planned.plan.actions
        if (isinstance(a, Keep) and a.reason == "grace") or (isinstance(a, Delete) and a.leaves)
    }
    # Where our clock is a day off, nothing is begun and nothing ends.
    listings = {s: at for s, at in planned.snapshot.listings.items() if at.complete and not clock_is_off(at)}
    unwanted = {(s, n) for s, n in unwanted if s in listings}
    unknown = planned.desire.unknown
    still = {(s, n) for s in listings for n in still_leaving(planned.diffs[s], unknown)}
    ctx.journal.note_leaving(planned.manifest.owner, listings, unwanted, still - unwanted, ctx.now)


def _no_longer_declared(manifest: Manifest, ctx: Context) -> tuple[str, ...]:
    """A service that left the manifest: nothing is deleted there, and nobody looks any more."""
    if ctx.journal is None:
        return ()
    known = ctx.journal.services_known(manifest.owner)
    return tuple(
        f"{service} is no longer in {manifest.path}; on {seen.at:%Y-%m-%d} it still held "
        f"{seen.pins} pin{'s' * (seen.pins != 1)} of ours, "
        "which nothing keeps or deletes now"
        for service, seen in sorted(known.items())
        if service not in manifest.services
    )
