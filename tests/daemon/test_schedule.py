"""What is due when: never twice at once, never missed, whatever the clock on the wall does."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.daemon.schedule import Calendar, CronError, check_cron


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


@pytest.mark.parametrize("text", ["* * *", "61 * * * *", "x", "* * * * * *"])
def test_what_is_no_cron_expression(text: str) -> None:
    with pytest.raises(CronError):
        check_cron(text)


def test_what_is_one() -> None:
    check_cron("*/10 3 * * mon-fri", "Europe/Berlin")
