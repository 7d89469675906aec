"""All that is wrong, gathered while reading goes on, and given its place at the end."""

import json
from collections.abc import Mapping, Sequence
from typing import Any  # a YAML value is whatever was written

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.errors import ManifestError, Problem
from reconciler.manifest.places import Path, Place, locate

#: A mapping as it is written in YAML.
Raw = Mapping[str, Any]
#: So many are shown; the rest is counted.
MAX_SHOWN = 100


class Document(Struct, kw_only=True):
    """One YAML file. `file` is what messages call it, `base` the directory that its paths are relative to.

    `pin_lines`, `service_lines` and `policy_lines` hold the line of each item of `pins`, `services` and `policies`.
    """

    file: str
    base: str
    text: str
    value: dict[str, Any]
    pin_lines: Sequence[int]
    service_lines: Sequence[int]
    policy_lines: Sequence[int] = ()
    pure: bool = False


class _Finding(Struct, kw_only=True):
    document: Document
    path: Path
    message: str
    hint: str
    at_key: bool
    quote: bool


class Problems:
    """Places within YAML files are looked up once for all, and only if there are any."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._findings: list[_Finding] = []
        self._placed: list[Problem] = []
        self._uncounted = 0

    def __bool__(self) -> bool:
        return bool(self._findings or self._placed)

    def file(self, file: str) -> None:
        """Files are shown in the order in which they were first named."""
        self._files.setdefault(file, len(self._files))

    def at(
        self,
        document: Document,
        path: Path,
        message: str,
        *,
        hint: str = "",
        at_key: bool = False,
        quote: bool = False,
    ) -> None:
        """At a node, or at its key. `quote`: the hint shows the scalar as it was written, in quotes."""
        self.file(document.file)
        self._findings.append(
            _Finding(document=document, path=path, message=message, hint=hint, at_key=at_key, quote=quote)
        )

    def add(self, problem: Problem) -> None:
        """Whose place is known."""
        self.file(problem.file)
        self._placed.append(problem)

    def count(self, more: int) -> None:
        """Problems that are not worth a line each."""
        self._uncounted += more

    def raise_if_any(self) -> None:
        """Raises ManifestError with all problems, in the order of files and lines."""
        if not self:
            return
        problems = self._placed + self._located()
        problems.sort(key=lambda p: (self._files[p.file], p.line, p.column))
        more = max(0, len(problems) - MAX_SHOWN) + self._uncounted
        del problems[MAX_SHOWN:]
        if more:
            problems.append(Problem(file=problems[-1].file, message=f"and {more} more problems"))
        raise ManifestError([_printable(p) for p in problems])

    def _located(self) -> list[Problem]:
        wanted: dict[int, tuple[Document, set[Path]]] = {}
        for finding in self._findings:
            wanted.setdefault(id(finding.document), (finding.document, set()))[1].add(finding.path)
        places = {
            key: locate(document.text, paths, pure=document.pure) for key, (document, paths) in wanted.items()
        }
        return [_placed(finding, places[id(finding.document)][finding.path]) for finding in self._findings]


def _placed(finding: _Finding, place: Place) -> Problem:
    line, column = place.line, place.column
    if finding.at_key and place.key_line:
        line, column = place.key_line, place.key_column
    hint = finding.hint
    if finding.quote and place.raw is not None:
        hint = f"quote it: {json.dumps(place.raw, ensure_ascii=False)}"
    return Problem(file=finding.document.file, line=line, column=column, message=finding.message, hint=hint)


def _printable(problem: Problem) -> Problem:
    """Texts of a file may have come into a message by many ways; what steers a terminal stops here."""
    if problem.message.isprintable() and problem.hint.isprintable():
        return problem
    return replace(problem, message=_escaped(problem.message), hint=_escaped(problem.hint))


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def shown(text: str, limit: int = 60) -> str:
    """A text from a file within a message: in quotes, without control characters, not too long."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return _escaped(json.dumps(text, ensure_ascii=False))


def did_you_mean(word: str, known: list[str]) -> str:
    """The nearest of `known`, or a list of them if it is short, or nothing."""
    from difflib import get_close_matches

    # Case is the likeliest slip in camelCase keys, and difflib thinks little of it.
    by_case = [k for k in known if k.lower() == word.lower()]
    near = by_case or get_close_matches(word, known, n=1, cutoff=0.65)
    if near:
        return f"did you mean {near[0]}?"
    return f"known: {', '.join(known)}" if 0 < len(known) <= 12 else ""
