"""What is due when: never twice at once, never missed, whatever the clock on the wall does."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.daemon.schedule import Calendar, CronError, _cron, check_cron


def _run(story: Callable[[Calendar], Coroutine[None, None, None]]) -> None:
    async def main() -> None:
        calendar = Calendar()
        try:
            await story(calendar)
        finally:
            calendar.stop()

    asyncio.run(main())


def test_it_is_due_in_the_thread_of_the_loop_again_and_again() -> None:
    async def story(calendar: Calendar) -> None:
        loop, seen = asyncio.get_running_loop(), asyncio.Queue[asyncio.AbstractEventLoop]()
        calendar.every("x", 0.05, lambda: seen.put_nowait(asyncio.get_running_loop()))
        calendar.start()
        for _ in range(3):
            assert await asyncio.wait_for(seen.get(), 20) is loop

    _run(story)


def test_a_loop_that_was_busy_for_long_misses_nothing_and_makes_nothing_up() -> None:
    async def story(calendar: Calendar) -> None:
        times = 0

        def due() -> None:
            nonlocal times
            times += 1

        calendar.every("x", 0.2, due)
        calendar.start()
        import time

        time.sleep(1.5)
        await asyncio.sleep(0.05)
        assert times == 1

    _run(story)


def test_after_a_jump_of_the_clock_it_is_due_as_if_there_had_been_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(calendar: Calendar) -> None:
        calendar.every("x", 60.0, lambda: None)
        calendar.cron("c", "0 3 * * *", lambda: None)
        calendar.start()
        back = datetime.now(UTC) - timedelta(days=1)

        class Earlier(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:
                return back

        monkeypatch.setattr("reconciler.daemon.schedule.datetime", Earlier)
        monkeypatch.setattr("apscheduler.job.datetime", Earlier, raising=False)
        monkeypatch.setattr("apscheduler.schedulers.base.datetime", Earlier)
        calendar.jumped()
        due = calendar.next("x")
        assert due is not None
        assert due - back == timedelta(seconds=60)

    _run(story)


def test_jitter_makes_it_late_and_never_early() -> None:
    async def story(calendar: Calendar) -> None:
        before = datetime.now(UTC)
        calendar.every("x", 100.0, lambda: None, jitter=1000.0)
        calendar.start()
        due = calendar.next("x")
        assert due is not None
        # No more than a third of the interval, however much is asked for.
        assert timedelta(seconds=99) < due - before < timedelta(seconds=200)

    _run(story)


def _times(text: str, number: int) -> list[str]:
    from apscheduler.triggers.base import BaseTrigger

    found: list[str] = []
    trigger = _cron(text, "UTC", 0.0)
    assert isinstance(trigger, BaseTrigger)
    last, at = None, datetime(2026, 11, 22, 12, tzinfo=UTC)  # a Sunday
    for _ in range(number):
        last = trigger.get_next_fire_time(last, at)
        assert last is not None
        at = last
        found.append(f"{last:%a %d}")
    return found


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("0", ["Sun 29", "Sun 06"]),
        ("7", ["Sun 29", "Sun 06"]),
        ("sun", ["Sun 29", "Sun 06"]),
        ("1", ["Mon 23", "Mon 30"]),
        ("1-5", ["Mon 23", "Tue 24", "Wed 25", "Thu 26", "Fri 27", "Mon 30"]),
        ("mon-fri", ["Mon 23", "Tue 24", "Wed 25", "Thu 26", "Fri 27", "Mon 30"]),
        ("6,0", ["Sat 28", "Sun 29", "Sat 05"]),
        ("Sat-Mon", ["Mon 23", "Sat 28", "Sun 29"]),
        ("5-7", ["Fri 27", "Sat 28", "Sun 29", "Fri 04"]),
        ("*/2", ["Tue 24", "Thu 26", "Sat 28", "Sun 29"]),
        ("0-6", ["Mon 23", "Tue 24"]),
    ],
)
def test_days_of_the_week_are_those_of_cron(field: str, expected: list[str]) -> None:
    assert _times(f"0 3 * * {field}", len(expected)) == expected


def test_of_two_kinds_of_days_either_will_do_as_in_cron() -> None:
    assert _times("0 3 1 * mon", 4) == ["Mon 23", "Mon 30", "Tue 01", "Mon 07"]
    assert _times("0 3 */2 * mon", 2) == ["Mon 23", "Mon 07"]


def test_a_time_that_passed_while_the_machine_slept_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(calendar: Calendar) -> None:
        came = asyncio.Event()
        calendar.cron("c", "0 3 * * *", came.set)
        calendar.start()
        due = calendar.next("c")
        assert due is not None
        later = due + timedelta(hours=2)

        class Later(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:
                return later

        monkeypatch.setattr("reconciler.daemon.schedule.datetime", Later)
        monkeypatch.setattr("apscheduler.schedulers.base.datetime", Later)
        calendar.jumped()
        await asyncio.wait_for(came.wait(), 20)
        again = calendar.next("c")
        assert again is not None
        assert again - due == timedelta(days=1)

    _run(story)


def test_what_was_a_cron_expression_and_is_an_interval_now_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(calendar: Calendar) -> None:
        calendar.cron("x", "0 3 1 1 *", lambda: None)
        calendar.start()
        calendar.every("x", 60.0, lambda: None)
        calendar.jumped()
        due = calendar.next("x")
        assert due is not None
        assert due - datetime.now(UTC) < timedelta(seconds=61)

    _run(story)


@pytest.mark.parametrize(
    "text",
    ["* * *", "61 * * * *", "x", "* * * * * *", "0 0 * * 8", "0 0 * * /2", "0 0 * * 1-x", "0 0 31 2 *"],
)
def test_what_is_no_cron_expression(text: str) -> None:
    with pytest.raises(CronError):
        check_cron(text)


def test_what_is_one() -> None:
    check_cron("*/10 3 * * mon-fri", "Europe/Berlin")
