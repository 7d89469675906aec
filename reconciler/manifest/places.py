"""Where things stand in a YAML text: found in one more pass over its events, only when there is something to say."""

from collections.abc import Iterator
from typing import Any  # events come from an extension without stubs

from msgspec import Struct

from reconciler.manifest.events import YamlProblem, events

Path = tuple[str | int, ...]


class Place(Struct, frozen=True, kw_only=True):
    """Where a node is. `key_*` is its key's place in a mapping; `raw` a plain scalar as it was written."""

    line: int
    column: int
    key_line: int = 0
    key_column: int = 0
    raw: str | None = None


def locate(text: str, paths: set[Path], *, pure: bool = False) -> dict[Path, Place]:
    """The places of nodes of a text that `load` has read, in one pass that skips what nobody asked for.

    What came through an alias or a merge key has the place of the nearest node around it that is written there.
    """
    wanted = {path[:i] for path in paths for i in range(len(path) + 1)}
    found: dict[Path, Place] = {}
    for path, place in _walk(text, pure, wanted):
        found.setdefault(path, place)
        if len(found) == len(wanted):
            break
    places: dict[Path, Place] = {}
    for path in paths:
        near = path
        while near and near not in found:
            near = near[:-1]
        places[path] = found.get(near, Place(line=1, column=1))
    return places


def duplicates(text: str, *, pure: bool) -> list[YamlProblem]:
    """Each key that a mapping has more than once, with the place of the first."""
    seen: dict[Path, Place] = {}
    repeated: set[Path] = set()
    problems = []
    for path, place in _walk(text, pure, None):
        # What is below a repeated key is repeated with it.
        if not path or not place.key_line or any(path[:i] in repeated for i in range(1, len(path))):
            continue
        first = seen.setdefault(path, place)
        if first is not place:
            repeated.add(path)
            problems.append(
                YamlProblem(
                    line=place.key_line,
                    column=place.key_column,
                    message=f"the key {path[-1]!r} is here for the second time",
                    hint=f"the first is at {first.key_line}:{first.key_column}",
                )
            )
    return problems


class _Open(Struct):
    """A container that the walk is in: what it is, and where in it the walk is."""

    path: Path
    is_map: bool
    index: int = -1
    key: str | None = None
    key_mark: Any = None


def _walk(text: str, pure: bool, wanted: set[Path] | None) -> Iterator[tuple[Path, Place]]:
    """Every node with its path, in the order of the text; only those in `wanted` unless that is None.

    Of a duplicate key each occurrence is given. Only for texts that `loader.load` has read to their end.
    """
    from ruamel.yaml.events import (
        AliasEvent,
        MappingEndEvent,
        MappingStartEvent,
        ScalarEvent,
        SequenceEndEvent,
        SequenceStartEvent,
    )

    get = events(text, pure)
    starts, ends = (MappingStartEvent, SequenceStartEvent), (MappingEndEvent, SequenceEndEvent)
    get()
    get()
    stack: list[_Open] = []
    skipped = 0
    while True:
        event = get()
        kind = type(event)
        if kind in ends:
            if skipped:
                skipped -= 1
            else:
                stack.pop()
            if not stack:
                return
            if not skipped:
                stack[-1].key = None
            continue
        if kind not in starts and kind is not ScalarEvent and kind is not AliasEvent:
            return
        if skipped:
            skipped += kind in starts
            continue
        top = stack[-1] if stack else None
        if top is not None and top.is_map and top.key is None:
            top.key = event.value if kind is ScalarEvent else ""
            top.key_mark = event.start_mark
            continue
        path: Path
        if top is None:
            path = ()
        elif top.key is not None:
            path = (*top.path, top.key)
        else:
            top.index += 1
            path = (*top.path, top.index)
        if wanted is not None and path not in wanted:
            skipped = int(kind in starts)
        else:
            yield path, _place(event, top, raw=kind is ScalarEvent and not event.style)
            if kind in starts:
                stack.append(_Open(path, kind is MappingStartEvent))
                continue
        if not stack:
            return
        if not skipped:
            stack[-1].key = None


def _place(event: Any, around: _Open | None, *, raw: bool) -> Place:
    mark = event.start_mark
    key = around.key_mark if around is not None and around.is_map else None
    return Place(
        line=mark.line + 1,
        column=mark.column + 1,
        key_line=key.line + 1 if key is not None else 0,
        key_column=key.column + 1 if key is not None else 0,
        raw=event.value if raw else None,
    )
