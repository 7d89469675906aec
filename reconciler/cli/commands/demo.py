"""pinrec demo"""

import click

from reconciler.cli.options import Options, common, pass_options

_EPILOG = """\b
Examples:
  pinrec demo
  pinrec demo --dir tour      keeps the manifest and the journal for a look around
"""


@click.command("demo", epilog=_EPILOG)
@click.option(
    "--dir", "directory", metavar="DIR", help="Work in this directory and keep it. [default: a temporary one]"
)
@common
@pass_options
def command(options: Options, directory: str | None) -> int:
    """See the whole cycle in a few seconds: no account, no network, nothing left behind.

    Starts the sandbox, writes a manifest, plans, applies, changes it, prunes; then a small node comes, whose MFS is
    kept pinned. Every command it shows is really run.
    """
    import contextlib
    import tempfile
    from pathlib import Path

    from reconciler.cli.story import tell
    from reconciler.core.errors import UsageError

    with contextlib.ExitStack() as stack:
        if directory is None:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pinrec-demo-")))
        else:
            place = Path(directory)
            if (place / "pinrec.yaml").exists():
                raise UsageError(f"{place} holds a pinrec.yaml already", hint="name another directory")
            place.mkdir(parents=True, exist_ok=True)
        return tell(place, color=options.color, kept=directory is not None)
