"""How things stand: a plan and a snapshot, counted per service."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.errors import EXIT_BLOCKED, EXIT_OK, EXIT_PARTIAL, worst_exit
from reconciler.core.model import FAILED, PINNED, PINNING, QUEUED
from reconciler.core.plan import Blocked, Finding, Keep
from reconciler.daemon.state import LoopState

if TYPE_CHECKING:
    from reconciler.engine.cycle import Planned
    from reconciler.engine.journal import RunRow


class ServiceStanding(Struct, frozen=True, kw_only=True):
    """One service. `pinned`, `waiting` and `failed` are pins of ours, `drift` is what an apply would change."""

    service: str
    state: str
    reachable: bool
    complete: bool
    why: str
    desired: int
    pinned: int
    waiting: int
    failed: int
    held: int
    drift: int
    blocked: int
    #: Of `pinned`: found unretrievable by `verify`, and not retrieved since; and when the first of them was.
    unretrievable: int = 0
    unretrievable_since: datetime | None = None


class LastRun(Struct, frozen=True, kw_only=True):
    """The latest run in the journal of this machine. `ended` None: at work, or killed."""

    id: str
    what: str
    started: datetime
    ended: datetime | None
    exit_code: int | None


class Standing(Struct, frozen=True, kw_only=True):
    owner: str
    services: tuple[ServiceStanding, ...]
    last_run: LastRun | None
    exit_code: int
    #: What is not known, and makes it red.
    unknown: tuple[Finding, ...] = ()
    #: What the loop of this manifest on this machine last wrote down, and whether it runs.
    loop: LoopState | None = None
    loop_running: bool = False


def standing(planned: "Planned", run: "RunRow | None", only: tuple[str, ...] = ()) -> Standing:
    """Counted from what was just planned. `only` are the services to show, () all."""
    plan = planned.plan
    drift = Counter(a.service for a in plan.actions if not isinstance(a, Keep | Blocked))
    blocked = Counter(a.service for a in plan.actions if isinstance(a, Blocked))
    rows = []
    for service in plan.services:
        if only and service.service not in only:
            continue
        listing = planned.snapshot.listings.get(service.service)
        mine = [r for r in (listing.remotes if listing else ()) if r.mine]
        ours = Counter(r.status for r in mine)
        doubts = [
            doubt
            for r in mine
            if r.status == PINNED
            and (doubt := planned.doubts.of(service.service, r.requestid, r.cid.canonical)) is not None
        ]
        rows.append(
            ServiceStanding(
                service=service.service,
                state=service.state,
                reachable=service.reachable,
                complete=service.complete,
                why=service.why,
                desired=service.desired,
                pinned=ours[PINNED],
                waiting=ours[QUEUED] + ours[PINNING],
                failed=ours[FAILED],
                held=service.held,
                drift=drift[service.service],
                blocked=blocked[service.service],
                unretrievable=len(doubts),
                unretrievable_since=min((d.since for d in doubts), default=None),
            )
        )
    codes = [EXIT_OK]
    if any(not r.reachable or not r.complete or r.failed or r.unretrievable for r in rows):
        codes.append(EXIT_PARTIAL)
    shown = {r.service for r in rows} | {""}
    findings = [f for f in plan.findings if f.service in shown and f.severity != "note"]
    codes += [EXIT_BLOCKED if finding.severity == "block" else EXIT_PARTIAL for finding in findings]
    if any(r.blocked for r in rows):
        codes.append(EXIT_BLOCKED)
    last = None
    if run is not None:
        last = LastRun(
            id=run.id, what=run.what, started=run.started, ended=run.ended, exit_code=run.exit_code
        )
    return Standing(
        owner=plan.owner,
        services=tuple(rows),
        last_run=last,
        exit_code=worst_exit(*codes),
        unknown=tuple(f for f in findings if f.severity == "unknown"),
    )


def with_loop(found: Standing, state_dir: Path) -> Standing:
    """The same with what the loop of this owner says of itself. A failed pin of a policy, told there, counts too."""
    from reconciler.daemon.lease import Lease
    from reconciler.daemon.state import StateFiles

    state = StateFiles(state_dir, found.owner).read_loop()
    holder = Lease(state_dir, found.owner).holder()
    running = holder is not None and not holder.expired
    codes = [found.exit_code]
    if state is not None and running:
        shown = {s.service for s in found.services}
        here = [p for s in state.services if s.service in shown for p in s.policies]
        if any(p.pin == "failed" for p in here) or state.manifest_error:
            codes.append(EXIT_PARTIAL)
    return replace(found, loop=state, loop_running=running, exit_code=worst_exit(*codes))
