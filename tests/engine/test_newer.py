"""Where `created` is in whole seconds, a pin that replaces another is made when it is sure to be the newer one."""

import pytest
from msgspec.structs import replace
from support.hurry import Hurry
from support.runs import declared, manifest, run
from support.scenario import LETTERS

from reconciler.core.plan import Delete
from reconciler.core.profile import PROFILES
from reconciler.sandbox import CLUSTER, SPEC, Lifecycle, Sandbox

A, B = LETTERS["A"], LETTERS["B"]
OURS = {"pinrec": "me"}
NOW = "2026-05-28T20:26:40"
SECONDS = replace(SPEC, precision="s", unique=False)


class Still(Hurry):
    """Only sleeping takes time: all that nobody waits for is done within one second."""

    def monotonic(self) -> float:
        return self.ahead

    def now(self) -> float:
        return 1_780_000_000.25 + self.ahead


@pytest.mark.parametrize("there", [[B], [A, B]], ids=["another CID", "the CID, no older than another"])
def test_a_pin_made_within_the_second_of_the_one_it_replaces_is_made_once(there: list[str]) -> None:
    """Its second half is left to later runs, which know nothing of the first but what is listed."""
    time = Still()
    slow = Lifecycle(queued=0.001)
    with Sandbox(personality=SECONDS, clock=time.now, lifecycle=slow) as sandbox:
        for number, cid in enumerate(there):
            # Of one instant, the one with the greater id is the newer; no id that is made comes after these.
            sandbox.store.put(
                "token", cid, name="n", meta=OURS, requestid=f"~{number}", created=f"{NOW}.{number}Z"
            )
        wanted = manifest([declared(sandbox, PROFILES["spec"])], {"n": A})
        for _ in range(3):
            run(wanted, time, wait="none")
            time.ahead += 0.002
        again, _ = run(wanted, time)
        assert again.plan.changes == ()
        assert [(p.name, p.cid) for p in sandbox.store.all("token")] == [("n", A)]
        assert sum(r.method == "POST" for r in sandbox.requests) == 1


def test_a_pin_that_is_overwritten_is_made_newer_than_the_other_one() -> None:
    time, slow = Still(), Lifecycle(queued=0.001)
    older, newer = sorted([A, B])
    with Sandbox(personality=CLUSTER, clock=time.now, lifecycle=slow) as sandbox:
        for number, cid in enumerate((older, newer)):
            sandbox.store.put("token", cid, name="n", meta=OURS, requestid=cid, created=f"{NOW}.{number}Z")
        wanted = manifest([declared(sandbox, PROFILES["ipfs-cluster"])], {"n": older})
        run(wanted, time, wait="none")
        again, _ = run(wanted, time)
        assert [type(a) for a in again.plan.changes] == [Delete]
        assert [(p.name, p.cid) for p in sandbox.store.all("token")] == [("n", older)]


@pytest.mark.parametrize(("created", "waits"), [(f"{NOW}.000Z", 1), ("2026-01-01T00:00:00.000Z", 0)])
def test_nothing_is_waited_for_where_the_service_says_that_it_is_long_ago(created: str, waits: int) -> None:
    time = Still()
    with Sandbox(personality=SECONDS, clock=time.now) as sandbox:
        sandbox.store.put("token", B, name="n", meta=OURS, created=created)
        run(manifest([declared(sandbox, PROFILES["spec"])], {"n": A}), time)
        assert [(p.name, p.cid) for p in sandbox.store.all("token")] == [("n", A)]
        assert time.ahead == waits
