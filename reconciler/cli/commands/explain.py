"""pinrec explain"""

from typing import Literal

import click

from reconciler.cli.options import Options, common, formats, pass_options

_EPILOG = """\b
Examples:
  pinrec explain website
  pinrec explain website --service pinata
  pinrec explain bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi    an unnamed pin
"""


@click.command("explain", epilog=_EPILOG)
@click.argument("key", metavar="NAME")
@click.option("--service", metavar="NAME", help="Only at this service.")
@formats("text", "json")
@common
@pass_options
def command(options: Options, key: str, service: str | None, form: Literal["text", "json"]) -> int:
    """Tell the whole story of one pin: what is wanted, what is there, whose it is, and what was decided why.

    NAME is the pin's name in the manifest, or its CID if it has none; SERVICE/NAME means one service. Changes nothing.
    """
    from reconciler.cli import interrupt, runtime
    from reconciler.cli.declared import check_services, load
    from reconciler.cli.output import emit, style
    from reconciler.cli.render import explain as render
    from reconciler.core.errors import EXIT_OK, UsageError
    from reconciler.core.plan import Overrides

    manifest = load(options)
    check_services([service] if service else [], manifest)
    head, _, tail = key.partition("/")
    if service is None and head in manifest.services and not any(e.name == key for e in manifest.entries):
        service, key = head, tail

    async def main(interrupted: interrupt.Interrupt) -> int:
        from reconciler.engine import cycle

        async with runtime.opened(options, manifest, interrupted) as run:
            planned = await run.plan(Overrides())
        names = [service] if service else list(manifest.services)
        told = [cycle.explain(planned, key, name) for name in names]
        if not any(e.desired or e.remotes or e.actions for e in told):
            raise UsageError(
                f"nothing is known of {key}: no service holds it for us and the manifest does not name it",
                hint="`pinrec ls --name NAME` looks for pins of others, too",
            )
        emit(render.explanations(told, form, style=style(options)))
        return EXIT_OK

    return interrupt.run(main)
