"""An apply of single names, told in one line per service: what `pin … --apply` does after its edit."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from reconciler.cli import interrupt, runtime
from reconciler.cli.options import DEFAULT_FILE, Options
from reconciler.cli.output import emit, say, style
from reconciler.cli.render import words
from reconciler.cli.render.escape import clip, quoted, terminal
from reconciler.cli.render.style import Style, Tone
from reconciler.core.errors import UsageError
from reconciler.core.globs import escape
from reconciler.core.manifest import Manifest
from reconciler.core.plan import Overrides, Plan
from reconciler.core.report import Outcome, Report

if TYPE_CHECKING:
    from reconciler.engine.lock import Holder

_DONE = {"add": "pinned", "replace": "replaced", "retry": "pinned", "delete": "deleted"}
_TONES: dict[str, Tone] = {"waiting": "replace", "failed": "bad", "skipped": "blocked", "moved": "blocked"}


def apply_names(
    options: Options,
    manifest: Manifest,
    names: Sequence[str],
    *,
    services: Sequence[str],
    everywhere: bool = False,
    allowed: Overrides,
    wait: Literal["pinned", "none"],
    timeout: float,
    lock_timeout: float,
) -> int:
    """Plan and apply exactly `names` on `services`, which are told of; `everywhere` plans all services.

    Asks nothing: the command said what is wanted. Guards hold but for what is `allowed`.
    Returns the exit code of an apply. Raises PinrecError.
    """
    import shlex

    from reconciler.engine.lock import Lock

    overrides = replace(
        allowed,
        # A name may hold what a glob takes for a wildcard.
        targets=tuple(escape(name) for name in names),
        services=() if everywhere else tuple(services),
    )

    async def main(interrupted: interrupt.Interrupt) -> int:
        from reconciler.engine import cycle

        async with runtime.opened(
            options, manifest, interrupted, needs_journal=True, wait=wait, timeout=timeout
        ) as run:
            try:
                planned = await run.plan(overrides)
            except UsageError as error:
                # The plan knows none of the names: nothing wants them, and nothing of ours is there.
                if not error.message.startswith("--target"):
                    raise
                emit("".join(f"{terminal(s)}: nothing of ours is there\n" for s in services))
                return 0
            with interrupted.graceful():
                report = await cycle.run_apply(planned, run.context)
            run.settle()
        told = dict.fromkeys((*services, *(a.service for a in planned.plan.changes)))
        for service in told:
            for name in names:
                emit("".join(_lines(planned.plan, report, service, name, wait=wait, look=style(options))))
        for finding in planned.plan.findings:
            if finding.severity != "note" and finding.guard not in ("unknown", "incomplete"):
                say(options, f"pinrec: {terminal(finding.message)}")
                if finding.override:
                    say(options, f"  → {terminal(finding.override)}")
        dark = [s for s in planned.plan.services if not s.reachable and s.service not in told]
        for facts in dark:
            say(options, f"pinrec: {terminal(facts.service)}: {terminal(clip(words.service_facts(facts)))}")
        code = report.exit_code(planned.plan)
        if code:
            again = " ".join(f"--target {shlex.quote(target)}" for target in overrides.targets[:3])
            file = f" -f {shlex.quote(options.file)}" if options.file != DEFAULT_FILE else ""
            say(options, f"The manifest is edited; to try again: pinrec apply {again}{terminal(file)}")
        return code

    lock = Lock(options.state_dir, manifest.owner)

    def waits(holder: "Holder") -> None:
        say(options, f"waiting for the lock: {terminal(str(holder))}")

    with lock.hold(what="pin", timeout=lock_timeout, on_wait=waits):
        return interrupt.run(main)


def _lines(plan: Plan, report: Report, service: str, name: str, *, wait: str, look: Style) -> Iterator[str]:
    """What became of one name at one service."""
    head = f"{terminal(service)}: "
    facts = next((s for s in plan.services if s.service == service), None)
    if facts is not None and not facts.reachable:
        yield head + look(f"{clip(terminal(words.service_facts(facts)))}\n", "bad")
        return
    outcomes = [o for o in report.outcomes if (o.service, o.name) == (service, name)]
    if outcomes:
        worst = min(outcomes, key=lambda o: (words.RESULT_ORDER.index(o.result), o.action == "delete"))
        why = f": {terminal(clip(worst.why))}" if worst.why else ""
        word = look(_word(worst, wait), _TONES.get(worst.result, "good"))
        yield f"{head}{word} {quoted(name)} {terminal(worst.cid)}{why}\n"
        return
    actions = [a for a in plan.actions if (a.service, a.name) == (service, name)]
    if not actions:
        yield f"{head}unchanged {quoted(name)}\n"
    for action in actions[:1]:
        yield f"{head}{quoted(name)} {terminal(clip(words.why(action)))}\n"
        resolve = getattr(action, "resolve", "")
        if resolve:
            yield f"  → {terminal(resolve)}\n"


def _word(outcome: Outcome, wait: str) -> str:
    if outcome.result != "done":
        return (
            "waiting to be pinned:" if outcome.result == "waiting" else f"{outcome.action} {outcome.result}"
        )
    if wait == "none" and outcome.action in ("add", "retry"):
        return "accepted"
    return _DONE[outcome.action]
