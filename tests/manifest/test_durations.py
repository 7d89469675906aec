"""One parser for all durations, and the schema's pattern for them."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.manifest import schema_text
from reconciler.manifest.durations import UNITS, seconds

PATTERN = re.compile(json.loads(schema_text())["definitions"]["duration"]["pattern"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("300ms", 0.3),
        ("2s", 2),
        ("1.5s", 1.5),
        ("5m", 300),
        ("5min", 300),
        ("1h", 3600),
        ("7d", 604800),
        ("5m0s", 300),
        ("1h30m", 5400),
        ("0s", 0),
        (45, 45),
        (0.5, 0.5),
    ],
)
def test_forms(text: str | float, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 m", "5M", "-5s", "5s ", "5s\n", "٥s", "1e3s", ".5s", "5.s"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)
    assert not PATTERN.match(text)


@pytest.mark.parametrize("text", ["0s", "0.0m", "0h0m", "5.s", "123456s", "1s1s1s1s1s"])
def test_what_the_schema_refuses_beyond_the_parser(text: str) -> None:
    assert not PATTERN.match(text)


parts = st.tuples(st.integers(1, 99_999), st.sampled_from(sorted(UNITS)))


@given(parts=st.lists(parts, min_size=1, max_size=4))
def test_what_the_schema_takes_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert PATTERN.match(text)
    assert seconds(text) == pytest.approx(sum(number * UNITS[unit] for number, unit in parts))


@given(text=st.text("0123456789.msinhd", max_size=12))
def test_whatever_the_schema_takes_can_be_read(text: str) -> None:
    if PATTERN.match(text):
        assert seconds(text) > 0
