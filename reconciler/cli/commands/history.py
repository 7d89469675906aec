"""pinrec history"""

from typing import Literal

import click

from reconciler.cli.options import Options, common, formats, pass_options

_EPILOG = """\b
Examples:
  pinrec history                         the latest runs
  pinrec history 20270630-120000-a1b2c3  every request of one run, and what became of it
  pinrec history --all --format json     of every owner on this machine
"""


@click.command("history", epilog=_EPILOG)
@click.argument("run", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many runs.")
@click.option("--all", "everyone", is_flag=True, help="Runs of every owner, not only the manifest's.")
@formats("table", "json", default="table")
@common
@pass_options
def command(
    options: Options, run: str | None, limit: int, everyone: bool, form: Literal["table", "json"]
) -> int:
    """Show past runs from the journal of this machine; with RUN, what was asked of which service.

    The journal is for people. What is pinned or deleted does not depend on it; how soon a failure is tried again does,
    and since when a name has been leaving (guards.deleteGrace), and what was found out about services.
    """
    from reconciler.cli.declared import load
    from reconciler.cli.output import emit, style
    from reconciler.cli.render import history as render
    from reconciler.core.errors import UsageError
    from reconciler.engine.journal import FILE_NAME, Journal

    owner = None if everyone or run else load(options).owner
    if not (options.state_dir / FILE_NAME).exists():
        # Looking must not create a journal.
        if run:
            raise UsageError(f"there is no run {run}: {options.state_dir} holds no journal")
        emit(render.runs((), form, style=style(options)))
        return 0
    with Journal.open(options.state_dir) as journal:
        if run is None:
            emit(render.runs(journal.runs(owner, limit), form, style=style(options)))
            return 0
        found = journal.run(run)
    if found is None:
        raise UsageError(f"there is no run {run}", hint="`pinrec history` lists them")
    emit(render.one(*found, form, style=style(options), verbose=options.verbose))
    return 0
