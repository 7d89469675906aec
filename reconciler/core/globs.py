"""Globs over pin names, as `adopt`, `ignore`, `protected`, `unprotect` and `--target` use them.

The semantics are those of `fnmatch.fnmatchcase`: `*` any characters, `/` too; `?` one character; `[ab]`,
`[!ab]` one of a set. A pattern matches the whole name, and case counts.
"""

import re
from collections.abc import Iterable
from fnmatch import translate


def escape(name: str) -> str:
    """The pattern that matches this name and no other."""
    return re.sub(r"[*?[]", r"[\g<0>]", name)


class Globs:
    """Patterns compiled once and matched against many names."""

    __slots__ = ("_literal", "_regex", "patterns")

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(dict.fromkeys(patterns))
        self._literal: dict[str, int] = {}
        wild: list[str] = []
        for i, pattern in enumerate(self.patterns):
            if any(c in pattern for c in "*?["):
                # The number travels as the group's name: `lastgroup` says which alternative matched.
                wild.append(f"(?P<g{i}>{translate(pattern)})")
            else:
                self._literal[pattern] = i
        self._regex = re.compile("|".join(wild)).match if wild else None

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def match(self, name: str) -> str | None:
        """The first of the patterns that matches `name`, or None."""
        at = self._literal.get(name)
        if self._regex is not None and (found := self._regex(name)) is not None:
            wild = int((found.lastgroup or "g0")[1:])
            at = wild if at is None else min(at, wild)
        return None if at is None else self.patterns[at]
