"""RFC 3339 instants, exactly: `created` is a whole number of microseconds, filters may be finer."""

import re
from datetime import UTC, datetime, timedelta

#: Instants of filters are counted in this many parts of a microsecond.
FINE = 10_000
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,40}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_DIGITS = {1: 6, 1_000: 3, 1_000_000: 0}
_FRACTIONS = {"ns": 9, "us": 6, "ms": 3, "s": 0}


def parse_fine(text: str) -> int:
    """An instant in ten-thousandths of a microsecond since 1970.

    Digits beyond nanoseconds only set the last place, so that order against whole microseconds stays exact.
    Raises ValueError with the reason.
    """
    match = _RFC3339.fullmatch(text)
    if not match:
        raise ValueError("not an RFC 3339 date-time such as 2026-01-31T12:00:00.000Z")
    day, clock, fraction, sign, hours, minutes = match.groups()
    seconds = (datetime.fromisoformat(f"{day}T{clock}+00:00") - _EPOCH) // _SECOND
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            raise ValueError("no date-time: its offset from UTC is out of range")
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds += offset if sign == "-" else -offset
    digits = (fraction or "").ljust(9, "0")
    sticky = "1" if digits[9:].strip("0") else "0"
    return seconds * 1_000_000 * FINE + int(digits[:9] + sticky)


def show(microseconds: int, step: int) -> str:
    """`created` as text in UTC with `Z`, cut to steps of `step` microseconds (1, 1000 or 1000000)."""
    seconds, rest = divmod(microseconds, 1_000_000)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]
    digits = _DIGITS[step]
    return f"{text}.{f'{rest:06d}'[:digits]}Z" if digits else text + "Z"


def nanoseconds(microseconds: int) -> int:
    """The last three digits of an instant shown in nanoseconds: made up, always the same ones."""
    return microseconds * 7919 % 1000


def render(microseconds: int, precision: str, offset: str = "Z", zeros: str = "kept") -> str:
    """An instant in any of the ways that services show it: "ns" to "s", `Z` or an offset, with what zeros."""
    shift = 0
    if offset != "Z":
        shift = int(offset[1:3]) * 3600 + int(offset[4:]) * 60
        shift = -shift if offset[0] == "-" else shift
    seconds, rest = divmod(microseconds, 1_000_000)
    text = (_EPOCH + timedelta(seconds=seconds + shift)).isoformat()[:19]
    fraction = f"{rest:06d}{nanoseconds(microseconds):03d}"[: _FRACTIONS[precision]]
    if zeros == "stripped":
        fraction = fraction.rstrip("0")
    elif zeros == "padded":
        fraction = fraction.ljust(3, "0")
    return text + (f".{fraction}" if fraction else "") + offset


def from_datetime(when: datetime) -> int:
    """Microseconds since 1970."""
    return (when.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
