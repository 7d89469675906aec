"""Listings over a socket, against services with every habit that has been seen, and some that were feared."""

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from reconciler.core.errors import AuthError, RejectedError
from reconciler.core.manifest import Limits, Rate
from reconciler.core.profile import PROFILES, Profile
from reconciler.services.listing import Sweep, sweep, workers

N = 10_000
UNKNOWN = PROFILES["unknown"]


class Sink:
    """Keeps what a sweep gives; a pin that comes twice is an error."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.twice = 0

    def __call__(self, pins: Any) -> None:
        ids = [pin.requestid for pin in pins]
        self.twice += len(ids) - len(set(ids) - self.ids)
        self.ids.update(ids)


def run(connect: Any, fake: Any, profile: Profile = UNKNOWN, concurrency: int = 1) -> tuple[Sweep, Sink]:
    sink = Sink()

    async def main() -> Sweep:
        async with connect(fake.endpoint) as service:
            result = await sweep(service, profile, sink, concurrency=concurrency)
            assert result.requests == service.requests == fake.calls
            return result

    result = asyncio.run(main())
    assert sink.twice == 0
    assert len(sink.ids) == result.seen
    return result, sink


# name, habits, pins per second, most requests for 20,000 pins (None: it must refuse)
PROFILES_SEEN: list[tuple[str, dict[str, Any], float, int | None]] = [
    ("ideal", {}, 5, 23),
    ("whole seconds, 5 a second", {"quantum": 1000}, 5, 23),
    ("whole seconds, 300 a second", {"quantum": 1000}, 300, 36),
    ("whole seconds, 900 a second", {"quantum": 1000}, 900, 60),
    ("before inclusive", {"before_inclusive": True}, 5, 23),
    ("inclusive, whole seconds", {"before_inclusive": True, "after_inclusive": True, "quantum": 1000}, 5, 23),
    ("count is results + 1", {"count": "plus1"}, 5, 23),
    ("count is the page", {"count": "page"}, 5, 24),
    ("limit ignored, 10 a page", {"cap": 10}, 5, 2300),
    ("100 a page", {"cap": 100}, 5, 210),
    ("10 a page, which is what it counts", {"cap": 10, "count": "page"}, 5, 2300),
    (
        "unsorted",
        {"order": "random", "before_inclusive": True, "after_inclusive": True, "quantum": 1000},
        5,
        70,
    ),
    ("oldest first", {"order": "oldest"}, 5, 26),
    ("oldest first, count is the page", {"order": "oldest", "count": "page"}, 5, 26),
    ("milliseconds, edges cut to seconds", {"before_cut_to": 1000, "after_cut_to": 1000}, 5, 26),
    ("10 a page, whole seconds, 5 a second", {"cap": 10, "quantum": 1000}, 5, None),
    ("10 a page, whole seconds, 20 a second", {"cap": 10, "quantum": 1000}, 20, None),
]


@pytest.mark.parametrize(
    ("habit", "rate", "most"), [row[1:] for row in PROFILES_SEEN], ids=[row[0] for row in PROFILES_SEEN]
)
def test_a_listing_is_whole_or_says_that_it_is_not(
    connect: Any, fake: Any, habit: dict[str, Any], rate: float, most: int | None
) -> None:
    for name, value in habit.items():
        setattr(fake.habits, name, value)
    n = 4_000 if fake.habits.cap == 10 else N
    fake.fill(n, rate=rate)
    result, sink = run(connect, fake)
    if most is None:
        assert not result.complete
        assert "one instant" in result.why
        assert result.seen < n
    else:
        assert result.complete, result.why
        assert len(sink.ids) == n
        assert result.requests <= most * n / 20_000 + 4


# --- few requests where few are enough -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "profile", "requests"),
    [
        (0, "unknown", 1), (1, "unknown", 1), (9, "unknown", 1), (10, "unknown", 2), (999, "unknown", 2),
        (0, "spec", 1), (10, "spec", 2), (11, "spec", 1), (999, "spec", 1), (1000, "spec", 2), (1001, "spec", 3),
        (34, "pinata", 1), (1000, "ipfs-cluster", 2), (5000, "ipfs-cluster", 2),
    ],
)  # fmt: skip
def test_small_accounts_cost_few_requests(
    connect: Any, fake: Any, n: int, profile: str, requests: int
) -> None:
    if profile == "ipfs-cluster":
        fake.habits.large_limit = True
    fake.fill(n)
    result, sink = run(connect, fake, PROFILES[profile])
    assert (result.complete, len(sink.ids), result.requests) == (True, n, requests)


def test_every_request_names_all_four_states_and_the_limit(connect: Any, fake: Any) -> None:
    fake.fill(2500)
    run(connect, fake)
    assert fake.seen
    for method, target, _, _ in fake.seen:
        assert method == "GET"
        assert "status=queued%2Cpinning%2Cpinned%2Cfailed" in target
        assert "limit=1000" in target


def test_the_date_of_the_service_is_held_against_our_clock(connect: Any, fake: Any) -> None:
    result, _ = run(connect, fake)
    assert result.skew is not None
    assert abs(result.skew) < 60


# --- where time cannot tell pins apart -------------------------------------------------------------------------


def cluster(fake: Any, n: int, instants: int) -> None:
    """As measured: unsorted, inclusive, whole seconds, no cap, and bulk adds of 1,600 a second."""
    habits = fake.habits
    habits.quantum, habits.order, habits.large_limit = 1000, "random", True
    habits.before_inclusive = habits.after_inclusive = True
    fake.pins = [(1_700_000_000_000 + 1000 * (i % instants), i) for i in range(n)]
    fake.pins.sort()


@pytest.mark.parametrize("profile", ["ipfs-cluster", "unknown"])
@pytest.mark.parametrize(("n", "instants"), [(1600, 1), (2501, 2), (2501, 900)])
def test_a_cluster_filled_in_a_second(connect: Any, fake: Any, profile: str, n: int, instants: int) -> None:
    cluster(fake, n, instants)
    result, sink = run(connect, fake, PROFILES[profile])
    assert result.complete, result.why
    assert len(sink.ids) == n
    assert result.requests <= (2 if profile == "ipfs-cluster" else 12)


def test_a_second_full_of_pins_at_a_service_that_keeps_to_its_limit(connect: Any, fake: Any) -> None:
    cluster(fake, 1600, 1)
    fake.habits.large_limit, fake.habits.refuses_above = False, 1000
    result, _ = run(connect, fake)
    assert not result.complete
    assert "one instant" in result.why


@pytest.mark.parametrize(("count", "complete"), [("total", True), ("plus1", True), ("page", False)])
def test_fifty_pins_of_one_instant_are_whole_if_a_count_tells(
    connect: Any, fake: Any, count: str, complete: bool
) -> None:
    """One page that holds them all, or the first 50 of many: only a count that exceeds its page can tell."""
    fake.habits.count = count
    fake.pins = [(1_700_000_000_000, i) for i in range(50)]
    result, _ = run(connect, fake)
    assert result.complete is complete


def test_milliseconds_help_where_the_first_page_had_whole_seconds(connect: Any, fake: Any) -> None:
    fake.pins = [(1_700_000_000_000 + i // 2, i) for i in range(1900)]
    fake.pins += [(1_700_000_100_000 + 1000 * i, 5000 + i) for i in range(1000)]
    result, sink = run(connect, fake)
    assert result.complete, result.why
    assert len(sink.ids) == 2900


# --- habits that no profile has ----------------------------------------------------------------------------------


def test_before_ignored(connect: Any, fake: Any) -> None:
    fake.fill(3000)
    fake.habits.ignores_before, fake.habits.count = True, "page"
    result, _ = run(connect, fake)
    assert not result.complete
    assert "`before` is ignored" in result.why


def test_a_count_without_results_is_no_empty_account(connect: Any, fake: Any) -> None:
    fake.hook = lambda *_: (200, {}, b'{"count":7,"results":null}')
    result, _ = run(connect, fake)
    assert not result.complete
    assert "counts 7 pins and lists none" in result.why


def test_fewer_pins_than_are_counted_are_not_all(connect: Any, fake: Any) -> None:
    fake.fill(2500)
    fake.habits.count = "all"
    hidden = fake.pins.pop(1200)
    honest = fake.listed

    def listed(query: Any) -> Any:
        page = honest(query)
        return {**page, "count": page["count"] + 1} if "before" not in query else page

    fake.listed = listed
    result, _ = run(connect, fake)
    assert not result.complete
    assert result.why == "it counts 2500 pins and listed 2499"
    assert hidden


def test_stamps_that_cannot_be_read_end_at_the_first_page(connect: Any, fake: Any) -> None:
    fake.habits.render = lambda ms: "yesterday"
    fake.fill(5)
    assert run(connect, fake)[0].complete
    fake.fill(2000)
    fake.calls = 0
    result, _ = run(connect, fake)
    assert not result.complete
    assert "`created` cannot be read" in result.why


def test_offsets_and_fractions_of_any_length(connect: Any, fake: Any) -> None:
    """Filebase's whole seconds with a local offset that changes in the middle, and stripped zeros."""

    def render(ms: int) -> str:
        hours = -5 if ms % 7 else -4
        text = datetime.fromtimestamp(ms / 1000, timezone(timedelta(hours=hours))).isoformat(
            timespec="milliseconds"
        )
        return text.replace(".000", "")

    fake.habits.render = render
    fake.fill(2500)
    result, sink = run(connect, fake)
    assert result.complete, result.why
    assert len(sink.ids) == 2500


