"""A command's arguments and options: what they are, and how Kubo reads them from a query.

argument missing                400  argument "path" is required
file missing                    400  file argument 'data' is required
not of its type                 400  could not convert value "many" to type "int64" (for option "-offset")
a second value                  400  expected key type to have only a single value, received [all direct]
an option nobody knows          ignored, and arguments beyond the last too
`timeout` that is no duration   200, an empty body, and nothing is done
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias
from urllib.parse import unquote_plus

from msgspec import Struct

Kind: TypeAlias = Literal["bool", "int", "int64", "uint", "string"]
Option: TypeAlias = bool | int | str

_TRUE = frozenset(("", "1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
#: Options that every command has.
_GLOBAL: Mapping[str, Kind] = {
    "encoding": "string",
    "timeout": "string",
    "offline": "bool",
    "cid-base": "string",
    "stream-channels": "bool",
}


class BadRequestError(Exception):
    """400 with a line of text."""


class BadEncodingError(BadRequestError):
    """An `encoding` that there is not."""


class BadTimeoutError(Exception):
    """200, and nothing is done."""


class Usage(Struct, frozen=True, kw_only=True):
    """`arguments`: names of those that must be there. `file`: the name of the file that must come with it."""

    arguments: tuple[str, ...] = ()
    options: Mapping[str, Kind] = {}
    file: str = ""


class Arguments(Struct, frozen=True, kw_only=True):
    """What was asked. `timeout` in seconds; None without one."""

    given: tuple[str, ...] = ()
    options: Mapping[str, Option] = {}
    encoding: str = "json"
    timeout: float | None = None
    offline: bool = False
    cid_base: str = ""

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.options.get(name, default)
        assert isinstance(value, bool)
        return value

    def number(self, name: str, default: int = 0) -> int:
        value = self.options.get(name, default)
        assert isinstance(value, int)
        return value

    def text(self, name: str, default: str = "") -> str:
        value = self.options.get(name, default)
        assert isinstance(value, str)
        return value


def parse(query: str, usage: Usage, *, file: bool = False) -> Arguments:
    """`file`: whether one came. Raises BadRequestError and BadTimeoutError."""
    given: list[str] = []
    raw: dict[str, list[str]] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        name, value = unquote_plus(name), unquote_plus(value)
        if name == "arg":
            given.append(value)
        else:
            raw.setdefault(name, []).append(value)
    options: dict[str, Option] = {}
    for name, values in raw.items():
        kind = usage.options.get(name) or _GLOBAL.get(name)
        if kind is None:
            continue
        if len(values) > 1:
            raise BadRequestError(
                f"expected key {name} to have only a single value, received [{' '.join(values)}]"
            )
        options[name] = _CONVERT[kind](name, kind, values[0])
    if len(given) < len(usage.arguments):
        raise BadRequestError(f'argument "{usage.arguments[len(given)]}" is required')
    if usage.file and not file:
        raise BadRequestError(f"file argument '{usage.file}' is required")
    encoding = str(options.pop("encoding", "json"))
    if encoding not in ("json", "text", "xml"):
        raise BadEncodingError(f"invalid encoding: {encoding}")
    timeout = options.pop("timeout", None)
    return Arguments(
        given=tuple(given),
        encoding=encoding,
        timeout=None if timeout is None else duration(str(timeout)),
        offline=bool(options.pop("offline", False)),
        cid_base=str(options.pop("cid-base", "")),
        options=options,
    )


def duration(text: str) -> float:
    """Seconds of a duration as Go writes it, with a unit. Raises BadTimeoutError."""
    total, at = 0.0, 0
    for match in _PART.finditer(text):
        if match.start() != at:
            break
        total += float(match.group(1)) * _UNITS[match.group(2)]
        at = match.end()
    if not text or at != len(text):
        raise BadTimeoutError
    return total


def _bool(name: str, kind: str, value: str) -> Option:
    if value in _TRUE or value in _FALSE:
        return value in _TRUE
    raise _mistyped(name, kind, value)


def _number(name: str, kind: str, value: str) -> Option:
    if re.fullmatch(r"\d+" if kind == "uint" else r"[+-]?\d+", value):
        return int(value)
    raise _mistyped(name, kind, value)


def _string(_name: str, _kind: str, value: str) -> Option:
    return value


def _mistyped(name: str, kind: str, value: str) -> BadRequestError:
    return BadRequestError(f'could not convert value "{value}" to type "{kind}" (for option "-{name}")')


_CONVERT: Mapping[Kind, Callable[[str, str, str], Option]] = {
    "bool": _bool,
    "int": _number,
    "int64": _number,
    "uint": _number,
    "string": _string,
}
