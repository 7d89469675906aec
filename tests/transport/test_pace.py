"""The pace of a service, on an event loop whose time is ours."""

import asyncio
import bisect
import itertools
import selectors
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.manifest import Rate
from reconciler.transport.breaker import Breaker
from reconciler.transport.pace import Pace, bucket, exhausted, http_date, retry_after


class _Selector(selectors.DefaultSelector):
    """Waiting takes no time: the clock of the loop jumps."""

    jumped = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        # Never quite nothing, or what waits for less than a float can hold would wait for ever.
        self.jumped += 1e-7 if events or not timeout else max(timeout, 1e-7)
        return events


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.fake = _Selector()
        super().__init__(self.fake)

    def time(self) -> float:
        return self.fake.jumped


def departures(rate: Rate, seconds: float, workers: int = 8) -> list[float]:
    loop = _Loop()
    times: list[float] = []

    async def work(limiter: Any) -> None:
        while loop.time() < seconds:
            await limiter.acquire()
            times.append(loop.time())

    async def main() -> None:
        limiter = bucket(rate)
        await asyncio.gather(*(work(limiter) for _ in range(workers)))

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    return [t for t in times if t <= seconds]


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(
        [Rate(1, 1), Rate(5, 1), Rate(10, 1), Rate(100, 1), Rate(30, 60), Rate(60, 60), Rate(250, 60)]
    )
)
def test_never_more_than_the_limit_in_any_window_and_nearly_all_of_it(rate: Rate) -> None:
    length = 20 * rate.seconds
    times = departures(rate, length)
    for i, start in enumerate(times):
        assert bisect.bisect_left(times, start + rate.seconds - 1e-6) - i <= rate.count
    assert len(times) >= 0.95 * rate.count * 20


def test_a_rate_below_one_is_a_longer_time() -> None:
    times = departures(Rate(0.5, 1), 21)
    assert 10 <= len(times) <= 11
    assert min(b - a for a, b in itertools.pairwise(times)) >= 1.9


def test_a_pause_is_waited_for_and_a_shorter_one_does_not_end_it() -> None:
    now = [100.0]
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(None, clock=lambda: now[0], sleep=sleep)
    pace.pause(30)
    pace.pause(5)
    assert pace.paused == 30
    asyncio.run(pace.turn())
    assert slept == [30]
    asyncio.run(pace.turn())
    assert slept == [30]
    pace.pause(10_000)
    assert pace.paused == 300


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "60"}, 60),
        ({"retry-after": "0"}, 0),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 60),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT", "date": "Thu, 01 Jan 1970 00:00:50 GMT"}, 10),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon", "x-ratelimit-reset": "7"}, 7),
        ({"x-ratelimit-reset": "1700000010", "date": "Tue, 14 Nov 2023 22:13:20 GMT"}, 10),
        ({"x-ratelimit-reset": "1700000010", "date": "Tue, 14 Nov 2023 23:13:20 GMT"}, 1),
        ({"x-ratelimit-reset": "1700000010"}, 300),
        ({"x-ratelimit-reset": "٣"}, None),
    ],
)
def test_how_long_an_answer_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, 0.0) == seconds


def test_an_allowance_is_used_up_at_zero() -> None:
    reset = {"x-ratelimit-reset": "7"}
    assert exhausted({"x-ratelimit-remaining": "0", **reset}, 0) == 7
    assert exhausted({"x-ratelimit-remaining": "1", **reset}, 0) is None
    assert exhausted(reset, 0) is None
    assert exhausted({"x-ratelimit-remaining": "0"}, 0) is None


def test_dates_that_are_none() -> None:
    assert http_date("") is None
    assert http_date("yesterday") is None
    assert http_date("Thu, 01 Jan 1970 00:01:00 GMT") == 60


def test_the_breaker_lets_one_through_after_the_cool_down() -> None:
    now = [0.0]
    breaker = Breaker(failures=2, cool_down=10, clock=lambda: now[0])
    breaker.failed()
    assert breaker.lets_through()
    breaker.failed()
    assert not breaker.lets_through()
    now[0] = 10
    assert breaker.lets_through()
    assert not breaker.lets_through(), "only one, until it is known how that went"
    breaker.failed()
    now[0] = 15
    assert not breaker.lets_through()
    now[0] = 20
    assert breaker.lets_through()
    breaker.answered()
    assert breaker.lets_through()
    breaker.failed()
    assert breaker.lets_through()
