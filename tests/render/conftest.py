"""Plans and reports made by hand: what a renderer sees, without an engine."""

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.core.plan import (
    Action,
    Add,
    Blocked,
    Delete,
    Estimate,
    FieldChange,
    Finding,
    GuardLine,
    Keep,
    PinRef,
    Plan,
    Replace,
    Retry,
    ServicePlan,
    Victim,
)
from reconciler.core.report import Outcome, Report, ServiceReport

OLD = "bafybeiaysi4s6lnjev27ln5icwm6tueaw2vdykrtjkwiphwekaywqhcjze"
NEW = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
THIRD = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"


def ref(cid: str = OLD, name: str = "x", requestid: str = "r1", status: str = "pinned") -> PinRef:
    return PinRef(
        requestid=requestid, cid=cid, name=name, owner="acme", status=status, created="2026-01-01T00:00:00Z"
    )


ACTIONS: tuple[Action, ...] = (
    Add(service="pinata", name="website", cid=NEW, reason="absent", origin="pinrec.yaml:14"),
    Replace(
        service="pinata",
        name="docs",
        cid=NEW,
        old_cid=OLD,
        reason="cid",
        how="safe",
        olds=(Victim(ref=ref()),),
        origin="pinrec.yaml:20",
        changes=(FieldChange(path="meta.team", old=None, new="web"),),
    ),
    Delete(service="pinata", name="old-blog", cid=OLD, reason="undesired", victim=Victim(ref=ref())),
    Delete(
        service="pinata",
        name="fair",
        cid=OLD,
        reason="expired",
        victim=Victim(ref=ref()),
        origin="pinrec.yaml:30",
    ),
    Delete(service="pinata", name="docs", cid=THIRD, reason="superseded", victim=Victim(ref=ref(THIRD))),
    Retry(
        reason="failed",
        service="cluster",
        name="data/a b",
        cid=THIRD,
        failed=(ref(THIRD, status="failed"),),
        origin="datasets.txt:7",
    ),
    Blocked(
        service="cluster",
        name="releases/1.0",
        cid=OLD,
        would="delete",
        guard="protected",
        reason="protected by releases/*",
        resolve="add `unprotect: [releases/1.0]` to the manifest",
        leaves=True,
    ),
    Keep(service="cluster", name="logo", cid=NEW, reason="held", origin="pinrec.yaml:40"),
    Keep(service="cluster", name="news", cid=NEW, reason="waiting", origin="pinrec.yaml:44"),
)


def make_plan(**fields: Any) -> Plan:
    base: dict[str, Any] = {
        "pinrec": "0.1.0",
        "id": "p1",
        "created": "2026-11-22T03:36:00Z",
        "owner": "acme-site",
        "manifest": "pinrec.yaml",
        "services": (
            ServicePlan(
                service="pinata",
                profile="pinata",
                seen=60,
                ours=40,
                unchanged=12,
                estimate=Estimate(requests=36, seconds=420.0),
                notes=("modify is not trusted here: replaced by add, wait, delete",),
            ),
            ServicePlan(
                service="cluster",
                profile="ipfs-cluster",
                seen=9,
                ours=4,
                unchanged=2,
                held=1,
                waiting=1,
                estimate=Estimate(requests=5, seconds=0.5),
            ),
        ),
        "actions": ACTIONS,
        "findings": (
            Finding(
                guard="protected",
                severity="block",
                message="1 delete is blocked: the name is protected",
                service="cluster",
                keys=("releases/1.0",),
                count=1,
                override="unprotect: [releases/1.0]",
            ),
        ),
        "guards": (
            GuardLine(service="pinata", leaving=2, leaving_limit=5, replacing=1, replacing_limit=10, ours=40),
            GuardLine(service="cluster", leaving=1, leaving_limit=3, replacing=0, replacing_limit=10, ours=4),
        ),
    }
    return Plan(**(base | fields))


def make_report(**fields: Any) -> Report:
    base: dict[str, Any] = {
        "pinrec": "0.1.0",
        "run": "r1",
        "plan": "p1",
        "owner": "acme-site",
        "started": "2026-11-22T03:36:00Z",
        "seconds": 12.3,
        "outcomes": (
            Outcome(service="pinata", name="website", action="add", result="done", cid=NEW, requestid="q1"),
            Outcome(
                service="pinata",
                name="docs",
                action="replace",
                result="waiting",
                cid=NEW,
                why="still pinning after 10 min",
            ),
            Outcome(service="pinata", name="old-blog", action="delete", result="done", cid=OLD),
            Outcome(
                service="cluster",
                name="data/a b",
                action="retry",
                result="failed",
                cid=THIRD,
                why="no providers",
            ),
        ),
        "services": (
            ServiceReport(service="pinata", requests=9),
            ServiceReport(service="cluster", requests=3),
        ),
    }
    return Report(**(base | fields))


@pytest.fixture
def plan() -> Callable[..., Plan]:
    return make_plan


@pytest.fixture
def report() -> Callable[..., Report]:
    return make_report
