"""Lists of pins that other programs write, read for `import --from`: rows, with the line each stands in."""

import csv
import json
import re
from collections.abc import Iterator
from typing import Any, Literal, TextIO  # Any: what JSON may hold

from msgspec import Struct

from reconciler.core.cid import CidError, parse_content, spells
from reconciler.core.errors import UsageError
from reconciler.core.takeover import Check, LeftOut, Takeover, Wanted

Form = Literal["csv", "ndjson", "kubo"]
_STATUSES = ("queued", "pinning", "pinned", "failed")
_ESCAPE = re.compile(r'\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([abfnrtv\\"]))')
_SHORT = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))


class Row(Struct, frozen=True, kw_only=True):
    cid: str
    name: str = ""
    status: str = "pinned"
    line: int = 0


def read_rows(stream: TextIO, form: Form, *, file: str) -> Iterator[Row]:
    """Raises UsageError, with the line, for what is no such list."""
    try:
        yield from {"csv": _csv, "ndjson": _ndjson, "kubo": _kubo}[form](_unmarked(stream), file)
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8") from None


def from_rows(rows: Iterator[Row], services: tuple[str, ...], check: Check) -> Takeover:
    """Every row wanted on `services`; names that stand for several CIDs, and what cannot be wanted, are left out."""
    wanted: dict[str, dict[str, Row]] = {}
    left: list[LeftOut] = []

    def leave(row: Row, why: str, cid: str = "") -> None:
        left.append(LeftOut(name=row.name or row.cid, cid=cid, why=why, services=services))

    for row in rows:
        try:
            cid = parse_content(row.cid)
        except CidError as error:
            leave(row, f"line {row.line}: its CID cannot be wanted: {error}")
            continue
        if row.status == "failed":
            leave(row, "it has failed there")
            continue
        name = "" if not row.name or spells(row.name, cid) else row.name
        if name and (wrong := check(name)) is not None:
            leave(row, wrong[0])
            continue
        wanted.setdefault(name or cid.canonical, {}).setdefault(cid.canonical, row)
    entries = []
    for name, by_cid in wanted.items():
        first, *more = by_cid.values()
        if more:
            leave(first, f"{len(by_cid)} CIDs under this name; this is the first of the list", first.cid)
            continue
        entries.append(Wanted(name="" if name in by_cid else name, cid=first.cid, services=services))
    return Takeover(wanted=tuple(entries), left_out=tuple(left))


def _unmarked(stream: TextIO) -> Iterator[str]:
    """The lines, without the byte order mark that standard input may begin with."""
    yield next(stream, "").removeprefix("\ufeff")
    yield from stream


def _csv(stream: Iterator[str], file: str) -> Iterator[Row]:
    reader = csv.reader(stream, strict=True)
    try:
        head = [column.strip().lower() for column in next(reader, [])]
        if "cid" not in head:
            raise UsageError(
                f"{file}:1: the first line must name the columns", hint="cid, and name if there is one"
            )
        at = {column: head.index(column) for column in ("cid", "name", "status") if column in head}
        for fields in reader:
            if not any(fields):
                continue
            if len(fields) != len(head):
                raise UsageError(
                    f"{file}:{reader.line_num}: {len(fields)} fields, and the first line has {len(head)}"
                )
            values = {column: fields[i] for column, i in at.items()}
            yield _row(values["cid"].strip(), values.get("name"), values.get("status"), reader.line_num)
    except csv.Error as error:
        raise UsageError(f"{file}:{reader.line_num}: this is not valid CSV: {error}") from None


def _ndjson(stream: Iterator[str], file: str) -> Iterator[Row]:
    """`{"cid", "name"}`, or a PinStatus of the API, as `ls --format ndjson` writes it."""
    for number, line in enumerate(stream, 1):
        if line.strip():
            value = _object(line, file, number)
            pin = value["pin"] if isinstance(value.get("pin"), dict) else value
            if not isinstance(pin.get("cid"), str):
                raise UsageError(f"{file}:{number}: there is no `cid`")
            yield _row(pin["cid"], pin.get("name"), value.get("status"), number)


def _kubo(stream: Iterator[str], file: str) -> Iterator[Row]:
    """`ipfs pin remote ls`: CID, status and name between tabs; or the objects of `--enc=json`."""
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        if line.lstrip().startswith("{"):
            # Kubo writes one object after the other, with or without a line break between them.
            for part in re.sub(r"\}\s*\{", "}\n{", line).splitlines():
                value = _object(part, file, number)
                if not isinstance(value.get("Cid"), str):
                    raise UsageError(f"{file}:{number}: there is no `Cid`")
                yield _row(value["Cid"], value.get("Name"), value.get("Status"), number)
            continue
        parts = line.rstrip("\r\n").split("\t", 2)
        if len(parts) < 2 or parts[1] not in _STATUSES:
            raise UsageError(
                f"{file}:{number}: not what `ipfs pin remote ls` writes",
                hint="a line is CID, status and name",
            )
        yield _row(parts[0], _unescaped(parts[2]) if len(parts) == 3 else "", parts[1], number)


def _unescaped(name: str) -> str:
    r"""Kubo writes what is not printable as Go does: `\n`, `\x1b`, `\u202e`, and a backslash as two."""

    def char(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        return chr(int(code, 16)) if code else _SHORT.get(match[4], match[4])

    return _ESCAPE.sub(char, name)


def _object(text: str, file: str, line: int) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{file}:{line}: this is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{file}:{line}: this is no JSON object")
    return value


def _row(cid: str, name: object, status: object, line: int) -> Row:
    return Row(
        cid=cid,
        name=name if isinstance(name, str) else "",
        status=status if isinstance(status, str) and status in _STATUSES else "pinned",
        line=line,
    )
