"""What is found out about services and their pins while at work: remembered where there is a journal."""

from collections.abc import Mapping

from reconciler.core.learned import place_of
from reconciler.core.manifest import Manifest, Service
from reconciler.core.verified import Doubts
from reconciler.engine.context import Context


def learned(ctx: Context, service: Service) -> Mapping[str, str]:
    """What earlier runs found out. Nothing without a journal."""
    if ctx.journal is None:
        return {}
    return ctx.journal.learned(service.name, place=place_of(service.endpoint))


def learn(ctx: Context, service: Service, fact: str, value: str, *, tell: str = "") -> None:
    """Remember a fact of `core.learned`; `tell` is what a person should know now."""
    if tell:
        ctx.progress.note(service.name, tell)
    if ctx.journal is not None:
        ctx.journal.learn(service.name, fact, value, place=place_of(service.endpoint))


def doubts(ctx: Context, manifest: Manifest) -> Doubts:
    """Pins that `verify` found unretrievable and did not retrieve since. Nothing without a journal."""
    journal = ctx.journal
    if journal is None:
        return Doubts()
    return Doubts(
        doubt
        for service in manifest.services.values()
        for doubt in journal.doubts(manifest.owner, service.name, place=place_of(service.endpoint))
    )
