"""pinrec verify"""

from typing import TYPE_CHECKING

import click

from reconciler.cli.options import DURATION, Options, common, pass_options, service_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.cli.runtime import Run
    from reconciler.core.verified import Target, Verified

#: Seconds between two lines that say how far it is.
_CALM = 10.0

_EPILOG = """\b
Examples:
  pinrec verify                      every pinned pin of ours, and three blocks below each root
  pinrec verify --pins 50            fifty of them, by chance
  pinrec verify 'docs/*' --sample 20 --service pinata
  pinrec verify --json | jq '.pins[] | select(.verdict == "unretrievable")'

\b
Verdicts:
  retrieved      root and blocks below it came from the service, and fit their CIDs
  retrievable    the node got them, from somebody
  announced      a peer that the service names says that it has the root
  unretrievable  it says pinned, and does not give a block, or gives other bytes
  cannot-tell    none of these could be found out
"""


@click.command("verify", epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME-GLOB]...")
@service_option
@click.option(
    "--sample",
    type=click.IntRange(min=0, max=1000),
    default=3,
    show_default=True,
    metavar="N",
    help="How many blocks below each root to look for, picked by chance.",
)
@click.option(
    "--pins", "most", type=click.IntRange(min=1), metavar="N", help="Only N pins, picked by chance."
)
@click.option("--seed", type=int, help="Chance can be played again: the seed stands in the result.")
@click.option(
    "--timeout",
    type=DURATION,
    default="2m",
    show_default=True,
    help="How long one pin may take, by each way. A block that has not come after a quarter of it is asked for "
    "once more, and then counts as missing.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Write the result as JSON (see `pinrec schema verify`)."
)
@common
@pass_options
def command(
    options: Options,
    names: tuple[str, ...],
    services: tuple[str, ...],
    sample: int,
    most: int | None,
    seed: int | None,
    timeout: float,
    as_json: bool,
) -> int:
    """Find out whether what services call pinned can be retrieved from them.

    Takes the root of each pinned pin of ours and a few random blocks below it: from the trustless gateway that the
    manifest names for the service (`verify: {gateway: …}`), or through the node, from the peers that the service names.
    Every block is checked against its CID. Through the node it asks other nodes for the blocks, and they stay in its
    store until it collects its garbage.

    What was found is remembered: a pin found unretrievable is no copy for the guard of last copies until it is
    retrieved, and `plan` and `status` say so. Exits 3 if a pin is unretrievable or a service could not be read.
    Changes nothing at any service. Ctrl-C ends it with what is known by then.
    """
    import secrets
    import time
    from datetime import UTC, datetime

    from msgspec.structs import replace

    from reconciler import __version__
    from reconciler.cli import interrupt, runtime
    from reconciler.cli.declared import check_services, load
    from reconciler.cli.output import emit, say, style
    from reconciler.cli.render import verify as render
    from reconciler.core.errors import UsageError
    from reconciler.core.globs import Globs
    from reconciler.core.verified import Verification

    if timeout <= 0:
        raise click.UsageError("--timeout 0 leaves no time for a block")
    manifest = load(options)
    check_services(services, manifest)
    chosen = services or tuple(manifest.services)
    manifest = replace(manifest, services={name: manifest.services[name] for name in chosen})
    begun = secrets.randbelow(2**31) if seed is None else seed

    async def main(interrupted: interrupt.Interrupt) -> int:
        from reconciler.engine.learning import doubts
        from reconciler.engine.pinned import pinned_pins, some
        from reconciler.engine.verify_pins import with_missing

        started, date = time.monotonic(), datetime.now(UTC)
        async with runtime.opened(options, manifest, interrupted, resolved={}) as run:
            pinned = await pinned_pins(manifest, run.context, services=chosen, names=Globs(names))
            if names and not pinned.targets and not pinned.unread:
                raise UsageError(
                    f"{' '.join(names)}: matches no pinned pin of ours",
                    hint="`pinrec ls` lists what is there",
                )
            targets = with_missing(doubts(run.context, manifest), some(pinned.targets, most, begun))
            with interrupted.graceful():
                found = await _look(run, targets, below=sample, seed=begun, patience=timeout)
            _forget(run, pinned.there)
            if run.context.journal is None:
                say(options, "pinrec: without a journal nothing of this is remembered")
            run.settle()
        result = Verification(
            pinrec=__version__,
            owner=manifest.owner,
            date=f"{date:%Y-%m-%dT%H:%M:%SZ}",
            sample=sample,
            seed=begun,
            pins=_in_order(targets, found),
            pinned=len(pinned.targets),
            unread=pinned.unread,
            interrupted=interrupted.stop.is_set(),
            seconds=round(time.monotonic() - started, 3),
        )
        emit(render.verification(result, as_json=as_json, style=style(options), verbose=options.verbose))
        return result.exit_code

    return interrupt.run(main)


async def _look(
    run: "Run", targets: "Sequence[Target]", *, below: int, seed: int, patience: float
) -> "list[Verified]":
    """What is found, remembered as it is found."""
    from datetime import UTC, datetime

    from reconciler.cli.render.words import plural
    from reconciler.engine.verify_pins import open_verifier, remember, verify_pins

    ctx, manifest = run.context, run.manifest
    found: list[Verified] = []
    due = ctx.monotonic() + _CALM
    async with open_verifier(manifest, ctx, below=below, seed=seed, patience=patience) as verifier:
        async for one in verify_pins(verifier, targets, stop=ctx.stop):
            found.append(one)
            if ctx.journal is not None:
                remember(ctx.journal, manifest.owner, manifest.services[one.service], one, datetime.now(UTC))
            if one.verdict == "unretrievable":
                ctx.progress.note(one.service, f"{one.name} is called pinned and cannot be retrieved")
            if ctx.monotonic() >= due:
                due = ctx.monotonic() + _CALM
                ctx.progress.note("", f"{len(found):,} of {plural(len(targets), 'pin')} looked at")
    return found


def _forget(run: "Run", there: "dict[str, frozenset[str]]") -> None:
    from reconciler.engine.verify_pins import forget_gone

    if run.context.journal is not None:
        for service, ids in there.items():
            forget_gone(run.context.journal, run.manifest.owner, run.manifest.services[service], ids)


def _in_order(targets: "Sequence[Target]", found: "Sequence[Verified]") -> "tuple[Verified, ...]":
    by_id = {(one.service, one.requestid): one for one in found}
    return tuple(by_id[key] for t in targets if (key := (t.service, t.requestid)) in by_id)
