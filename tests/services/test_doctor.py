"""The doctor finds what a service does, field by field, and leaves the account as it was."""

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.core.cid import canonical, parse
from reconciler.core.errors import AuthError, ServiceError, UnreachableError
from reconciler.core.manifest import Limits, SecretRef, Service
from reconciler.core.model import PinBody, PinStatus
from reconciler.core.profile import PROFILES, Profile
from reconciler.sandbox import SPEC, Lifecycle, Sandbox
from reconciler.sandbox.faults import Answer, Drop, Fault, NoFaults, Received
from reconciler.sandbox.personalities import CLUSTER, HELIA, PERSONALITIES
from reconciler.sandbox.personality import Personality
from reconciler.services.doctor import Doctor
from reconciler.services.examination import FIELDS, Examination
from reconciler.services.probes import throwaway
from reconciler.services.tape import open_taped

TOKEN = "doctors-token"
THEIRS = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"
ALL = "queued,pinning,pinned,failed"


def ends(otherwise: str) -> Lifecycle:
    """Content that a CID carries itself is pinned, and nothing else."""
    return Lifecycle(ends=lambda cid: "pinned" if cid.startswith("bafkqa") else otherwise)  # type: ignore[arg-type, return-value]


def service(endpoint: str, profile: Profile = PROFILES["unknown"]) -> Service:
    return Service(
        name="svc",
        endpoint=endpoint,
        key=SecretRef(kind="env", value=("KEY",)),
        profile=profile,
        limits=Limits(timeout=10),
    )


def examine(endpoint: str, *, timeout: float = 60, key: str = TOKEN, **more: Any) -> Examination:
    async def main() -> Examination:
        spec = service(endpoint)
        async with open_taped(spec, environ={"KEY": key}) as taped:
            return await Doctor(spec, taped, **more).examine(timeout=timeout, stop=asyncio.Event())

    return asyncio.run(main())


def talk(sandbox: Sandbox) -> httpx.Client:
    headers = {"authorization": f"Bearer {TOKEN}"}
    return httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False, timeout=30)


