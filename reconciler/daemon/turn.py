"""One turn at one service: plan, hold back what must wait, apply, and say how the service stands."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.errors import EXIT_BLOCKED, EXIT_CHANGES, EXIT_OK, EXIT_PARTIAL, UsageError, worst_exit
from reconciler.core.local import LOCAL
from reconciler.core.model import Desired
from reconciler.core.plan import Action, Add, Blocked, Delete, Keep, Overrides, Replace, Retry
from reconciler.core.planning import Planned
from reconciler.core.question import Facts
from reconciler.core.report import Report
from reconciler.daemon.gate import policy_of
from reconciler.daemon.shared import Shared
from reconciler.daemon.state import Standing
from reconciler.engine.cycle import make_plan, run_apply
from reconciler.engine.facts import said

#: So long a turn waits for a person's apply to end, before it leaves its work to a later one; seconds.
PATIENCE, LOOK = 5.0, 0.5


class Turned(Struct, kw_only=True):
    """What came of a turn. `did`: applied, nothing to do, or why nothing was done."""

    planned: Planned
    report: Report | None = None
    did: str
    #: Names that wait for their policy's interval, with the policy and the seconds that are left.
    held: dict[str, tuple[str, float]] = {}
    exit_code: int = EXIT_OK
    standing: Standing = "converged"
    #: A person is at work, or began to be.
    yielded: bool = False


async def plan_everything(shared: Shared, service: str, facts: Facts, *, listed: bool) -> Planned | None:
    """The plan of one service by all of the manifest. `listed`: by its holding, instead of listing it anew.

    None for a node of which nothing is wanted and which holds nothing of ours: then it has no part in a plan.
    """
    listings = shared.others(service, whole=True)
    if listed:
        listings[service] = shared.holdings[service].whole()
    try:
        async with shared.manifest() as manifest:
            return await make_plan(
                manifest,
                Overrides(services=(service,)),
                shared.context(),
                resolved=shared.kept.resolved,
                facts=facts,
                listings=listings,
            )
    except UsageError:
        if service == LOCAL:
            return None
        raise


async def plan_policies(shared: Shared, service: str, facts: Facts) -> Planned | None:
    """The plan of what policies want there, or None if others want or hold the same, so that all must be looked at."""
    manifest = shared.policies_only
    wants = [w for wanted in said(manifest, facts).values() for w in wanted.wants]
    holding = shared.holdings[service]
    cids = {w.cid.canonical for w in wants} | {p.cid.canonical for p in holding.near.values()}
    kept = shared.kept
    if (
        kept.by_path
        or any(w.name in kept.names for w in wants)
        or any(cid in kept.cids for cid in cids)
        or holding.elsewhere(cids)
    ):
        return None
    listings = {**shared.others(service, whole=False), service: holding.nearby()}
    planned = await make_plan(
        manifest,
        Overrides(services=(service,)),
        shared.context(),
        resolved={},
        facts=facts,
        listings=listings,
    )
    wanted: Mapping[str, Desired] = planned.diffs[service].wanted if service in planned.diffs else {}
    return restricted(planned, lambda a: _is_near(a, wanted))


def restricted(planned: Planned, keep: Callable[[Action], bool]) -> Planned:
    """The plan without some of its actions. Whatever rested on one of them finds that it does not hold."""
    return replace(
        planned, plan=replace(planned.plan, actions=tuple(a for a in planned.plan.actions if keep(a)))
    )


def without(planned: Planned, names: Collection[str]) -> Planned:
    """The plan without requests for these names; what is to go there may go."""
    return restricted(planned, lambda a: isinstance(a, Delete | Keep | Blocked) or a.name not in names)


async def apply(
    shared: Shared,
    service: str,
    planned: Planned,
    held: dict[str, tuple[str, float]],
    *,
    ended: Callable[[], bool] = lambda: False,
) -> Turned:
    """Make it true as far as that is allowed now. Raises PinrecError if nothing was done.

    It ends at the next request when changes may not be made any more: `ended` says so of the worker, pause, window
    and manifest of the loop.
    """
    changes = planned.plan.changes
    turned = Turned(planned=planned, did="nothing to do", held=held)
    if changes:
        turned.did = shared.may_apply()
        if not turned.did and await _person_at_work(shared):
            turned.did, turned.yielded = "a person's apply is at work", True
        if not turned.did:

            def halted() -> bool:
                return ended() or shared.paused.covers(service) or bool(shared.may_apply())

            turned.report, turned.yielded = await _applied(shared, planned, halted)
            turned.did = "applied"
    turned.exit_code = _exit_code(service, planned, turned.report)
    turned.standing = _standing(service, turned)
    if turned.report is None and changes:
        turned.exit_code = worst_exit(turned.exit_code, EXIT_CHANGES)
    return turned


async def _person_at_work(shared: Shared) -> bool:
    given = shared.given
    until = given.monotonic() + PATIENCE
    while given.lease.person() is not None:
        if given.monotonic() >= until or given.stop.is_set():
            return True
        await given.sleep(LOOK)
    return False


async def _applied(shared: Shared, planned: Planned, halted: Callable[[], bool]) -> tuple[Report, bool]:
    """The report, and whether a person's apply began meanwhile: that goes first, and ours ends at the next request."""
    given = shared.given
    stop, person = asyncio.Event(), False

    async def look() -> None:
        nonlocal person
        while not given.stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(given.stop.wait(), LOOK)
            if given.lease.person() is not None:
                person = True
                break
            if halted():
                break
        stop.set()

    if given.stop.is_set():
        stop.set()
    looking = asyncio.create_task(look())
    try:
        return await run_apply(planned, shared.context(stop), what="run"), person
    finally:
        looking.cancel()


