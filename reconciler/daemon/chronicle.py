"""What is told of one service: a line of the log for each turn, its state for `status`, its changes for the webhook."""

from datetime import datetime, timedelta
from typing import Literal

from reconciler.core.errors import EXIT_OK, EXIT_PARTIAL
from reconciler.core.model import FAILED, PINNED, Remote
from reconciler.daemon.shared import Shared
from reconciler.daemon.state import CycleState, PolicyState, ServiceState, Standing, worse
from reconciler.daemon.turn import Turned, counts
from reconciler.daemon.webhook import Change, worded


class Chronicle:
    """Of one service. `waiting` and `listed` are written by its worker."""

    def __init__(self, shared: Shared, service: str) -> None:
        self._shared = shared
        self._service = service
        self._given = shared.given
        self._began = self._given.monotonic()
        self._requests = 0
        #: By the last plan of everything, and by the last one of the policies since.
        self._everything: Standing = ""
        self._policies: Standing = ""
        self._told: Standing = ""
        self._last: CycleState | None = None
        self._roots: list[PolicyState] = []
        self.failures = 0
        self.again: datetime | None = None
        self.error = ""
        self.waiting = 0
        self.listed: datetime | None = None

    @property
    def exit_code(self) -> int:
        """Of the last turn."""
        if self.failures:
            return EXIT_PARTIAL
        return EXIT_OK if self._last is None else self._last.exit_code

    @property
    def standing(self) -> Standing:
        return worse(self._everything, self._policies)

    def remember(self, state: ServiceState) -> None:
        """How it stood when a loop last ended: what is so still is not told again."""
        self._told = state.standing

    def begin(self) -> None:
        self._began = self._given.monotonic()
        client = self._shared.services.get(self._service)
        self._requests = client.requests if client is not None else 0

    def failed(self, why: str, delay: float) -> None:
        """The service cannot be worked with; it is tried again in `delay` seconds."""
        self.error = why
        self.again = self._given.now() + timedelta(seconds=delay)
        self._everything = "unknown"
        self._given.log(
            "warning",
            "failed",
            service=self._service,
            error=why,
            failures=self.failures,
            again=f"{delay:.0f}s",
        )
        self._changed(0, 0, EXIT_PARTIAL, why)

    def turned(self, turned: Turned, why: str, *, everything: bool) -> None:
        if everything:
            self._everything, self._policies = turned.standing, ""
        else:
            self._policies = turned.standing
        number = counts(turned.planned)
        seconds = round(self._given.monotonic() - self._began, 3)
        outcomes = turned.report.outcomes if turned.report is not None else ()
        done = sum(o.result == "done" for o in outcomes)
        failed = sum(o.result in ("failed", "moved") for o in outcomes)
        changes = len(turned.planned.plan.changes)
        self._last = CycleState(
            at=self._given.now(),
            why=why,
            did=turned.did,
            seconds=seconds,
            exit_code=turned.exit_code,
            changes=changes,
            done=done,
            failed=failed,
            blocked=number["blocked"],
        )
        trouble = _trouble(self._service, turned)
        client = self._shared.services.get(self._service)
        self._given.log(
            "info" if turned.exit_code == 0 else "warning",
            "cycle",
            service=self._service,
            why=why,
            did=turned.did,
            scope="all" if everything else "policies",
            **{kind: n for kind, n in number.items() if n},
            done=done or None,
            failed=failed or None,
            held=len(turned.held) or None,
            waiting=self.waiting or None,
            requests=client.requests - self._requests if client is not None else None,
            seconds=seconds,
            standing=self.standing,
            exit=turned.exit_code,
            run=turned.report.run if turned.report is not None else None,
            trouble=trouble,
        )
        self._roots = self._policy_states(turned)
        self._changed(changes, number["blocked"], turned.exit_code, trouble)

    def state(self) -> ServiceState:
        return ServiceState(
            service=self._service,
            standing=self.standing,
            paused=self._shared.paused.covers(self._service),
            last=self._last,
            listed=self.listed,
            waiting=self.waiting,
            failures=self.failures,
            again=self.again,
            error=self.error,
            policies=self._roots,
        )

    def _changed(self, changes: int, blocked: int, exit_code: int, why: str) -> None:
        """Tells the webhook if the service stands otherwise than it was last told. That all is well is no news at
        the beginning."""
        standing = self.standing
        if standing == self._told or (not self._told and standing in ("", "converged")):
            self._told = standing
            return
        was, self._told = self._told, standing
        if self._shared.hook is None:
            return
        head = self._shared.kept.head
        change = Change(
            time="",
            owner=head.owner,
            manifest=head.path,
            service=self._service,
            standing=standing,
            was=was,
            changes=changes,
            blocked=blocked,
            exit_code=exit_code,
            why=why,
        )
        self._shared.hook.tell(worded(change, now=self._given.now()))

    def _policy_states(self, turned: Turned) -> list[PolicyState]:
        planned = turned.planned
        holding = self._shared.holdings.get(self._service)
        near = [p for p in holding.near.values() if p.mine] if holding is not None else []
        held = dict(turned.held.values())
        states: list[PolicyState] = []
        for policy in planned.manifest.policies.values():
            if self._service not in policy.uses:
                continue
            wants = planned.desire.wants.get(policy.name, ())
            if not wants:
                why = next((u.why for u in planned.desire.unknown if u.source == policy.origin), "")
                states.append(PolicyState(policy=policy.name, why=why))
            for want in wants:
                pins = [p for p in near if p.cid == want.cid]
                left = held.get(policy.name)
                states.append(
                    PolicyState(
                        policy=policy.name,
                        name=want.name,
                        root=want.cid.canonical,
                        pin=_stands(pins),
                        why=next((_info(p) for p in pins if p.status == FAILED), ""),
                        held_until=None if left is None else self._given.now() + timedelta(seconds=left),
                    )
                )
        return states


def _stands(pins: list[Remote]) -> Literal["pinned", "waiting", "failed", "absent"]:
    if any(p.status == PINNED for p in pins):
        return "pinned"
    if any(p.status != FAILED for p in pins):
        return "waiting"
    return "failed" if pins else "absent"


def _info(pin: Remote) -> str:
    """What a service says of a failure: untrusted text."""
    return "; ".join(f"{k}: {v}" for k, v in sorted(pin.info.items()) if v)[:200]


def _trouble(service: str, turned: Turned) -> str:
    """The first thing that a person should know of a turn that did not go well, in one clause."""
    if turned.report is not None:
        for report in turned.report.services:
            if report.stopped:
                return report.stopped
        for outcome in turned.report.outcomes:
            if outcome.result in ("failed", "moved") and outcome.why:
                return f"{outcome.name}: {outcome.why}"
    for finding in turned.planned.plan.findings:
        if finding.service in ("", service) and finding.severity != "note":
            return finding.message
    return next((f"{a.name}: {a.reason}" for a in turned.planned.plan.blocked), "")
