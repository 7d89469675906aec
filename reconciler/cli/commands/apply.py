"""pinrec apply"""

from typing import TYPE_CHECKING, Any, Literal

import click

from reconciler.cli.options import (
    Options,
    allowances,
    common,
    events_option,
    formats,
    narrowing,
    overrides,
    pass_options,
    waiting,
)

if TYPE_CHECKING:
    from reconciler.cli.render import Format

_EPILOG = """\b
Examples:
  pinrec apply                         plans, shows, asks
  pinrec apply --yes                   asks nothing; guards still hold
  pinrec apply plan.json               exactly what `plan --out plan.json` showed
  pinrec apply --wait none             do not wait until pins are pinned
  pinrec apply --allow-deletes 12      lift guard `deletes` for 12 names
"""


@click.command("apply", epilog=_EPILOG)
@click.argument("saved", type=click.Path(), metavar="[PLAN.json]", required=False)
@click.option("--yes", "-y", is_flag=True, help="Do not ask. Lifts no guard.")
@formats("text", "json", "markdown", "github")
@narrowing
@allowances
@waiting
@click.option("--strict", is_flag=True, help="Exit 4 if a wanted pin is only held: there, and not ours.")
@click.option("--full", is_flag=True, help="Show every line on a terminal, too.")
@events_option
@common
@pass_options
def command(
    options: Options,
    /,
    saved: str | None,
    yes: bool,
    form: "Format",
    wait: Literal["pinned", "none"],
    timeout: float,
    lock_timeout: float,
    strict: bool,
    full: bool,
    **narrowed: Any,
) -> int:
    """Make the services hold what the manifest says, and wait until it is true.

    Plans anew, shows the plan, and asks. Without a terminal to ask on it refuses, unless --yes or a saved plan is
    given. A saved plan is refused if what it rests on has changed. With --yes and --quiet the plan is shown only if
    something in it is held back or not known.
    """
    from reconciler.cli import applying
    from reconciler.cli.declared import load
    from reconciler.cli.failure import github_problems
    from reconciler.cli.saved import read_plan

    plan = None
    if saved is not None:
        # Not by truth: `--allow-deletes 0` is something said, too.
        if any(not (value is None or value is False or value == ()) for value in narrowed.values()):
            raise click.UsageError(
                "a saved plan carries its own --target, --service, --no-prune and --allow-…: "
                "give them to `pinrec plan --out`"
            )
        plan = read_plan(saved)
    wanted = plan.overrides if plan else overrides(**narrowed)
    with github_problems(form):
        manifest = load(options)
    return applying.run_apply(
        options,
        manifest,
        wanted,
        saved=plan,
        form=form,
        yes=yes,
        wait=wait,
        timeout=timeout,
        lock_timeout=lock_timeout,
        strict=strict,
        full=full,
    )
