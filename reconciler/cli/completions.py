"""What the shell is told of the manifest: services and names of pins, read quickly, and nothing at all on any error.

No network, no check: a manifest with a mistake in it completes, too.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any  # Any: a YAML value is whatever was written

import click

from reconciler.cli.options import DEFAULT_FILE, Options

if TYPE_CHECKING:
    from pathlib import Path

#: Nobody waits for a larger file at the prompt.
_MAX_BYTES = 8_000_000
_MAX_SHOWN = 500
_MAX_FILES = 20


def complete_services(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Services of the manifest; of `a,b` the part behind the last comma."""
    head, comma, part = incomplete.rpartition(",")
    done = head.split(",") if comma else []
    found = [name for name in _found(ctx, "services") if name.startswith(part) and name not in done]
    return [head + comma + name for name in found]


def complete_pins(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of pins of the manifest, those of its list files too."""
    return [name for name in _found(ctx, "pins") if name.startswith(incomplete)][:_MAX_SHOWN]


def _found(ctx: click.Context, what: str) -> list[str]:
    # Whatever goes wrong here would end up in the middle of a command line.
    with contextlib.suppress(Exception):
        options = ctx.find_object(Options)
        file = ctx.params.get("file") or (options.file if options else "") or DEFAULT_FILE
        if file != "-":
            return list(dict.fromkeys(_names(str(file), what)))
    return []


def _names(file: str, what: str) -> Iterator[str]:
    from pathlib import Path

    todo, seen = [Path(file)], 0
    while todo and seen < _MAX_FILES:
        path = todo.pop(0)
        seen += 1
        with contextlib.suppress(Exception):
            value = _read(path)
            include = value.get("include") or []
            todo += [path.parent / i for i in ([include] if isinstance(include, str) else include)]
            if what == "services":
                yield from value.get("services") or {}
            else:
                yield from _pins(path, value)


def _pins(path: "Path", value: dict[str, Any]) -> Iterator[str]:
    for item in value.get("pins") or []:
        if item.get("name"):
            yield item["name"]
        elif item.get("from"):
            with contextlib.suppress(Exception):
                yield from _listed(path.parent / item["from"], item.get("namePrefix", ""))


def _listed(path: "Path", prefix: str) -> Iterator[str]:
    if path.suffix.lower() in (".csv", ".ndjson", ".jsonl") or path.stat().st_size > _MAX_BYTES:
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            parts = line.split(None, 1)
            if len(parts) == 2 and not parts[0].startswith("#"):
                yield prefix + parts[1].rstrip()


def _read(path: "Path") -> dict[str, Any]:
    from reconciler.manifest.loader import load

    if path.stat().st_size > _MAX_BYTES:
        return {}
    value = load(path.read_text(encoding="utf-8-sig")).value
    return value if isinstance(value, dict) else {}
