"""Which characters of a YAML text a node takes, so that it can be replaced without touching anything around it."""

from collections.abc import Iterable
from typing import Any, Literal  # Any: events come from an extension without stubs

from msgspec import Struct

from reconciler.manifest.events import events
from reconciler.manifest.places import Path


class Span(Struct, kw_only=True):
    """`text[start:end]` is the node, with its anchor and without the comment behind it.

    A block collection ends where its last scalar does. `key_start` and `key_end` are those of its key in a mapping,
    -1 elsewhere. `flow`: written with brackets.
    """

    kind: Literal["scalar", "map", "seq", "alias"]
    start: int
    end: int
    key_start: int = -1
    key_end: int = -1
    flow: bool = False


class _Open(Struct):
    path: Path
    span: Span | None
    is_map: bool
    index: int = -1
    key: str | None = None
    key_at: tuple[int, int] = (-1, -1)


def spans(text: str, roots: Iterable[Path], *, pure: bool = False) -> dict[Path, Span]:
    """The nodes at `roots`, all above them, and all below them, of a text that `loader.load` has read.

    Of a repeated key the first counts. What comes through an alias is not there: it stands elsewhere.
    """
    from ruamel.yaml.events import (
        AliasEvent,
        DocumentEndEvent,
        MappingEndEvent,
        MappingStartEvent,
        ScalarEvent,
        SequenceEndEvent,
        SequenceStartEvent,
        StreamEndEvent,
    )

    wanted_roots = set(roots)
    above = {root[:i] for root in wanted_roots for i in range(len(root))}
    found: dict[Path, Span] = {}
    get = events(text, pure)
    stack: list[_Open] = []
    last = 0
    while True:
        event: Any = get()
        kind = type(event)
        if kind is DocumentEndEvent or kind is StreamEndEvent:
            return found
        if kind in (MappingEndEvent, SequenceEndEvent):
            top = stack.pop()
            # The end event of a block stands where the next thing begins, behind comments and empty lines.
            if top.span is not None:
                if top.span.flow:
                    last = event.end_mark.index
                top.span.end = last
            elif event.end_mark.index > event.start_mark.index:
                last = event.end_mark.index
            continue
        end = event.end_mark.index
        if kind is ScalarEvent and event.style in ("|", ">"):
            # The mark of a block scalar is behind the empty lines that follow it.
            end = event.start_mark.index + len(text[event.start_mark.index : end].rstrip())
        starts = kind in (MappingStartEvent, SequenceStartEvent)
        if not starts and kind is not ScalarEvent and kind is not AliasEvent:
            continue
        around = stack[-1] if stack else None
        if around is not None and around.is_map and around.key is None:
            around.key = event.value if kind is ScalarEvent else ""
            around.key_at = (event.start_mark.index, event.end_mark.index)
            last = event.end_mark.index
            continue
        path: Path = ()
        if around is not None:
            if around.key is not None:
                path = (*around.path, around.key)
                around.key = None
            else:
                around.index += 1
                path = (*around.path, around.index)
        span: Span | None = None
        if path in above or any(path[:i] in wanted_roots for i in range(len(path) + 1)):
            key_start, key_end = around.key_at if around is not None and around.is_map else (-1, -1)
            span = Span(
                kind="map"
                if kind is MappingStartEvent
                else "seq"
                if kind is SequenceStartEvent
                else "scalar"
                if kind is ScalarEvent
                else "alias",
                start=event.start_mark.index,
                end=end,
                key_start=key_start,
                key_end=key_end,
                flow=starts and bool(event.flow_style),
            )
            found.setdefault(path, span)
        if starts:
            stack.append(_Open(path, span, kind is MappingStartEvent))
        elif end > event.start_mark.index:
            last = end