@pytest.mark.parametrize("largest", [100, 10])
def test_a_limit_of_1000_refused(connect: Any, fake: Any, largest: int) -> None:
    fake.habits.refuses_above = fake.habits.cap = largest
    fake.fill(300)
    result, sink = run(connect, fake)
    assert result.complete, result.why
    assert len(sink.ids) == 300


def test_404_for_an_empty_list(connect: Any, fake: Any) -> None:
    fake.habits.empty_is_404 = True
    result, _ = run(connect, fake)
    assert (result.complete, result.seen) == (True, 0)
    fake.fill(1500)
    fake.calls = 0
    assert run(connect, fake)[0].complete


# --- what happens meanwhile ----------------------------------------------------------------------------------------


def test_a_pin_that_is_replaced_while_it_is_listed_is_seen(connect: Any, fake: Any) -> None:
    """Its old id is gone before its window is read, its new one is newer than everything read so far."""
    fake.fill(3000)
    fake.habits.count = "plus1"  # a total would give it away

    def replace(fake: Any, *_: Any) -> None:
        if fake.calls == 2:
            fake.pins.remove(fake.pins[10])
            fake.pins.append((fake.pins[-1][0] + 1, 9000))

    fake.hook = replace
    result, sink = run(connect, fake)
    assert result.complete
    assert "id-9000" in sink.ids


