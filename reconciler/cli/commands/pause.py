"""pinrec pause"""

import click

from reconciler.cli.options import Options, common, pass_options, service_option

_EPILOG = """\b
Examples:
  pinrec pause                      the running loop stops to ask and to change anything
  pinrec pause --service pinata     at this service only
  pinrec resume                     it goes on
"""


@click.command("pause", epilog=_EPILOG)
@service_option
@common
@pass_options
def command(options: Options, services: tuple[str, ...]) -> int:
    """Have the loop leave the services alone until `pinrec resume`.

    Holds for loops of this manifest on this machine, also for one that is started later. `pinrec apply` works as ever.
    """
    from reconciler.cli.pausing import change

    return change(options, services, pause=True)
