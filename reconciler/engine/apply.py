"""Verb 5, apply: make the plan true, one lane per service, and report what became of each action."""

import asyncio

from msgspec.structs import replace

from reconciler import __version__
from reconciler.core.plan import Keep, Plan
from reconciler.core.planning import Planned
from reconciler.core.report import Report, ServiceReport
from reconciler.engine.context import Context
from reconciler.engine.lane import Lane
from reconciler.engine.run import Run


async def run_apply(planned: Planned, ctx: Context, *, what: str = "apply") -> Report:
    """Execute the changes of a plan. Raises PinrecError only if nothing was done (the journal cannot be begun).

    SIGTERM and SIGINT set `ctx.stop`: requests in flight end, the rest is reported as skipped.
    """
    plan = planned.plan
    run_id = ctx.new_id()
    if ctx.journal is not None and plan.changes:
        run_id = ctx.journal.begin(owner=plan.owner, plan=plan.id, what=what, now=ctx.now)
    run = Run(planned, ctx, run_id)
    lanes = []
    for name, service in planned.manifest.services.items():
        changes = [a for a in plan.changes if a.service == name]
        waiting = _left_waiting(plan, name) if ctx.settings.wait == "pinned" else []
        if changes or waiting:
            lanes.append(Lane(run, service, changes, waiting))
    working = {lane.service.name for lane in lanes}
    for name, event in run.settled.items():
        if name not in working:
            event.set()
    ctx.progress.applying(len(plan.changes))
    run.imports.start(a for lane in lanes for a in lane.asking)
    try:
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(lane.work())
    finally:
        run.hints.close()
        await run.imports.close()
        await run.dialler.close(grace=_grace(run))
        report = _report(run)
        if ctx.journal is not None and plan.changes:
            counts = {r: report.count(r) for r in ("done", "waiting", "failed", "skipped", "moved")}
            ctx.journal.end(
                run_id,
                exit_code=ctx.signal_exit() or report.exit_code(plan),
                counts={k: n for k, n in counts.items() if n},
            )
    return report


def _left_waiting(plan: Plan, service: str) -> list[Keep]:
    """What an earlier run sent and is not pinned yet: an apply ends well when the pins are pinned, not before."""
    return [a for a in plan.actions if isinstance(a, Keep) and a.reason == "waiting" and a.service == service]


def _grace(run: Run) -> float:
    """Only where pins are left waiting it is worth a moment that their delegates are still being dialled."""
    settings = run.ctx.settings
    waits = settings.wait == "none" or any(o.result == "waiting" for o in run.outcomes)
    return settings.dial_grace if waits else settings.dial_grace / 4


def _of_service(run: Run, service: str) -> ServiceReport:
    found = run.dialler.contacts(service)
    return replace(
        run.reports[service],
        dialled=found.dialled,
        connected=found.connected,
        undialled=found.skipped,
    )


def _report(run: Run) -> Report:
    ctx = run.ctx
    order = {(a.service, a.name): i for i, a in enumerate(run.planned.plan.actions)}
    return Report(
        pinrec=__version__,
        run=run.id,
        plan=run.planned.plan.id,
        owner=run.planned.plan.owner,
        started=f"{ctx.now:%Y-%m-%dT%H:%M:%SZ}",
        seconds=round(ctx.monotonic() - run.started, 3),
        outcomes=tuple(sorted(run.outcomes, key=lambda o: order.get((o.service, o.name), len(order)))),
        services=tuple(_of_service(run, s) for s in run.planned.manifest.services if s in run.reports),
        second_writer=tuple(sorted(run.second_writer)),
        interrupted=ctx.stop.is_set(),
    )