def _is_near(action: Action, wanted: Mapping[str, Desired]) -> bool:
    """Whether an action is about what a policy wants. That a name is not wanted is for a plan of everything to say."""
    if isinstance(action, Delete):
        return action.reason not in ("undesired", "expired", "released")
    if isinstance(action, Blocked):
        return not action.leaves
    return isinstance(action, Keep) or bool(policy_of(wanted, action.name))


# --- how it stands ----------------------------------------------------------------------------------------------


def _exit_code(service: str, planned: Planned, report: Report | None) -> int:
    """As an apply of this service alone would end."""
    codes = [EXIT_OK]
    here = [f for f in planned.plan.findings if f.service in ("", service)]
    if any(f.severity == "unknown" for f in here):
        codes.append(EXIT_PARTIAL)
    if planned.plan.blocked:
        codes.append(EXIT_BLOCKED)
    if report is not None:
        bad = any(o.result in ("failed", "skipped", "moved") for o in report.outcomes)
        if bad or report.second_writer or any(s.stopped for s in report.services):
            codes.append(EXIT_PARTIAL)
    return worst_exit(*codes)


def _standing(service: str, turned: Turned) -> Standing:
    plan, report = turned.planned.plan, turned.report
    if any(f.severity == "unknown" for f in plan.findings if f.service in ("", service)):
        return "unknown"
    done = {(o.name, o.action) for o in report.outcomes if o.result == "done"} if report else set()
    # A pin that has failed is a failure until it is there: a retry that is not due yet does not mend it.
    failed = any(isinstance(a, Retry) and (a.name, "retry") not in done for a in plan.changes)
    if report is not None:
        failed = failed or any(o.result == "failed" for o in report.outcomes)
        failed = failed or any(s.stopped for s in report.services)
    if failed:
        return "failed"
    if plan.blocked:
        return "blocked"
    if plan.changes and (report is None or any(o.result in ("skipped", "moved") for o in report.outcomes)):
        return "drift"
    return "converged"


def counts(planned: Planned) -> dict[str, int]:
    """Changes by kind, for a line of the log."""
    kinds = {"add": Add, "replace": Replace, "retry": Retry, "delete": Delete, "blocked": Blocked}
    return {kind: sum(isinstance(a, cls) for a in planned.plan.actions) for kind, cls in kinds.items()}
