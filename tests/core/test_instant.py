import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.instant import MICROSECOND, MILLISECOND, SECOND, format_instant, parse_instant

FIRST = -62_135_596_800 * SECOND
LAST = 253_402_300_800 * SECOND - 1


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.5Z", SECOND // 2),
        ("1970-01-01t00:00:01z", SECOND),
        ("1970-01-01 00:00:01Z", SECOND),
        # Filebase, nft.storage, Estuary, ipfs-cluster
        ("2023-01-25T18:01:43.000-05:00", 1_674_687_703 * SECOND),
        ("2023-01-25T18:01:43.9+00:00", 1_674_669_703 * SECOND + 900 * MILLISECOND),
        ("2023-01-25T18:01:43.430055333Z", 1_674_669_703 * SECOND + 430_055_333),
        ("2023-01-25T18:01:43.430055Z", 1_674_669_703 * SECOND + 430_055_000),
        ("2023-01-25T18:01:43+0530", 1_674_649_903 * SECOND),
        # More digits than nanoseconds have are cut off.
        ("1970-01-01T00:00:00.1234567899Z", 123_456_789),
        ("1969-12-31T23:59:59.999Z", -MILLISECOND),
        ("2016-12-31T23:59:60Z", 1_483_228_800 * SECOND),
    ],
)
def test_what_services_write_is_read_to_the_nanosecond(text: str, instant: int) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "", "Z", "now", "1674669703", "2023-01-25", "2023-01-25T18:01:43", "2023-01-25T18:01Z",
        "2023-02-30T00:00:00Z", "2023-01-25T24:00:00.5Z", "2023-13-25T18:01:43.000Z", "2023-W04-3T18:01:43.000Z",
        "20230125T18:01:43.0000Z", "2023-01-25T18:01:43.Z", "2023-01-25T18:01:43.٣Z", "2023-01-25T18:01:43.000Z\n",
        "2023-01-25TZ", "2023-01-25T18:01:43+24:00", "2023-01-25T18:01:43+00:60", "0000-01-01T00:00:00Z", "x" * 24,
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)


@given(st.integers(FIRST, LAST), st.sampled_from([1, MICROSECOND, MILLISECOND]))
def test_what_is_written_reads_back_cut_to_the_step(instant: int, step: int) -> None:
    text = format_instant(instant, step)
    assert text.endswith("Z")
    assert parse_instant(text) == instant - instant % step


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)),  # noqa: DTZ001
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_an_offset_is_taken_off(naive: datetime, minutes: int) -> None:
    there = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    since = there - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_instant(there.isoformat()) == since // timedelta(microseconds=1) * MICROSECOND


@given(st.text(max_size=40))
def test_no_text_raises_anything_but_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_instant(text)


def test_years_that_cannot_be_written_are_refused() -> None:
    for instant in (FIRST - 1, LAST + 1):
        with pytest.raises(ValueError, match="years"):
            format_instant(instant)
