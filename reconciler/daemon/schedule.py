"""The one door to APScheduler: what is due when.

What is scheduled only says that something is due, to whoever does it in their own time; so nothing here overlaps,
misses its time or has to be waited for. APScheduler goes by the wall clock: a clock that jumps is met by `jumped`.
"""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Protocol

from reconciler.manifest.loop import WEEK

Due = Callable[[], None]


class CronError(ValueError):
    """Text that is no cron expression."""


class Schedule(Protocol):
    """Recurring times. `jitter` is how many seconds each may be late."""

    def every(self, name: str, seconds: float, due: Due, *, jitter: float = 0.0) -> None: ...

    def cron(
        self, name: str, expression: str, due: Due, *, timezone: str = "UTC", jitter: float = 0.0
    ) -> None: ...

    def start(self) -> None: ...

    def jumped(self) -> None:
        """The wall clock was set, or stood still while the machine slept: what is due in so many seconds is due in so
        many seconds from now, and a time of a cron expression that has passed meanwhile has come."""
        ...

    def next(self, name: str) -> datetime | None: ...

    def stop(self) -> None: ...


class Calendar:
    """`Schedule` by APScheduler 3, in the running event loop."""

    def __init__(self) -> None:
        from apscheduler.jobstores.memory import MemoryJobStore
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            jobstores={"default": MemoryJobStore()},
            # Its default of one second would skip, without a word, whatever a busy loop is late for.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._intervals: dict[str, tuple[float, float]] = {}
        self._crons: dict[str, tuple[str, str, float]] = {}

    def every(self, name: str, seconds: float, due: Due, *, jitter: float = 0.0) -> None:
        self._intervals[name] = (seconds, jitter)
        self._crons.pop(name, None)
        self._scheduler.add_job(_plain(due), self._interval(seconds, jitter), id=name, replace_existing=True)

    def cron(
        self, name: str, expression: str, due: Due, *, timezone: str = "UTC", jitter: float = 0.0
    ) -> None:
        """Raises CronError."""
        self._crons[name] = (expression, timezone, jitter)
        self._intervals.pop(name, None)
        trigger = _cron(expression, timezone, jitter)
        self._scheduler.add_job(_plain(due), trigger, id=name, replace_existing=True)

    def start(self) -> None:
        self._scheduler.start()

    def jumped(self) -> None:
        for name, (seconds, jitter) in self._intervals.items():
            self._scheduler.reschedule_job(name, trigger=self._interval(seconds, jitter))
        for name, (expression, timezone, jitter) in self._crons.items():
            due, now = self.next(name), datetime.now(UTC)
            self._scheduler.reschedule_job(name, trigger=_cron(expression, timezone, jitter))
            if due is not None and due <= now:
                self._scheduler.modify_job(name, next_run_time=now)

    def next(self, name: str) -> datetime | None:
        job = self._scheduler.get_job(name)
        # A job has no next time before the scheduler has started.
        found: datetime | None = getattr(job, "next_run_time", None)
        return found

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    @staticmethod
    def _interval(seconds: float, jitter: float) -> object:
        from apscheduler.triggers.interval import IntervalTrigger

        # No more than a third of the interval, or two runs could change places.
        least = min(jitter, seconds / 3)
        return IntervalTrigger(
            seconds=seconds,
            jitter=least or None,
            timezone=UTC,
            start_date=datetime.now(UTC) + timedelta(seconds=seconds),
        )


def check_cron(expression: str, timezone: str = "UTC") -> None:
    """Raises CronError if that is no cron expression of five fields."""
    _cron(expression, timezone, 0.0)


def _cron(expression: str, timezone: str, jitter: float) -> object:
    from apscheduler.triggers.combining import OrTrigger
    from apscheduler.triggers.cron import CronTrigger

    try:
        if len(fields := expression.split()) != 5:
            raise CronError(f"it has {len(fields)} fields")
        minute, hour, day, month, weekday = fields
        # As cron(8) reads it: where both kinds of days are restricted, either will do.
        either = not (day.startswith("*") or weekday.startswith("*"))
        triggers = [
            CronTrigger(
                minute=minute, hour=hour, day=d, month=month, day_of_week=_weekdays(w), timezone=timezone
            )
            for d, w in ([(day, "*"), ("*", weekday)] if either else [(day, weekday)])
        ]
    except (ValueError, LookupError) as error:
        raise CronError(str(error)) from None
    if all(trigger.get_next_fire_time(None, datetime.now(UTC)) is None for trigger in triggers):
        raise CronError("there is no such day")
    trigger = OrTrigger(triggers) if either else triggers[0]
    trigger.jitter = jitter or None
    return trigger


def _weekdays(field: str) -> str:
    """Days of the week as cron(8) counts them, where Sunday is 0 and 7, for APScheduler, to which 0 is Monday.

    Raises ValueError.
    """
    days: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        low = 0 if span == "*" else _weekday(first)
        high = _weekday(last) if dash else low if span != "*" and not slash else 6
        if high < low:
            high += 7
        days.update((day - 1) % 7 for day in range(low, high + 1, int(step) if slash else 1))
    return "*" if len(days) == 7 else ",".join(str(day) for day in sorted(days))


def _weekday(text: str) -> int:
    if text.casefold() in WEEK:
        return WEEK.index(text.casefold())
    if text.isdecimal() and text.isascii() and int(text) <= 7:
        return int(text)
    raise ValueError(f"{text!r} is no day of the week")


def _plain(due: Due) -> Callable[[], Coroutine[None, None, None]]:
    """A coroutine function, since APScheduler runs any other in a thread."""

    async def job() -> None:
        due()

    return job
