from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.globs import Globs

patterns = st.lists(st.text("ab/*?[]!-.", max_size=6), max_size=5)


@given(patterns=patterns, name=st.text("ab/*?[]-.\n", max_size=8))
def test_matches_as_fnmatchcase_and_names_the_first_pattern(patterns: list[str], name: str) -> None:
    expected = next((p for p in patterns if fnmatchcase(name, p)), None)
    assert Globs(patterns).match(name) == expected


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("legacy/*", "legacy/a/b", True),
        ("legacy/*", "legacy/", True),
        ("legacy/*", "legacy", False),
        ("*", "", True),
        ("Web", "web", False),
        ("v?.[0-9]", "v1.0", True),
        ("v?.[!0-9]", "v1.0", False),
        ("a.c", "abc", False),
        ("a*", "a\nb", True),
    ],
)
def test_semantics(pattern: str, name: str, matches: bool) -> None:
    assert (Globs([pattern]).match(name) == pattern) is matches


def test_no_patterns_are_false_and_match_nothing() -> None:
    assert not Globs([])
    assert Globs(["a"])
    assert Globs([]).match("a") is None
