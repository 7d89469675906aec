"""pinrec status"""

from typing import Literal

import click

from reconciler.cli.options import Options, common, formats, pass_options, service_option

_EPILOG = """\b
Examples:
  pinrec status
  pinrec status --format json | jq '.services[] | select(.drift > 0)'
"""


@click.command("status", epilog=_EPILOG)
@service_option
@formats("table", "json", default="table")
@common
@pass_options
def command(options: Options, services: tuple[str, ...], form: Literal["table", "json"]) -> int:
    """Show how each service stands: what of ours is pinned, waiting or failed, and how far it is from the manifest.

    Exits 3 if a service cannot be reached, or a pin of ours has failed or was found unretrievable by `pinrec verify`, 4
    if something is blocked. Below the table stands what a loop (`pinrec run`) is at. Changes nothing.
    """
    from reconciler.cli import interrupt, runtime
    from reconciler.cli.declared import check_services, load
    from reconciler.cli.output import emit, style
    from reconciler.cli.render import status as render
    from reconciler.cli.standing import standing, with_loop
    from reconciler.core.plan import Overrides

    manifest = load(options)
    check_services(services, manifest)

    async def main(interrupted: interrupt.Interrupt) -> int:
        async with runtime.opened(options, manifest, interrupted) as run:
            planned = await run.plan(Overrides())
            journal = run.context.journal
            runs = journal.runs(manifest.owner, 1) if journal else []
        found = with_loop(standing(planned, runs[0] if runs else None, services), options.state_dir)
        emit(render.standing(found, form, style=style(options)))
        return found.exit_code

    return interrupt.run(main)
