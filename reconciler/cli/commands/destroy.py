"""pinrec destroy"""

from typing import TYPE_CHECKING, Literal

import click

from reconciler.cli.options import (
    Options,
    common,
    events_option,
    formats,
    overrides,
    pass_options,
    service_option,
    waiting,
)

if TYPE_CHECKING:
    from reconciler.cli.render import Format

_EPILOG = """\b
Examples:
  pinrec destroy                       shows everything that is ours, asks for the owner's name
  pinrec destroy --service pinata      only there
  pinrec destroy --yes                 asks nothing; protected pins still stay
"""


@click.command("destroy", epilog=_EPILOG)
@click.option("--yes", "-y", is_flag=True, help="Do not ask. Protected pins stay all the same.")
@formats("text", "json", "markdown", "github")
@service_option
@waiting
@click.option("--full", is_flag=True, help="Show every line on a terminal, too.")
@events_option
@common
@pass_options
def command(
    options: Options,
    yes: bool,
    form: "Format",
    services: tuple[str, ...],
    wait: Literal["pinned", "none"],
    timeout: float,
    lock_timeout: float,
    full: bool,
) -> int:
    """Remove everything that is ours from the services.

    Ours is what carries the mark of the manifest's owner. What others have pinned, held pins too, stays.
    """
    from reconciler.cli import applying
    from reconciler.cli.declared import load

    manifest = load(options)
    return applying.run_apply(
        options,
        manifest,
        overrides(services=services, destroy=True),
        form=form,
        yes=yes,
        wait=wait,
        timeout=timeout,
        lock_timeout=lock_timeout,
        full=full,
    )
