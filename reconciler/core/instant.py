"""Instants as services write them (RFC 3339), held as whole nanoseconds since 1970.

Nanoseconds, because ipfs-cluster and Estuary send nine digits, and `datetime` keeps six and drops the rest in
silence. What is parsed is only ever used to order pins of one service and to ask it for a window: its texts
are kept as they came, and they are never compared with our own clock.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

SECOND: Final = 1_000_000_000
MILLISECOND: Final = 1_000_000
MICROSECOND: Final = 1_000

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  naive on both sides: the offset is added by hand
_FIRST = -62_135_596_800 * SECOND
_LAST = 253_402_300_800 * SECOND - 1

_GENERAL = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:)([0-9]{2})"
    r"(?:[.,]([0-9]+))?(?:([Zz])|([+-])([0-9]{2}):?([0-9]{2}))"
)


def parse_instant(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 text. Raises ValueError for anything else.

    More than nine digits of a second are cut off. Beyond the standard, as services send them: a space for the
    `T`, an offset without its colon. A leap second counts as the first instant of the next minute.
    """
    if text[-1:] == "Z" and text[10:11] == "T" and text[4] == "-" and text[7] == "-" and text[16:17] == ":":
        # The shape nearly every service sends. The two dashes keep out the other things fromisoformat reads.
        digits = text[20:-1]
        plain = text[19:] == "Z" or (text[19:20] == "." and digits.isdigit() and digits.isascii())
        if plain and text[17:19] != "60":
            span = datetime.fromisoformat(text[:19]) - _EPOCH
            return (span.days * 86_400 + span.seconds) * SECOND + int(digits[:9].ljust(9, "0"))
    return _parse_general(text)


def _parse_general(text: str) -> int:
    match = _GENERAL.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 instant")
    day, hours, seconds, digits, zulu, sign, offset_hours, offset_minutes = match.groups()
    leap = seconds == "60"
    span = datetime.fromisoformat(f"{day}T{hours}{'59' if leap else seconds}") - _EPOCH
    total = span.days * 86_400 + span.seconds + leap
    if not zulu:
        if int(offset_hours) > 23 or int(offset_minutes) > 59:
            raise ValueError("an offset of more than a day")
        offset = int(offset_hours) * 3600 + int(offset_minutes) * 60
        total -= -offset if sign == "-" else offset
    return total * SECOND + (0 if leap else int((digits or "0")[:9].ljust(9, "0")))


def format_instant(instant: int, step: int = MILLISECOND) -> str:
    """`instant` (ns since 1970) in UTC with `Z`, cut down to `step` ns: 3, 6 or 9 digits, never fewer than 3.

    Three, since that is what every known service parses and what JavaScript clients send. Raises ValueError
    outside of the years 1 to 9999.
    """
    if not _FIRST <= instant <= _LAST:
        raise ValueError("outside of the years that RFC 3339 can write")
    seconds, fraction = divmod(instant, SECOND)
    width = 3 if step >= MILLISECOND else 6 if step >= MICROSECOND else 9
    whole = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=UTC).strftime("%m-%dT%H:%M:%S")
    year = (_EPOCH + timedelta(seconds=seconds)).year
    return f"{year:04d}-{whole}.{fraction:09d}"[: 20 + width] + "Z"
