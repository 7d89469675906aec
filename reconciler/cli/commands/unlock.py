"""pinrec unlock"""

import click

from reconciler.cli.options import Options, common, pass_options

_EPILOG = """\b
Examples:
  pinrec unlock            shows who holds the lock, and asks
  pinrec unlock --yes      removes it without asking
"""


@click.command("unlock", epilog=_EPILOG)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@common
@pass_options
def command(options: Options, yes: bool) -> int:
    """Show who holds the lock, and remove it.

    A lock whose holder has died is taken over by itself; this is for one on a shared directory whose host is gone. If
    its holder is alive after all, two runs may work at once: each still reads again before it deletes.
    """
    import sys

    from reconciler.cli.ask import ask
    from reconciler.cli.declared import load
    from reconciler.cli.render.escape import terminal
    from reconciler.core.errors import EXIT_ERROR, EXIT_OK, UsageError
    from reconciler.engine.lock import Lock

    manifest = load(options)
    lock = Lock(options.state_dir, manifest.owner)
    holder = lock.holder()
    if holder is None:
        click.echo(f"Nobody holds the lock of {manifest.owner}.")
        return EXIT_OK
    click.echo(f"The lock of {manifest.owner} is held by {terminal(str(holder))}")
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("there is no terminal to ask on", hint="give --yes")
        if ask("Remove it? [y/N] ").lower() not in ("y", "yes"):
            click.echo("Left as it is.", err=True)
            return EXIT_ERROR
    lock.remove()
    click.echo("Removed.")
    return EXIT_OK
