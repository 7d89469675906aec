"""When changes may be made: `applyWindows`, by the clock on the wall of a time zone.

`Mon-Fri 22:00-06:00` is open from Monday at ten in the evening, and for the last time until Saturday at six in the
morning. Where a clock is set forward or back in a window, the window is shorter or longer by as much.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from reconciler.core.manifest import Window

_DAY = 1440


def is_open(windows: Sequence[Window], now: datetime, timezone: str = "UTC") -> bool:
    """Whether changes may be made at `now`. Without windows they always may."""
    if not windows:
        return True
    local = now.astimezone(_zone(timezone))
    minute = local.hour * 60 + local.minute
    return any(_covers(window, local.weekday(), minute) for window in windows)


def next_change(windows: Sequence[Window], now: datetime, timezone: str = "UTC") -> datetime | None:
    """When it opens if it is shut, and shuts if it is open; None if that never happens."""
    if not windows:
        return None
    state = is_open(windows, now, timezone)
    at = now.astimezone(UTC).replace(second=0, microsecond=0)
    # By the minute: the edges lie where the clocks of the zone say, which a change of them moves.
    for _ in range(8 * _DAY):
        at += timedelta(minutes=1)
        if is_open(windows, at, timezone) != state:
            return at
    return None


def _covers(window: Window, day: int, minute: int) -> bool:
    if window.start < window.end:
        return day in window.days and window.start <= minute < window.end
    opened_today = day in window.days and minute >= window.start
    opened_before = (day - 1) % 7 in window.days and minute < window.end
    return opened_today or opened_before


def _zone(name: str) -> tzinfo:
    # A slim system may have no table of zones; UTC needs none.
    return UTC if name == "UTC" else ZoneInfo(name)
