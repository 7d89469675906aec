"""List files: many pins, one a line, streamed.

    *.csv              columns `cid` and `name`, in any order, named in the first line; `name` may be missing
    *.ndjson, *.jsonl  {"cid": …, "name": …} a line; `name` may be missing
    anything else      `cid name` a line: the name is the rest of the line and may be missing, # begins a comment

UTF-8, with or without a byte order mark. Empty lines are skipped; an empty file is valid.
"""

import csv
from collections.abc import Callable, Iterator
from io import StringIO
from typing import TextIO

import msgspec

from reconciler.core.cid import Cid, CidError, parse_content
from reconciler.core.errors import Problem
from reconciler.core.manifest import CidRef, Spec
from reconciler.manifest.entries import Refusal
from reconciler.manifest.problems import Problems, shown

#: Problems of one file that get a line each; the rest is counted.
MAX_SHOWN = 20

Add = Callable[[str, Cid | CidRef, Spec, int], Refusal | None]


class ListError(Exception):
    """The file as a whole cannot be read."""


class _Row(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    cid: str
    name: str | None = None


class _Sink:
    """Problems of one list file."""

    def __init__(self, file: str, problems: Problems) -> None:
        self._file = file
        self._problems = problems
        self._count = 0

    def problem(self, line: int, column: int, message: str, hint: str = "") -> None:
        self._count += 1
        if self._count <= MAX_SHOWN:
            self._problems.add(Problem(file=self._file, line=line, column=column, message=message, hint=hint))
        else:
            self._problems.count(1)


def read_list(
    path: str,
    *,
    file: str,
    prefix: str,
    spec: Spec,
    add: Add,
    problems: Problems,
    instead: str | None = None,
) -> None:
    """Hand every line of the file at `path` to `add`.

    `file` is what messages call it, `instead` the text that is about to be in its place. Raises ListError if the file
    cannot be read.
    """
    sink = _Sink(file, problems)
    suffix = path[path.rfind(".") :].lower() if "." in path else ""
    read = {".csv": _csv, ".ndjson": _ndjson, ".jsonl": _ndjson}.get(suffix, _text)
    newline = "" if read is _csv else None
    try:
        with (
            open(path, encoding="utf-8-sig", newline=newline)
            if instead is None
            else StringIO(instead.removeprefix("\ufeff"), newline)
        ) as lines:
            read(lines, prefix, spec, add, sink)
    except OSError as error:
        raise ListError((error.strerror or "it cannot be read").lower()) from None
    except UnicodeDecodeError:
        raise ListError(f"line {_undecodable(path)} is not UTF-8") from None


def _text(lines: TextIO, prefix: str, spec: Spec, add: Add, sink: _Sink) -> None:
    for number, line in enumerate(lines, 1):
        if number == 1 and line.lstrip()[:1] in ("[", "{"):
            sink.problem(
                1, 1, "this looks like JSON", 'write one {"cid": "…", "name": "…"} a line into a .ndjson file'
            )
            return
        parts = line.split(None, 1)
        if not parts or line[0] == "#" or parts[0][0] == "#":
            continue
        try:
            cid = parse_content(parts[0])
        except CidError as error:
            sink.problem(
                number, line.index(parts[0]) + 1, str(error), "each line is a CID and, after a space, a name"
            )
            continue
        name = prefix + parts[1].rstrip() if len(parts) == 2 else ""
        refusal = add(name, cid, spec, number)
        if refusal is not None:
            column = (
                line.index(parts[1], len(parts[0]))
                if refusal.field == "name" and name
                else line.index(parts[0])
            )
            sink.problem(number, column + 1, refusal.message, refusal.hint)


def _csv(lines: TextIO, prefix: str, spec: Spec, add: Add, sink: _Sink) -> None:
    reader = csv.reader(lines, strict=True)
    rows = _csv_rows(reader, sink)
    header = [column.strip().lower() for column in next(rows, [])]
    if not header:
        return
    if sorted(header) not in (["cid"], ["cid", "name"]):
        sink.problem(1, 1, *_bad_header(header))
        return
    at_cid, at_name = header.index("cid"), header.index("name") if "name" in header else -1
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            sink.problem(
                reader.line_num,
                1,
                f"this line has {len(row)} fields and the first line {len(header)}",
                'put "…" around a name that holds a comma' if len(row) > len(header) else "",
            )
            continue
        name = row[at_name] if at_name >= 0 else ""
        _row(row[at_cid].strip(), name, reader.line_num, prefix, spec, add, sink)


def _bad_header(header: list[str]) -> tuple[str, str]:
    """What is wrong with the first line, and what to write."""
    if "cid" not in header:
        return "the first line of a CSV file must name the columns", "write: cid,name"
    if more := [column for column in header if column not in ("cid", "name")]:
        return (
            f"a CSV file has the columns cid and name, not {shown(more[0])}",
            "meta and origins of all its pins stand beside `from` in the manifest",
        )
    return "a column is named twice", "write: cid,name"


def _csv_rows(reader: Iterator[list[str]], sink: _Sink) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        line: int = getattr(reader, "line_num", 0)
        sink.problem(line, 1, f"this is not valid CSV: {error}")


def _ndjson(lines: TextIO, prefix: str, spec: Spec, add: Add, sink: _Sink) -> None:
    decode = msgspec.json.Decoder(_Row).decode
    for number, line in enumerate(lines, 1):
        if not line or line.isspace():
            continue
        try:
            row = decode(line)
        except msgspec.DecodeError as error:
            sink.problem(number, 1, f"this is no pin: {error}", 'write {"cid": "…", "name": "…"}')
            continue
        _row(row.cid, row.name or "", number, prefix, spec, add, sink)


def _row(text: str, name: str, line: int, prefix: str, spec: Spec, add: Add, sink: _Sink) -> None:
    try:
        cid = parse_content(text)
    except CidError as error:
        sink.problem(line, 1, f"{error}: {shown(text)}")
        return
    refusal = add(prefix + name if name else "", cid, spec, line)
    if refusal is not None:
        sink.problem(line, 1, refusal.message, refusal.hint)


def _undecodable(path: str) -> int:
    """The first line that is not UTF-8."""
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0
