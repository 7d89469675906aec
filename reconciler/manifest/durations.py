"""Durations as manifests write them: `300ms`, `2s`, `5m` or `5min`, `1h`, `7d`, and Go's `1h30m`."""

import re

UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"([0-9]+(?:\.[0-9]+)?)(ms|min|s|m|h|d)"
_PARTS = re.compile(_PART)
_WHOLE = re.compile(f"(?:{_PART})+")


def seconds(value: str | float) -> float:
    """`value` in seconds; a number is seconds already.

    Which of these forms and how much is allowed in a place is for the schema to say. Raises ValueError if it is none.
    """
    if not isinstance(value, str):
        return float(value)
    if not _WHOLE.fullmatch(value):
        raise ValueError("it is no duration")
    return sum(float(number) * UNITS[unit] for number, unit in _PARTS.findall(value))
