"""Finding the pins of a CID or a name where filters are obeyed, ignored, or half of it."""

import asyncio
from typing import Any

import pytest

from reconciler.core.cid import parse
from reconciler.core.profile import PROFILES, Profile
from reconciler.services.lookup import LookUp, look_up

V0 = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
V1 = "bafybeie5nqv6kd3qnfjupgvz34woh3oksc3iau6abmyajn7qvtf6d2ho34"


def look(
    connect: Any, fake: Any, cid: str, name: str | None = None, profile: Profile = PROFILES["unknown"]
) -> tuple[LookUp, list[str], int]:
    async def main() -> LookUp:
        async with connect(fake.endpoint) as service:
            return await look_up(service, profile, parse(cid), name)

    before = fake.calls
    found = asyncio.run(main())
    return found, sorted(pin.requestid for pin in found.pins), fake.calls - before


@pytest.fixture
def service(fake: Any) -> Any:
    """300 pins; 7 and 8 hold the CID in its two spellings, 9 has the name, 10 a CID that is none."""
    fake.fill(300)
    fake.extra = {
        7: {"pin": {"cid": V0, "name": "seven"}},
        8: {"pin": {"cid": V1, "name": "eight"}, "status": "failed"},
        9: {"pin": {"name": "wanted"}},
        10: {"pin": {"cid": "not a cid"}},
    }
    return fake


@pytest.mark.parametrize("spelling", [V0, V1])
def test_all_spellings_are_asked_for_in_one_request(connect: Any, service: Any, spelling: str) -> None:
    found, ids, requests = look(connect, service, spelling)
    assert (ids, found.complete, requests) == (["id-7", "id-8"], True, 1)
    target = service.seen[-1][1]
    assert V0 in target
    assert V1 in target
    assert target.count("cid=") == 1
    assert "status=queued%2Cpinning%2Cpinned%2Cfailed" in target


def test_a_name_is_asked_for_besides(connect: Any, service: Any) -> None:
    found, ids, requests = look(connect, service, V0, "wanted")
    assert (ids, found.complete, requests) == (["id-7", "id-8", "id-9"], True, 2)


def test_nothing_found_is_an_answer(connect: Any, service: Any) -> None:
    service.extra = {}
    found, ids, _ = look(connect, service, V0, "nobody")
    assert (ids, found.complete) == ([], True)


@pytest.mark.parametrize("obeyed", [(), ("name",), ("cid",)])
def test_an_ignored_filter_shows_itself_and_the_account_is_read(
    connect: Any, service: Any, obeyed: tuple[str, ...]
) -> None:
    service.habits.filters = obeyed
    found, ids, requests = look(connect, service, V1, "wanted")
    assert (ids, found.complete) == (["id-7", "id-8", "id-9"], True)
    assert requests <= 6


def test_an_ignored_filter_in_a_small_account_costs_no_more(connect: Any, service: Any) -> None:
    service.habits.filters = ("name",)
    service.pins = service.pins[:50]
    found, ids, requests = look(connect, service, V1, profile=PROFILES["helia"])
    assert (ids, found.complete, requests) == (["id-7", "id-8"], True, 1)


def test_a_long_account_is_not_read_for_one_pin(connect: Any, service: Any) -> None:
    service.habits.filters = ()
    service.fill(21_500)
    found, _, requests = look(connect, service, V1)
    assert not found.complete
    assert requests <= 24


def test_an_account_that_cannot_be_listed_whole(connect: Any, service: Any) -> None:
    service.habits.filters = ()
    service.habits.count = "page"
    service.pins = [(1_700_000_000_000, n) for n in range(1200)]
    found, _, _ = look(connect, service, V1)
    assert not found.complete


def test_more_pins_of_one_cid_than_a_page(connect: Any, service: Any) -> None:
    service.extra = {n: {"pin": {"cid": V0}} for n in range(150)}
    found, ids, _ = look(connect, service, V1)
    assert (len(ids), found.complete) == (150, True)
