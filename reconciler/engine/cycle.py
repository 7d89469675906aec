"""The whole product in a few lines: desire, observe, diff and guard; then apply and wait (`engine.apply`)."""

from collections.abc import Mapping

from msgspec.structs import replace

from reconciler import __version__
from reconciler.core.desire import desire
from reconciler.core.digest import digest
from reconciler.core.manifest import Manifest
from reconciler.core.plan import Overrides
from reconciler.core.planning import Planned, Stamp, explain
from reconciler.core.planning import make_plan as plan_of
from reconciler.engine.apply import run_apply
from reconciler.engine.context import Context, Settings
from reconciler.engine.observe import observe
from reconciler.engine.saved import load_saved
from reconciler.engine.sources import resolve_cids

__all__ = [
    "Context",
    "Planned",
    "Settings",
    "explain",
    "load_saved",
    "make_plan",
    "resolve_cids",
    "run_apply",
]


async def make_plan(
    manifest: Manifest, overrides: Overrides, ctx: Context, *, resolved: Mapping[str, str]
) -> Planned:
    """What differs between the manifest and the world, guarded, and nothing changed.

    Raises UsageError for a service or target that is not there, ManifestError if references turn out wrong.
    A service that cannot be read is no error: it is unknown, and the plan says so.
    """
    manifest = _as_learned(manifest, ctx)
    if overrides.destroy:
        manifest = replace(manifest, entries=[], sources=())
    wanted = desire(manifest, now=ctx.now, resolved=resolved)
    snapshot = await observe(manifest, wanted, ctx)
    stamp = Stamp(
        pinrec=__version__,
        id=ctx.new_id(),
        # To the microsecond: a run that ended in the same second has not "changed these keys since".
        created=f"{ctx.now:%Y-%m-%dT%H:%M:%S.%fZ}",
        digest=digest(manifest, resolved),
        resolved=dict(resolved),
    )
    planned = plan_of(manifest, wanted, snapshot, overrides, stamp)
    if missing := _no_longer_declared(manifest, ctx):
        planned = replace(planned, plan=replace(planned.plan, notes=(*planned.plan.notes, *missing)))
    return planned


def _as_learned(manifest: Manifest, ctx: Context) -> Manifest:
    """What earlier runs found out about services, where a journal remembers it."""
    if ctx.journal is None:
        return manifest
    services = dict(manifest.services)
    for name, service in services.items():
        if ctx.journal.learned(name).get("meta") == "altered" and service.profile.meta == "kept":
            # Marks come back, declared meta does not: compare it no longer.
            services[name] = replace(service, profile=replace(service.profile, meta="unknown"))
    return replace(manifest, services=services)


def _no_longer_declared(manifest: Manifest, ctx: Context) -> tuple[str, ...]:
    """A service that left the manifest: nothing is deleted there, and nobody looks any more."""
    if ctx.journal is None:
        return ()
    known = ctx.journal.services_known(manifest.owner)
    return tuple(
        f"{service} is no longer in {manifest.path}; it still held {seen.pins} pins of ours on {seen.at:%Y-%m-%d}, "
        "which nothing keeps or deletes now"
        for service, seen in sorted(known.items())
        if service not in manifest.services
    )
