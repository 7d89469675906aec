"""What an apply did: one outcome for each request that mattered. Schema: `schemas/report.schema.json`."""

from typing import Literal

from msgspec import Struct

from reconciler.core.errors import EXIT_BLOCKED, EXIT_OK, EXIT_PARTIAL, worst_exit
from reconciler.core.plan import Plan

REPORT_FORMAT = "1.0"

Result = Literal["done", "waiting", "failed", "skipped", "moved"]


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one action.

    `done`: true at the service (pinned, or deleted; `accepted` with `--wait none`). `waiting`: accepted, not yet
    pinned when the wait ended. `failed`: the service said no, or the pin failed. `skipped`: not tried, `why`
    says what it depended on. `moved`: what it rested on had changed when it was read again; nothing was done.
    A `failed` or `skipped` one with a `requestid` left that pin at the service.
    """

    service: str
    name: str
    action: Literal["add", "replace", "retry", "delete", "wait"]
    result: Result
    cid: str
    requestid: str = ""
    why: str = ""


class ServiceReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    service: str
    requests: int = 0
    #: Why the lane stopped early, or "".
    stopped: str = ""
    notes: tuple[str, ...] = ()
    #: Delegates of its pins that the node was told to connect to, and those of them that it reached.
    dialled: int = 0
    connected: int = 0
    #: Delegates that name no peer, so that nobody could be dialled.
    undialled: int = 0


class Report(Struct, frozen=True, kw_only=True):
    format: str = REPORT_FORMAT
    pinrec: str
    run: str
    plan: str
    owner: str
    started: str
    seconds: float
    outcomes: tuple[Outcome, ...] = ()
    services: tuple[ServiceReport, ...] = ()
    #: Keys that another writer changed while we were at work.
    second_writer: tuple[str, ...] = ()
    #: True if the run was cut short by a signal.
    interrupted: bool = False

    def count(self, result: Result) -> int:
        return sum(o.result == result for o in self.outcomes)

    def exit_code(self, plan: Plan) -> int:
        codes = [EXIT_OK]
        bad = ("waiting", "failed", "skipped", "moved")
        if (
            self.second_writer
            or any(o.result in bad for o in self.outcomes)
            or any(s.stopped for s in self.services)
        ):
            codes.append(EXIT_PARTIAL)
        if any(f.severity == "unknown" for f in plan.findings):
            codes.append(EXIT_PARTIAL)
        if plan.blocked:
            codes.append(EXIT_BLOCKED)
        return worst_exit(*codes)
