"""pinrec ls"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from reconciler.cli.options import Options, common, formats, pass_options, service_option

if TYPE_CHECKING:
    from reconciler.core.model import PinStatus
    from reconciler.services.protocol import Match

T = TypeVar("T")

_EPILOG = """\b
Examples:
  pinrec ls
  pinrec ls --service pinata --status failed --status queued
  pinrec ls --name docs/ --match partial --format ndjson | jq -r .pin.cid
  pinrec ls --meta pinrec=acme-site --after 2027-01-01T00:00:00Z
"""


@click.command("ls", epilog=_EPILOG)
@service_option
@click.option("--cid", "cids", multiple=True, metavar="CID", help="Pins of this CID, in whatever spelling.")
@click.option("--name", metavar="TEXT", help="Pins of this name, as listed.")
@click.option(
    "--match",
    type=click.Choice(("exact", "iexact", "partial", "ipartial")),
    default="exact",
    show_default=True,
    help="How --name is compared.",
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(("queued", "pinning", "pinned", "failed")),
    help="Pins in this status. [default: all four]",
)
@click.option("--before", metavar="TIME", help="Created before, as 2027-01-31T12:00:00Z.")
@click.option("--after", metavar="TIME", help="Created after, as 2027-01-31T12:00:00Z.")
@click.option("--meta", multiple=True, metavar="KEY=VALUE", help="Pins with this in their meta.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N pins a service.")
@formats("table", "json", "ndjson", default="table")
@common
@pass_options
def command(
    options: Options,
    services: tuple[str, ...],
    cids: tuple[str, ...],
    name: str | None,
    match: "Match",
    statuses: tuple[str, ...],
    before: str | None,
    after: str | None,
    meta: tuple[str, ...],
    limit: int | None,
    form: Literal["table", "json", "ndjson"],
) -> int:
    """List live pins of the services, ours and others', as they are now.

    The table shows service, status, created, CID and name; json and ndjson hold one PinStatus of the API each, with the
    service beside it, and ndjson is written page by page as it comes.
    """
    from msgspec.structs import replace

    from reconciler.cli import interrupt, runtime
    from reconciler.cli.declared import check_services, load
    from reconciler.cli.failure import tell
    from reconciler.cli.live import Told, Wanted, live
    from reconciler.cli.output import emit, say, style
    from reconciler.cli.render.escape import clip, terminal
    from reconciler.cli.render.live import LiveRows
    from reconciler.core.cid import parse, spellings
    from reconciler.core.errors import EXIT_OK, EXIT_PARTIAL, ServiceError
    from reconciler.core.instant import parse_instant
    from reconciler.core.model import STATUSES

    parsed = [_valid("--cid", parse, cid) for cid in cids]
    wanted = Wanted(
        cids=frozenset(cid.canonical for cid in parsed),
        cid_texts=tuple(dict.fromkeys(text for cid in parsed for text in spellings(cid))),
        name=name,
        match=match,
        statuses=statuses or STATUSES,
        before=_valid("--before", parse_instant, before) if before else None,
        after=_valid("--after", parse_instant, after) if after else None,
        meta=_pairs(meta),
        limit=limit,
    )
    manifest = load(options)
    check_services(services, manifest)
    chosen = services or tuple(manifest.services)
    # Looking needs the keys of what is looked at, and no CID that a build is still to leave somewhere.
    manifest = replace(manifest, services={name: manifest.services[name] for name in chosen})

    rows = LiveRows(form, chosen, style=style(options), verbose=options.verbose)

    def show(service: str) -> "Callable[[Sequence[PinStatus]], bool]":
        return lambda pins: emit(rows.page(service, pins))

    async def main(interrupted: interrupt.Interrupt) -> int:
        code = EXIT_OK
        async with runtime.opened(options, manifest, interrupted, resolved={}) as run:
            emit(rows.begin())
            for service in chosen:
                try:
                    told = await live(
                        run.context.services[service],
                        manifest.services[service].profile,
                        wanted,
                        show(service),
                    )
                except* ServiceError as error:
                    tell(error, {})
                    told, code = Told(shown=0), EXIT_PARTIAL
                if told.why:
                    say(options, f"pinrec: {service}: not the whole listing: {terminal(clip(told.why))}")
                    code = EXIT_PARTIAL
        emit(rows.end())
        return code

    return interrupt.run(main)


def _valid(option: str, read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise click.UsageError(f"{option} {text}: {error}") from error


def _pairs(meta: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in meta:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--meta {text}: KEY=VALUE is wanted")
        pairs[key] = value
    return pairs
