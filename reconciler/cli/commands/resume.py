"""pinrec resume"""

import click

from reconciler.cli.options import Options, common, pass_options, service_option

_EPILOG = """\b
Examples:
  pinrec resume                     everywhere
  pinrec resume --service pinata    at this service
"""


@click.command("resume", epilog=_EPILOG)
@service_option
@common
@pass_options
def command(options: Options, services: tuple[str, ...]) -> int:
    """Have the loop go on after `pinrec pause`. It looks at everything anew."""
    from reconciler.cli.pausing import change

    return change(options, services, pause=False)
