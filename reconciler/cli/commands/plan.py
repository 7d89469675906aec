"""pinrec plan"""

from typing import TYPE_CHECKING, Any

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
)

if TYPE_CHECKING:
    from reconciler.cli.render import Format

_EPILOG = """\b
Examples:
  pinrec plan
  pinrec plan --service pinata --target 'docs/*'
  pinrec plan --out plan.json          review it, then: pinrec apply plan.json
  pinrec plan --format markdown        for a comment on a pull request
  pinrec plan --detailed-exitcode      exits 2 if there are changes
"""


@click.command("plan", epilog=_EPILOG)
@formats("text", "json", "markdown", "github")
@click.option("--out", type=click.Path(), metavar="FILE", help="Also save the plan, for `pinrec apply FILE`.")
@narrowing
@allowances
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 if there are changes.")
@click.option("--strict", is_flag=True, help="Exit 4 if a wanted pin is only held: there, and not ours.")
@click.option("--full", is_flag=True, help="Show every line on a terminal, too.")
@click.option(
    "--max-bytes",
    type=click.IntRange(min=4_000),
    default=60_000,
    show_default=True,
    help="Byte budget of --format markdown.",
)
@events_option
@common
@pass_options
def command(
    options: Options,
    /,
    form: "Format",
    out: str | None,
    detailed_exitcode: bool,
    strict: bool,
    full: bool,
    max_bytes: int,
    **narrowed: Any,
) -> int:
    """Show what apply would do, and why. Changes nothing.

    Each line has a symbol, the name, the CID, the reason, and the line of the manifest that asks for it. What a guard
    holds back is shown with the command that lifts it.
    """
    from reconciler.cli import interrupt, runtime
    from reconciler.cli.declared import load
    from reconciler.cli.failure import github_problems
    from reconciler.cli.output import emit, say, step_summary, style, whole, write_file
    from reconciler.cli.render import render_plan
    from reconciler.core.errors import EXIT_BLOCKED, worst_exit

    wanted = overrides(**narrowed)
    with github_problems(form):
        manifest = load(options)

    async def main(interrupted: interrupt.Interrupt) -> int:
        async with runtime.opened(options, manifest, interrupted) as run:
            plan = (await run.plan(wanted)).plan
        emit(
            render_plan(
                plan,
                form,
                style=style(options),
                full=whole(full),
                verbose=options.verbose,
                budget=max_bytes,
            )
        )
        if form == "github":
            step_summary(render_plan(plan, "markdown", budget=900_000))
        if out:
            write_file(out, render_plan(plan, "json"))
            say(options, f"Saved. To do exactly this: pinrec apply {out}")
        held = strict and plan.held
        return worst_exit(plan.exit_code(detailed=detailed_exitcode), *([EXIT_BLOCKED] if held else []))

    return interrupt.run(main)
