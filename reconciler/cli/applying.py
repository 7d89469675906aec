"""What `apply` and `destroy` share: plan, show, ask, apply, report."""

import sys
from typing import TYPE_CHECKING, Literal

import click

from reconciler.cli import interrupt, runtime
from reconciler.cli.ask import ask
from reconciler.cli.options import Options
from reconciler.cli.output import emit, say, step_summary, style, whole
from reconciler.cli.render import Format, render_plan, render_report, words
from reconciler.cli.render.escape import quoted, terminal
from reconciler.core.errors import EXIT_BLOCKED, EXIT_ERROR, EXIT_OK, UsageError, worst_exit
from reconciler.core.manifest import Manifest
from reconciler.core.plan import Overrides, Plan

if TYPE_CHECKING:
    from reconciler.engine.cycle import Planned
    from reconciler.engine.lock import Holder


def run_apply(
    options: Options,
    manifest: Manifest,
    overrides: Overrides,
    *,
    form: Format,
    yes: bool,
    wait: Literal["pinned", "none"],
    timeout: float,
    lock_timeout: float,
    full: bool,
    strict: bool = False,
    saved: Plan | None = None,
) -> int:
    """Returns the exit code. Raises PinrecError."""
    from reconciler.engine.lock import Lock

    sure = yes or saved is not None
    if not sure and not sys.stdin.isatty():
        review = "or review with `pinrec plan --out plan.json` and run `pinrec apply plan.json`"
        raise UsageError(
            "there is no terminal to ask on",
            hint="give --yes" if overrides.destroy else f"give --yes, {review}",
        )
    if saved is not None and saved.owner != manifest.owner:
        raise UsageError(
            f"the saved plan is of {saved.owner}, the manifest of {manifest.owner}",
            hint="name its manifest with -f",
        )

    async def main(interrupted: interrupt.Interrupt) -> int:
        from reconciler.engine import cycle

        async with runtime.opened(
            options,
            manifest,
            interrupted,
            needs_journal=True,
            resolved=saved.resolved if saved else {} if overrides.destroy else None,
            wait=wait,
            timeout=timeout,
        ) as run:
            planned = await run.plan(
                overrides, tell=saved is None, named=cycle.made_at(saved) if saved is not None else None
            )
            if saved is not None:
                planned = cycle.load_saved(planned, saved, run.context)
                run.tell(planned.plan)
                _tell_newer(options, planned)
            counts = words.count(planned.plan.actions, planned.plan.services)
            # What is held back or not known is shown however quiet somebody wants it.
            shown = not (options.quiet and sure) or planned.plan.exit_code() != EXIT_OK
            if shown:
                _show(options, planned.plan, form, full)
            if counts.changes and not sure:
                with interrupted.plain():
                    if not _agreed(planned.plan, counts):
                        click.echo("Nothing was done.", err=True)
                        return EXIT_ERROR
            try:
                with interrupted.graceful():
                    report = await cycle.run_apply(planned, run.context)
            finally:
                run.settle()
            if run.events is not None:
                run.events.report(report, interrupted.code or report.exit_code(planned.plan))
            if counts.changes or form != "text" or not shown:
                text = render_report(
                    report, form, style=style(options), full=whole(full), verbose=options.verbose
                )
                emit(("\n" if shown and form in ("text", "github") else "") + text)
            if form == "github":
                step_summary(render_report(report, "markdown", budget=900_000))
            held = strict and planned.plan.held
            return worst_exit(report.exit_code(planned.plan), *([EXIT_BLOCKED] if held else []))

    lock = Lock(options.state_dir, manifest.owner)

    def waits(holder: "Holder") -> None:
        say(options, f"waiting for the lock: {terminal(str(holder))}")

    what = "destroy" if overrides.destroy else "apply"
    with lock.hold(what=what, timeout=lock_timeout, on_wait=waits):
        return interrupt.run(main)


def _show(options: Options, plan: Plan, form: Format, full: bool) -> None:
    """The plan goes before the report on stdout where both are text, and to stderr where the report is for machines."""
    if form in ("text", "github"):
        emit(render_plan(plan, style=style(options), full=whole(full), verbose=options.verbose))
    else:
        say(options, render_plan(plan, full=whole(full), verbose=options.verbose).rstrip("\n"))


def _agreed(plan: Plan, counts: words.Counts) -> bool:
    if plan.overrides.destroy:
        question = (
            f"\nThis deletes {words.plural(counts.delete, 'name')} of {plan.owner}. "
            "Type the owner's name to go on: "
        )
        return ask(question) == plan.owner
    these = "this change" if counts.changes == 1 else f"these {counts.changes:,} changes"
    lost = (
        f", {counts.delete:,} of them {'a delete' if counts.delete == 1 else 'deletes'}"
        if counts.delete
        else ""
    )
    return ask(f"\nApply {these}{lost}? [y/N] ").lower() in ("y", "yes")


def _tell_newer(options: Options, planned: "Planned") -> None:
    """What has come up since the plan was saved: listed, not applied."""
    newer = planned.newer
    if not newer:
        return
    say(
        options,
        f"Not in the saved plan, and left for the next one: {words.plural(len(newer), 'newer difference')}",
    )
    for action in newer[:10]:
        kind = words.kind_of(action)
        say(options, f"  {words.SYMBOLS[kind]} {terminal(action.service)} {quoted(action.name)}")
    if len(newer) > 10:
        say(options, f"  … and {len(newer) - 10:,} more")