def test_a_sentinel_that_was_deleted_is_no_gap(connect: Any, fake: Any) -> None:
    fake.fill(3000)

    def delete(fake: Any, *_: Any) -> None:
        if fake.calls == 2:
            fake.pins.remove(fake.pins[-1000])

    fake.hook = delete
    result, sink = run(connect, fake)
    assert result.complete
    assert len(sink.ids) == 3000


def test_pins_added_without_end(connect: Any, fake: Any) -> None:
    fake.fill(1500)
    fake.hook = lambda fake, *_: fake.pins.append((fake.pins[-1][0] + 5, 10_000 + fake.calls))
    result, _ = run(connect, fake)
    assert not result.complete
    assert "faster than" in result.why


# --- several windows at once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["spec", "unknown"])
@pytest.mark.parametrize("rate", [0.01, 5, 2000])
def test_windows_are_read_at_once_where_waiting_takes_the_time(
    connect: Any, fake: Any, serve: Any, profile: str, rate: float
) -> None:
    fake.habits.latency = 0.2  # far above what a loaded machine takes for a page
    fake.fill(N, rate=rate)
    # All but a few in one burst: windows of equal time are not windows of equal work.
    if rate == 5:
        fake.pins = [(t if i % 10 else t - 10_000_000, n) for i, (t, n) in enumerate(fake.pins)]
        fake.pins.sort()
    most = 0
    flying = 0

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        nonlocal most, flying
        flying += 1
        most = max(most, flying)
        await type(fake).__call__(fake, scope, receive, send)
        flying -= 1

    with serve(counted) as endpoint:
        fake.endpoint = endpoint
        result, sink = run(connect, fake, PROFILES[profile], concurrency=8)
    assert result.complete, result.why
    assert len(sink.ids) == N
    assert result.requests <= N / 1000 + 8 + 12
    if rate != 2000:
        assert most > 2


def test_slow_services_are_asked_for_one_window_at_a_time() -> None:
    assert workers(Limits(concurrency=16)) == 16
    assert workers(Limits(concurrency=16, requests=Rate(100, 1))) == 16
    assert workers(Limits(concurrency=16, requests=Rate(60, 60))) == 1
    assert workers(Limits(concurrency=16, requests=Rate(100, 1), listing=Rate(30, 60))) == 1


# --- failures ------------------------------------------------------------------------------------------------------


def failing_at(call: int, status: int, body: bytes = b"{}") -> Any:
    return lambda fake, *_: (status, {}, body) if fake.calls >= call else None


def test_a_failure_of_the_first_page_is_raised(connect: Any, fake: Any) -> None:
    fake.hook = failing_at(1, 418)
    with pytest.raises(RejectedError):
        run(connect, fake)


def test_a_failure_on_the_way_is_an_incomplete_listing(connect: Any, fake: Any) -> None:
    fake.fill(3000)
    fake.hook = failing_at(2, 418, b'{"error":{"reason":"TEAPOT"}}')
    result, sink = run(connect, fake)
    assert not result.complete
    assert "TEAPOT" in result.why
    assert len(sink.ids) == result.seen == 1000


def test_a_key_that_is_refused_is_raised_at_any_time(connect: Any, fake: Any) -> None:
    for call in (1, 2):
        fake.calls = 0
        fake.fill(3000)
        fake.hook = failing_at(call, 401)
        with pytest.raises(AuthError):
            run(connect, fake)
