"""What a listing or an answer shows against a profile is told, minded, and remembered for the service that it is."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from support.hurry import Hurry
from support.runs import Notes, declared, manifest, run
from support.scenario import LETTERS

from reconciler.core.learned import place_of
from reconciler.core.profile import PROFILES
from reconciler.engine.journal import Journal
from reconciler.sandbox import SPEC, Personality, Sandbox, with_quirks

A, B = LETTERS["A"], LETTERS["B"]
OURS = {"pinrec": "me"}
SPEC_PROFILE = PROFILES["spec"]


def fill(sandbox: Sandbox, count: int) -> None:
    letters = list(LETTERS.values())
    for number in range(count):
        meta = OURS if number == 0 else {}
        name = "n" if number == 0 else f"theirs-{number}"
        cid = A if number == 0 else letters[number % len(letters)]
        requestid = cid if sandbox.personality.requestid == "cid" else ""
        sandbox.store.put(
            "token", cid, name=name, meta=meta, created=f"2026-01-01T00:00:{number:02d}.{number:03d}Z",
            requestid=requestid,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("quirks", "pins", "told", "remembered"),
    [
        (["count=page", "page-cap=10"], 30, "count is page, not total", {"count": "page"}),
        (["count=plus1", "page-cap=10"], 40, "count is plus1, not total", {"count": "plus1", "limit": "10"}),
        (["order=oldest"], 12, "order is oldest, not newest", {"order": "oldest"}),
        (["order=unsorted"], 12, "order is unsorted, not newest", {"order": "unsorted"}),
        (["page-cap=10"], 40, "limit is 10, not 1000", {"limit": "10"}),
        (["edges=inclusive", "page-cap=10", "precision=s"], 40, "edges is inclusive, not exclusive",
         {"edges": "inclusive", "limit": "10", "precisionMs": "1000"}),
        (["precision=s"], 12, "precisionMs is 1000, not 1", {"precisionMs": "1000"}),
        (["requestid=cid", "second-add=overwrite"], 12, "the requestid is the CID", {"id_is_cid": "seen"}),
    ],
)  # fmt: skip
def test_a_listing_against_the_profile_is_told_once_and_minded(
    quirks: list[str], pins: int, told: str, remembered: dict[str, str], tmp_path: Path
) -> None:
    personality = with_quirks(SPEC, quirks)
    with Sandbox(personality=personality) as sandbox, Journal.open(tmp_path) as journal:
        fill(sandbox, pins)
        wanted = manifest([declared(sandbox, SPEC_PROFILE)], {"n": A})
        notes = Notes()
        first, _ = run(wanted, Hurry(), journal=journal, notes=notes)
        then = (
            "one pin per CID is assumed" if "requestid" in told else "what the profile says is not relied on"
        )
        assert [n for n in notes.told if told in n] == [
            f"s: against the profile, {told}: {then} here from now on"
        ]
        (service,) = first.plan.services
        assert service.complete
        assert service.seen == len(sandbox.store.all("token"))
        assert any(told in note for note in service.notes)
        assert journal.learned("s", place=place_of(sandbox.url)) == remembered

        # From then on the careful choice holds, and nothing is there to be told anew.
        notes = Notes()
        second, _ = run(wanted, Hurry(), journal=journal, notes=notes)
        assert notes.told == []
        (service,) = second.plan.services
        assert service.complete
        assert any("contradicted" in n or "one pin per CID" in n for n in service.notes), service.notes


def test_a_service_that_is_as_its_profile_says_is_not_told_of() -> None:
    with Sandbox() as sandbox:
        fill(sandbox, 26)
        notes = Notes()
        planned, _ = run(manifest([declared(sandbox, SPEC_PROFILE)], {"n": A}), Hurry(), notes=notes)
        assert notes.told == []
        assert planned.plan.services[0].notes == ()


def test_a_limit_above_a_thousand_that_is_refused_is_no_end_of_the_listing() -> None:
    profile = replace(SPEC_PROFILE, large_limit=True)
    with Sandbox(personality=replace(SPEC, page_cap=10)) as sandbox:
        fill(sandbox, 26)
        notes = Notes()
        planned, _ = run(manifest([declared(sandbox, profile)], {"n": A}), Hurry(), notes=notes)
        assert planned.plan.services[0].complete
        assert any("largeLimit is false, not true" in n for n in notes.told)


def test_two_services_of_one_name_do_not_share_what_is_known_of_them(tmp_path: Path) -> None:
    odd: Personality = with_quirks(SPEC, ["order=oldest"])
    with Sandbox(personality=odd) as one, Sandbox() as two, Journal.open(tmp_path) as journal:
        for sandbox in (one, two):
            fill(sandbox, 12)
            run(manifest([declared(sandbox, SPEC_PROFILE)], {"n": A}), Hurry(), journal=journal)
        planned, _ = run(manifest([declared(two, SPEC_PROFILE)], {"n": A}), Hurry(), journal=journal)
        assert planned.plan.services[0].notes == ()
        assert planned.manifest.services["s"].profile == SPEC_PROFILE
        planned, _ = run(manifest([declared(one, SPEC_PROFILE)], {"n": A}), Hurry(), journal=journal)
        assert planned.manifest.services["s"].profile.order == "unknown"


def test_what_a_second_add_of_a_failed_pin_does_is_remembered(tmp_path: Path) -> None:
    same = replace(SPEC, second_add="same")
    with Sandbox(personality=same) as sandbox, Journal.open(tmp_path) as journal:
        sandbox.store.put("token", A, name="n", meta=OURS, status="failed")
        sandbox.store.put("token", B, name="theirs")
        wanted = manifest([declared(sandbox, PROFILES["unknown"])], {"n": A})
        notes = Notes()
        run(wanted, Hurry(), journal=journal, notes=notes)
        assert any("deleted, and added once more" in n for n in notes.told)
        assert sorted((p.name, p.status) for p in sandbox.store.all("token")) == [
            ("n", "pinned"),
            ("theirs", "pinned"),
        ]
        again, _ = run(wanted, Hurry(), journal=journal)
        assert again.manifest.services["s"].profile.second_add == "same"
        assert again.plan.changes == ()
        sandbox.set_status(next(p.requestid for p in sandbox.store.all("token") if p.name == "n"), "failed")
        sandbox.forget_requests()
        run(wanted, Hurry(), journal=journal)
        assert [r.method for r in sandbox.requests if r.method != "GET"] == ["DELETE", "POST"]
