"""pinrec version"""

import click

from reconciler.cli.options import Options, common, pass_options

_EPILOG = """\b
Examples:
  pinrec version
  pinrec version -v        with Python and platform, for a bug report
"""


@click.command("version", epilog=_EPILOG)
@common
@pass_options
def command(options: Options) -> int:
    """Print the version."""
    from reconciler import __version__

    line = f"pinrec {__version__}"
    if options.verbose:
        import platform

        line += f" (Python {platform.python_version()}, {platform.system()} {platform.machine()})"
    click.echo(line)
    return 0