def account(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """Everything there, by requestid."""
    with talk(sandbox) as http:
        page = http.get("/pins", params={"limit": 1000, "status": ALL}).json()
    return {p["requestid"]: {k: p[k] for k in ("created", "pin")} for p in page["results"]}


def of(personality: Personality, **changed: Any) -> dict[str, Any]:
    """The profile that a personality has, as far as throw-away pins can show it."""
    return {
        "largeLimit": None if personality.large_limit else False,
        "order": personality.order,
        "edges": personality.edges,
        "count": personality.count,
        "precisionMs": 1000 if personality.precision == "s" else 1,
        "filters": tuple(
            f for f in ("cid", "name", "meta", "status")
            if f not in personality.ignored and (f != "meta" or personality.meta == "kept")
        ),
        "meta": personality.meta,
        "secondAdd": personality.second_add,
        "sameCidReplace": personality.same_cid_replace,
        "modify": personality.replace,
        "idIsCid": personality.requestid == "cid",
        "limit": personality.page_cap,
        **changed,
    }  # fmt: skip


CASES: dict[str, tuple[Personality, Lifecycle, dict[str, Any]]] = {
    "spec": (SPEC, Lifecycle(), {}),
    "ipfs-cluster": (CLUSTER, ends("pinning"), {}),
    # The old pin gone and the new one failed is what a replace of content nobody has shows there.
    "helia": (HELIA, ends("failed"), {"modify": "loses"}),
    "spec, slow": (SPEC, Lifecycle(pinning=0.3), {"modify": "keeps"}),
    # The API allows it, and until the content arrives nothing is pinned: neither proven nor refuted.
    "spec, content nobody has waits": (SPEC, ends("queued"), {"modify": None}),
    "spec, content nobody has fails": (SPEC, ends("failed"), {"modify": "loses"}),
    # Without one pin that is pinned there is no telling a second add that waits from one that is stuck.
    "spec, nothing is ever pinned": (
        SPEC,
        Lifecycle(ends=lambda _: "queued"),
        {"secondAdd": None, "modify": None},
    ),
    "oldest first": (replace(SPEC, order="oldest"), Lifecycle(), {}),
    "unsorted": (replace(SPEC, order="unsorted"), Lifecycle(), {}),
    "whole seconds": (replace(SPEC, precision="s", unique=False), Lifecycle(), {}),
    "microseconds": (replace(SPEC, precision="us", unique=False), Lifecycle(), {}),
    "inclusive edges": (replace(SPEC, edges="inclusive"), Lifecycle(), {}),
    "count is results + 1": (replace(SPEC, count="plus1"), Lifecycle(), {}),
    "count is the page": (replace(SPEC, count="page"), Lifecycle(), {}),
    "pages of five": (replace(SPEC, page_cap=5), Lifecycle(), {}),
    "pages of five that say nothing": (replace(SPEC, page_cap=5, count="page"), Lifecycle(), {}),
    "meta dropped": (replace(SPEC, meta="dropped"), Lifecycle(), {}),
    "second add overwrites": (replace(SPEC, second_add="overwrite"), Lifecycle(), {}),
    "second add gives the first": (replace(SPEC, second_add="same"), Lifecycle(), {}),
    "second add is stuck": (replace(SPEC, second_add="stuck"), Lifecycle(), {}),
    "replace in place": (replace(SPEC, same_cid_replace="inPlace"), Lifecycle(), {}),
    "same-CID replace loses": (replace(SPEC, same_cid_replace="loses"), Lifecycle(), {}),
    "replace keeps the old meta": (replace(SPEC, replace="loses"), Lifecycle(), {}),
    "before ignored": (replace(SPEC, ignored=frozenset({"before"})), Lifecycle(), {"edges": None}),
    "limit ignored": (
        replace(SPEC, ignored=frozenset({"limit"}), default_limit=1000),
        Lifecycle(),
        {"count": None, "largeLimit": None},
    ),
    **{
        f"{f} filter ignored": (replace(SPEC, ignored=frozenset({f})), Lifecycle(), {})
        for f in ("cid", "name", "meta", "status")
    },
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_found_is_what_the_service_does(case: str) -> None:
    personality, lifecycle, changed = CASES[case]
    with Sandbox([TOKEN], personality=personality, lifecycle=lifecycle) as sandbox:
        with talk(sandbox) as http:
            http.post("/pins", json={"cid": THEIRS, "name": "theirs", "meta": {"a": "b"}}).raise_for_status()
        before = account(sandbox)
        found = examine(sandbox.url)
        assert {f.field: f.observed for f in found.findings} == of(personality, **changed)
        assert all(f.how for f in found.findings)
        assert (found.stopped, found.leftovers) == ("", ())
        assert account(sandbox) == before


def test_a_long_account_shows_limits() -> None:
    for personality, large in ((CLUSTER, True), (replace(SPEC, large_limit=True, page_cap=1000), False)):
        with Sandbox([TOKEN], personality=personality) as sandbox:
            for n in range(1003):
                sandbox.store.put(
                    TOKEN, throwaway.unfindable("f" * 32, n % 64) if n < 64 else _cid(n), name=str(n)
                )
            found = {f.field: f.observed for f in examine(sandbox.url, read_only=True).findings}
            assert (found["limit"], found["largeLimit"]) == (1000, large)


def _cid(n: int) -> str:
    return throwaway.unfindable("other", n)


def test_never_more_than_fifteen_pins_at_a_time_and_every_one_is_marked() -> None:
    with Sandbox([TOKEN]) as sandbox:
        examine(sandbox.url)
        there = most = 0
        for record in sandbox.requests:
            if record.method == "POST" and record.path == "/pins":
                there += 1
                body = json.loads(record.request.body)
                assert body["meta"]["pinrec"].startswith("doctor-")
                assert body.get("name", "pinrec/doctor/").startswith("pinrec/doctor/")
            there -= record.method == "DELETE" and record.status < 300
            most = max(most, there)
        assert 0 < most <= 15


def test_reading_alone_writes_nothing_and_says_what_it_cannot_tell() -> None:
    with Sandbox([TOKEN]) as sandbox:
        for n in range(12):
            sandbox.store.put(TOKEN, _cid(n), name=str(n))
        found = examine(sandbox.url, read_only=True)
        assert {r.method for r in sandbox.requests} == {"GET"}
    observed = {f.field: f.observed for f in found.findings}
    assert {k for k, v in observed.items() if v is not None} == {
        "largeLimit",
        "order",
        "edges",
        "count",
        "precisionMs",
    }
    assert {f.how for f in found.findings if f.field == "secondAdd"} == {"reading alone does not tell"}


def test_an_empty_account_read_only_tells_nothing_false() -> None:
    with Sandbox([TOKEN]) as sandbox:
        found = examine(sandbox.url, read_only=True)
    assert {f.field: f.observed for f in found.findings if f.observed is not None} == {"largeLimit": False}


class Refusing(NoFaults):
    """Answers what `fits` with a status and a body, before or after it is done."""

    def __init__(self, fits: Callable[[Received], bool], status: int, *, after: bool = False) -> None:
        self.fits, self.status, self.late = fits, status, after

    def before(self, request: Received) -> Fault | None:
        return self._answer(request) if not self.late else None

    def after(self, request: Received, answer: Answer) -> Fault | None:
        return self._answer(request) if self.late else None

    def _answer(self, request: Received) -> Fault | None:
        return Answer(status=self.status, body=b"{}") if self.fits(request) else None


def test_inline_content_refused_uses_what_was_given() -> None:
    refusing = Refusing(lambda r: r.method == "POST" and b"bafkqa" in r.body, 400)
    given = [_cid(n) for n in range(5)]
    lifecycle = Lifecycle(ends=lambda cid: "pinned" if cid in given else "queued")
    with Sandbox([TOKEN], faults=refusing, lifecycle=lifecycle) as sandbox:
        blind = {f.field: f.observed for f in examine(sandbox.url).findings}
        assert (blind["secondAdd"], blind["sameCidReplace"]) == (None, "newId")
        found = {f.field: f.observed for f in examine(sandbox.url, cids=given).findings}
        assert found["secondAdd"] == "new"
        assert account(sandbox) == {}


def test_given_content_that_is_there_already_is_left_alone() -> None:
    with Sandbox([TOKEN], personality=CLUSTER) as sandbox:
        with talk(sandbox) as http:
            http.post("/pins", json={"cid": THEIRS, "name": "theirs"}).raise_for_status()
        before = account(sandbox)
        found = examine(sandbox.url, cids=[THEIRS])
        assert any("is there already" in o.text for o in found.observations)
        assert account(sandbox) == before
        writes = [r for r in sandbox.requests if r.method != "GET"]
        assert sum(THEIRS in r.request.body.decode() + r.path for r in writes) == 1, "theirs alone"


def test_answers_lost_after_the_pin_was_made_leave_none() -> None:
    lost = Refusing(lambda r: r.method == "POST" and b'"second"' in r.body, 500, after=True)
    with Sandbox([TOKEN], faults=lost) as sandbox:
        found = examine(sandbox.url)
        assert account(sandbox) == {}
    assert found.leftovers == ()
    assert {f.field: f.observed for f in found.findings}["secondAdd"] is None


def test_pins_that_cannot_be_deleted_are_told_with_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.services.probes.bench.ATTEMPTS", 1)
    stubborn = Refusing(lambda r: r.method == "DELETE", 403)
    with Sandbox([TOKEN], faults=stubborn) as sandbox:
        found = examine(sandbox.url)
        assert {left.requestid for left in found.leftovers} == set(account(sandbox)) != set()
        assert found.exit_code == 3
        assert all("403" in left.why for left in found.leftovers)


def test_no_time_left_is_told_and_leaves_no_pin() -> None:
    with Sandbox([TOKEN], lifecycle=Lifecycle(pinning=5)) as sandbox:
        found = examine(sandbox.url, timeout=1)
        assert "--timeout" in found.stopped
        assert found.exit_code == 3
        assert account(sandbox) == {}
        assert [f.how for f in found.findings if f.field == "modify"] == [f"not probed: {found.stopped}"]


def test_a_service_that_is_not_there_or_refuses_the_key_is_an_error() -> None:
    with Sandbox([TOKEN]) as sandbox:
        with pytest.raises(AuthError):
            examine(sandbox.url, key="wrong")
        url = sandbox.url
    with pytest.raises(UnreachableError):
        examine(url)


# --- what an earlier run left ---------------------------------------------------------------------------------------


def test_what_a_crashed_run_left_is_removed_and_what_only_looks_like_it_is_not() -> None:
    run, other = "ab" * 16, "cd" * 16
    name, meta = throwaway.name_of(run, "list-3"), throwaway.meta_of(run, "list-3")
    with Sandbox([TOKEN]) as sandbox:

        def put(second: int, cid: str, name: str, meta: dict[str, str]) -> None:
            created = f"2026-01-01T00:00:{second:02d}.000Z"
            sandbox.store.put(TOKEN, cid, name=name, meta=meta, created=created)

        put(1, THEIRS, name, {})
        put(2, THEIRS, name, throwaway.meta_of(other, "list-3"))
        put(3, THEIRS, "site", meta)
        put(4, throwaway.inline(run, 3), "site", {})
        put(5, THEIRS, "pinrec/doctor/short/list-3", {"pinrec": "doctor-short"})
        put(6, THEIRS, "pinrec/acme/site", {"pinrec": "acme"})
        foreign = account(sandbox)
        put(7, throwaway.unfindable(run, 3), name, meta)
        put(8, throwaway.unfindable(run, 4), name, {})
        put(9, THEIRS, name, meta)
        assert examine(sandbox.url).cleaned == 3
        assert account(sandbox) == foreign


def test_fresh_pins_of_a_run_that_is_not_known_here_may_be_at_work() -> None:
    run = "ab" * 16
    with Sandbox([TOKEN]) as sandbox:
        sandbox.store.put(
            TOKEN,
            throwaway.inline(run, 1),
            name=throwaway.name_of(run, "list-1"),
            meta=throwaway.meta_of(run, "list-1"),
        )
        assert examine(sandbox.url).cleaned == 0
        assert len(account(sandbox)) == 1
        assert examine(sandbox.url, known=(run,)).cleaned == 1
        assert account(sandbox) == {}


class Watching(NoFaults):
    """Looks at the account after every request, as one who comes after a crash at that moment would."""

    def __init__(self) -> None:
        self.sandbox: Sandbox | None = None
        self.strangers: set[str] = set()
        self.looks = 0

    def after(self, request: Received, answer: Answer) -> Fault | None:
        assert self.sandbox is not None
        for pin in self.sandbox.store.all(TOKEN):
            self.looks += 1
            body = PinBody(pin.cid, pin.name, None, pin.meta)
            if throwaway.run_of(PinStatus(pin.requestid, pin.status, pin.created, body)) is None:
                self.strangers.add(f"{pin.name} {pin.meta} {pin.cid}")
        return None


@pytest.mark.parametrize("name", PERSONALITIES)
def test_whenever_it_is_killed_every_pin_can_be_told_to_be_a_leftover(name: str) -> None:
    watching = Watching()
    with Sandbox([TOKEN], personality=PERSONALITIES[name], faults=watching) as sandbox:
        watching.sandbox = sandbox
        found = examine(sandbox.url)
        assert watching.strangers == set()
        assert watching.looks > 100
        assert found.leftovers == ()
        assert account(sandbox) == {}


@pytest.mark.parametrize("seed", range(8))
def test_whatever_goes_wrong_no_pin_is_left_untold_and_no_foreign_one_touched(seed: int) -> None:
    """Errors before and after the effect, lost and broken answers, at one request in eight."""
    rnd = random.Random(seed)

    class Chance(NoFaults):
        def before(self, request: Received) -> Fault | None:
            return rnd.choice((Answer(status=500), Drop())) if rnd.random() < 0.06 else None

        def after(self, request: Received, answer: Answer) -> Fault | None:
            spoiled = (Answer(status=500), Drop(), Answer(status=200, body=b"<html>"))
            return rnd.choice(spoiled) if rnd.random() < 0.06 else None

    personality = rnd.choice((SPEC, CLUSTER, HELIA))
    with Sandbox([TOKEN], personality=personality, faults=Chance()) as sandbox:
        sandbox.store.put(TOKEN, THEIRS, name="theirs", requestid=THEIRS if personality is CLUSTER else "")
        try:
            leftovers = examine(sandbox.url, timeout=8).leftovers
            left = {told for leftover in leftovers for told in (leftover.requestid, leftover.name)}
        except ServiceError:
            left = set()
        there = {p.requestid: p.name for p in sandbox.store.all(TOKEN)}
    assert "theirs" in there.values()
    assert [i for i, name in there.items() if name != "theirs" and not {i, name} & left] == []


def test_throw_away_cids_are_what_they_say() -> None:
    run = throwaway.new_run()
    for make in (
        throwaway.unfindable,
        throwaway.unfindable_v0,
        throwaway.unfindable_base36,
        throwaway.inline,
    ):
        cids = [parse(make(run, n)) for n in range(4)]
        assert len({c.canonical for c in cids}) == 4
    assert canonical(throwaway.unfindable_base36(run, 1)) == throwaway.unfindable(run, 1)
    assert parse(throwaway.inline(run, 1)).multihash[2:] == f"pinrec doctor {run} 1".encode()
    assert len(throwaway.unfindable_v0(run, 1)) == 46


@given(st.text(), st.dictionaries(st.text(), st.text()), st.text())
def test_no_pin_of_others_is_taken_for_a_leftover(name: str, meta: dict[str, str], cid: str) -> None:
    assert throwaway.run_of(PinStatus("1", "pinned", "", PinBody(cid, name, None, meta))) is None


@pytest.mark.parametrize(
    "marks", [("name",), ("meta",), ("cid",), ("name", "meta"), ("name", "cid"), ("meta", "cid")]
)
def test_two_marks_of_three_are_a_proof(marks: tuple[str, ...]) -> None:
    run = throwaway.new_run()
    pin = PinBody(
        throwaway.inline(run, 2) if "cid" in marks else THEIRS,
        throwaway.name_of(run, "old") if "name" in marks else "site",
        None,
        throwaway.meta_of(run, "old") if "meta" in marks else {},
    )
    assert throwaway.run_of(PinStatus("1", "pinned", "", pin)) == (run if len(marks) == 2 else None)


def test_every_field_of_a_profile_is_examined() -> None:
    with Sandbox([TOKEN]) as sandbox:
        found = examine(sandbox.url, read_only=True)
    assert [f.field for f in found.findings] == list(FIELDS)


def test_a_wrong_key_is_no_finding_about_the_limit() -> None:
    with Sandbox([TOKEN]) as sandbox, pytest.raises(AuthError):
        examine(sandbox.url, read_only=True, key="not-it")
