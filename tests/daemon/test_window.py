"""When changes may be made: days, nights that begin on one day and end on the next, and clocks that are set."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.manifest import Window
from reconciler.daemon.window import is_open, next_change
from reconciler.manifest.loop import WindowError, parse_window

# 2027-01-04 is a Monday.


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("Mon-Fri 22:00-06:00", "2027-01-04T21:59", False),
        ("Mon-Fri 22:00-06:00", "2027-01-04T22:00", True),
        ("Mon-Fri 22:00-06:00", "2027-01-05T05:59", True),
        ("Mon-Fri 22:00-06:00", "2027-01-05T06:00", False),
        ("Mon-Fri 22:00-06:00", "2027-01-09T05:00", True),  # Saturday morning belongs to Friday's
        ("Mon-Fri 22:00-06:00", "2027-01-09T22:30", False),
        ("Mon-Fri 22:00-06:00", "2027-01-04T03:00", False),  # Sunday had none
        ("Sat,Sun", "2027-01-09T00:00", True),
        ("Sat,Sun", "2027-01-10T23:59", True),
        ("Sat,Sun", "2027-01-11T00:00", False),
        ("02:00-05:00", "2027-01-06T02:00", True),
        ("02:00-05:00", "2027-01-06T05:00", False),
        ("Sat-Mon 12:00-24:00", "2027-01-04T23:59", True),
        ("Sat-Mon 12:00-24:00", "2027-01-05T00:00", False),
        ("sun", "2027-01-10T10:00", True),
    ],
)
def test_open_and_shut(text: str, at: str, expected: bool) -> None:
    assert is_open([parse_window(text)], datetime.fromisoformat(at).replace(tzinfo=UTC)) is expected


def test_without_windows_it_is_always_open() -> None:
    assert is_open((), datetime(2027, 1, 1, tzinfo=UTC))
    assert next_change((), datetime(2027, 1, 1, tzinfo=UTC)) is None


def test_the_zone_decides_and_summer_time_moves_it() -> None:
    night = [parse_window("02:00-04:00")]
    assert is_open(night, datetime(2027, 1, 10, 1, 30, tzinfo=UTC), "Europe/Berlin")
    assert not is_open(night, datetime(2027, 7, 10, 2, 30, tzinfo=UTC), "Europe/Berlin")
    # 2027-03-28: at 02:00 it is 03:00, so the window is an hour, from 01:00 to 02:00 UTC.
    assert is_open(night, datetime(2027, 3, 28, 1, 0, tzinfo=UTC), "Europe/Berlin")
    assert not is_open(night, datetime(2027, 3, 28, 0, 59, tzinfo=UTC), "Europe/Berlin")
    assert not is_open(night, datetime(2027, 3, 28, 2, 0, tzinfo=UTC), "Europe/Berlin")


@given(
    days=st.sets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 1439),
    end=st.integers(1, 1440),
    minute=st.integers(0, 7 * 1440 - 1),
)
def test_what_is_said_to_come_next_comes_then(days: set[int], start: int, end: int, minute: int) -> None:
    window = [Window(days=tuple(days), start=start, end=end if end != start else end + 1)]
    now = datetime.fromtimestamp(datetime(2027, 1, 4, tzinfo=UTC).timestamp() + minute * 60, UTC)
    at = next_change(window, now)
    if at is None:
        assert len(days) == 7
        return
    assert at > now
    before = datetime.fromtimestamp(at.timestamp() - 60, UTC)
    assert is_open(window, at) is not is_open(window, now)
    assert is_open(window, before) is is_open(window, now)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Mo", "no day"),
        ("Mon 25:00-26:00", "no span"),
        ("Mon 10:60-11:00", "no span"),
        ("Mon 10:00-10:00", "no time at all"),
        ("Mon 1000", "no span"),
        ("", "days, times"),
        ("Mon Tue 10:00-11:00", "days, times"),
        ("Mon-", "no day"),
        (",", "no day"),
    ],
)
def test_what_is_no_window_is_told(text: str, what: str) -> None:
    with pytest.raises(WindowError, match=what) as caught:
        parse_window(text)
    assert caught.value.hint
