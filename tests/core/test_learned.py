"""What was found out about a service, and what beats what."""

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.core.learned import (
    ALTERED,
    CONTRADICTED,
    ID_IS_CID,
    META,
    PROFILE,
    SAME,
    SECOND_ADD,
    SEEN,
    Diagnosis,
    encode,
    place_of,
    with_learned,
)
from reconciler.core.manifest import SecretRef, Service
from reconciler.core.profile import PROFILES

URL = "https://pins.example"


def service(row: str = "spec", declared: tuple[str, ...] = (), **profile: Any) -> Service:
    return Service(
        name="svc",
        endpoint=URL,
        key=SecretRef(kind="env", value=("K",)),
        profile=replace(PROFILES[row], **profile),
        profile_declared=declared,
    )


def diagnosis(url: str = URL, **fields: Any) -> dict[str, str]:
    return {PROFILE: encode(Diagnosis(date="2027-01-31", place=place_of(url), fields=fields))}


def test_the_doctor_beats_the_preset_and_the_manifest_beats_the_doctor() -> None:
    facts = diagnosis(count="plus1", modify="loses", filters=["cid"], idIsCid=True)
    found = with_learned(service(declared=("modify",)), facts)
    expected = replace(PROFILES["spec"], count="plus1", filters=("cid",), id_is_cid=True)
    assert found.profile == expected
    assert found.profile_notes == ("profile by doctor, 2027-01-31",)


def test_nothing_known_changes_nothing() -> None:
    one = service()
    assert with_learned(one, {}) is one


def test_the_finding_of_another_endpoint_is_not_used() -> None:
    one = service()
    assert with_learned(one, diagnosis("https://other.example", count="page")) is one


@pytest.mark.parametrize("fields", [{"count": "of-the-future"}, {"nonsense": "x"}, {"idIsCid": "perhaps"}])
def test_what_this_version_does_not_know_is_told_and_not_used(fields: dict[str, str]) -> None:
    found = with_learned(service(), diagnosis(**fields))
    assert found.profile == PROFILES["spec"]
    assert "cannot be read" in found.profile_notes[0]


@pytest.mark.parametrize("text", ["", "no JSON", "{}", '{"date": 1}'])
def test_a_record_that_is_none_is_as_if_it_were_not_there(text: str) -> None:
    assert with_learned(service(), {PROFILE: text}).profile == PROFILES["spec"]


def test_what_contradicts_a_profile_makes_it_careful_wherever_it_came_from() -> None:
    declared = service(declared=("secondAdd", "meta"))
    found = with_learned(declared, {SECOND_ADD: CONTRADICTED, META: ALTERED, **diagnosis(secondAdd="new")})
    assert (found.profile.second_add, found.profile.meta) == ("unknown", "unknown")
    assert len(found.profile_notes) == 3


def test_a_contradiction_of_something_else_than_what_is_in_force_is_none() -> None:
    found = with_learned(
        service(second_add="overwrite", meta="dropped"), {SECOND_ADD: CONTRADICTED, META: ALTERED}
    )
    assert (found.profile.second_add, found.profile.meta) == ("overwrite", "dropped")
    assert found.profile_notes == ()


def test_an_id_that_is_the_cid_leaves_no_room_for_a_second_pin() -> None:
    found = with_learned(service(), {ID_IS_CID: SEEN})
    assert (found.profile.id_is_cid, found.profile.second_add) == (True, "unknown")
    cluster = with_learned(service("ipfs-cluster"), {ID_IS_CID: SEEN})
    assert cluster.profile == PROFILES["ipfs-cluster"]


def test_where_meta_is_found_to_be_dropped_marks_must_go_elsewhere() -> None:
    found = with_learned(service(), diagnosis(meta="dropped"))
    assert any("ownership: prefix" in note for note in found.profile_notes)
    prefixed = with_learned(replace(service(), ownership="prefix"), diagnosis(meta="dropped"))
    assert len(prefixed.profile_notes) == 1


@pytest.mark.parametrize(
    ("fact", "seen", "field", "careful"),
    [
        ("count", "page", "count", "unknown"),
        ("order", "oldest", "order", "unknown"),
        ("edges", "inclusive", "edges", "unknown"),
        ("precisionMs", "1000", "precision_ms", 0),
        ("limit", "10", "limit", 10),
    ],
)
def test_what_a_listing_showed_is_no_longer_taken_from_the_profile(
    fact: str, seen: str, field: str, careful: Any
) -> None:
    found = with_learned(service(declared=(fact,)), {fact: seen})
    assert found.profile == replace(PROFILES["spec"], **{field: careful})
    (note,) = found.profile_notes
    assert f"{fact} is {seen}, not {str(getattr(PROFILES['spec'], field)).lower()}" in note
    # Said as it was seen, or not said at all, nothing is contradicted; what the doctor settled is forgotten.
    for one in (service(**{field: int(seen) if seen.isdecimal() else seen}), service("unknown")):
        assert with_learned(one, {fact: seen}).profile_notes == () or field == "limit"
    assert with_learned(service(), {fact: ""}).profile_notes == ()


def test_a_limit_that_is_not_obeyed_is_not_asked_for() -> None:
    found = with_learned(service("ipfs-cluster"), {"largeLimit": "false"})
    assert not found.profile.large_limit
    assert with_learned(service(), {"largeLimit": "false"}).profile_notes == ()


def test_a_second_add_that_is_the_first_pin_is_known_as_that() -> None:
    for row in ("spec", "unknown"):
        assert with_learned(service(row), {SECOND_ADD: SAME}).profile.second_add == "same"
    for row in ("ipfs-cluster", "helia"):
        assert with_learned(service(row), {SECOND_ADD: SAME}).profile == PROFILES[row]
