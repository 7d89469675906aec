"""YAML to plain dicts, lists and scalars, straight from the parser's events.

Scalars follow the core schema of YAML 1.2: `yes`, `on` and `2027-06-30` are texts, `012` and `1e3` are numbers.
Keys are always texts. Anchors, aliases and merge keys (`<<`) work; tags other than those of the core schema are
refused.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any  # a YAML value is whatever was written

from msgspec import Struct

from reconciler.manifest.events import (
    YamlProblem,
    YamlSyntaxError,
    events,
    problem_at,
    syntax_error,
    unreadable,
)
from reconciler.manifest.fast import LEAST_RUN, find_run
from reconciler.manifest.places import duplicates
from reconciler.manifest.scalars import NO_TEXT_START, plain

#: Nodes that aliases may stand for, beside 20 for each node that is written: room for every sensible use, and an
#: end to documents that grow a thousandfold when their aliases are followed.
_FREE_EXPANSION = 100_000
_EXPANSION_PER_NODE = 20
_MAX_DEPTH = 64
#: The pure parser needs some seconds for so many characters.
_MAX_SECOND_TRY = 1_000_000

_STRING_TAGS = frozenset(("tag:yaml.org,2002:str", "!"))
_CORE_TAGS = frozenset(f"tag:yaml.org,2002:{t}" for t in ("map", "seq", "int", "float", "bool", "null"))


class Loaded(Struct, kw_only=True):
    """`lines` holds, for each list or mapping that stands under a top-level key, the line of each of its items."""

    value: Any
    lines: Mapping[str, Sequence[int]]
    problems: list[YamlProblem]
    #: Which parser read it; the same must look for places.
    pure: bool = False


def load(text: str, *, pure: bool = False, least_run: int = LEAST_RUN) -> Loaded:
    """Read one document. Raises YamlSyntaxError where reading cannot go on; other problems are collected.

    Of duplicate keys the first is kept. What the C parser refuses and the `pure` one takes is good YAML: the
    libyaml in use knows no ':' in a text between [ ] or { }, so that `{endpoint: https://…}` fails in it.
    From `least_run` plain pins on, `fast` reads these; what is returned does not depend on it.
    """
    run = None if pure else find_run(text, least_run)
    if run is not None:
        try:
            loaded = _load(run.rest, False)
        except (YamlSyntaxError, UnicodeEncodeError):
            pass  # let the whole text say it: in its words, and with all its nodes to measure aliases by
        else:
            if run.restore(loaded):
                return loaded
        del run
    try:
        return _load(text, pure)
    except YamlSyntaxError as error:
        if pure or not error.by_parser or len(text) > _MAX_SECOND_TRY:
            raise
        try:
            return _load(text, True)
        except YamlSyntaxError as second:
            # What it did read as YAML breaks a rule of ours: that is what is wrong.
            raise (error if second.by_parser else second) from None


def _load(text: str, pure: bool) -> Loaded:
    from ruamel.yaml.error import YAMLError

    reader = _Reader()
    try:
        value = reader.read(events(text, pure))
    except (YAMLError, UnicodeEncodeError) as error:
        raise unreadable(text) or syntax_error(error) from None
    except RecursionError:  # libyaml has no limit of its own, the pure parser has Python's
        raise YamlSyntaxError(YamlProblem(line=1, column=1, message="it is nested too deeply")) from None
    if reader.duplicates:
        reader.problems += duplicates(text, pure=pure)
    reader.problems.sort(key=lambda p: (p.line, p.column))
    return Loaded(value=value, lines=reader.lines, problems=reader.problems, pure=pure)


class _Unfinished:
    """Marks an anchor whose node is being read."""


class _Reader:
    """One reading. `read` is one long loop, since a call for each event would cost a tenth of it."""

    def __init__(self) -> None:
        self.lines: dict[str, array[int]] = {}
        self.problems: list[YamlProblem] = []
        self.duplicates = False
        #: What each anchor names, and for how many nodes an alias to it stands.
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._expanded = 0

    def read(self, get: Callable[[], Any]) -> Any:
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

        get()
        if type(get()) is StreamEndEvent:
            return None
        intern: dict[str, str] = {}
        root: Any = None
        # Around the current container: (container, key, is a mapping, line table, anchor, nodes before it)
        stack: list[tuple[Any, str | None, bool, array[int] | None, str | None, int]] = []
        current: Any = None
        is_map = False
        key: str | None = None
        table: array[int] | None = None
        nodes = 0
        value: Any
        while True:
            event = get()
            kind = type(event)
            if kind is ScalarEvent:
                value = event.value
                if is_map and key is None:
                    key = intern.setdefault(value, value)
                    if event.anchor:
                        self._anchors[event.anchor] = (value, 1)
                    if table is not None:
                        table.append(event.start_mark.line + 1)
                    continue
                if event.tag is not None:
                    value = self._tagged(event)
                elif value[:1] in NO_TEXT_START and not event.style:
                    value = plain(value)
                if event.anchor:
                    self._anchors[event.anchor] = (value, 1)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                if len(stack) >= _MAX_DEPTH:
                    raise YamlSyntaxError(problem_at(event, "it is nested too deeply"))
                if is_map and key is None:
                    raise YamlSyntaxError(problem_at(event, "a key must be a text"))
                if event.tag is not None and event.tag not in _CORE_TAGS:
                    self.problems.append(problem_at(event, "tags (!…) have no meaning in a manifest"))
                anchor = event.anchor
                if anchor:
                    self._anchors[anchor] = (_Unfinished, 0)
                if table is not None and not is_map:
                    table.append(event.start_mark.line + 1)
                stack.append((current, key, is_map, table, anchor, nodes + self._expanded))
                table = None
                if len(stack) == 2 and key is not None and key not in current:
                    table = self.lines[key] = array("I")
                is_map = kind is MappingStartEvent
                current = {} if is_map else []
                key = None
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                value = current
                if is_map and "<<" in value:
                    self._merge(value, event)
                nodes += len(value) + 1
                current, key, is_map, table, anchor, before = stack.pop()
                if anchor:
                    self._anchors[anchor] = (value, nodes + self._expanded - before)
                if current is None:
                    root = value
                elif not is_map:
                    current.append(value)
                elif key in current:
                    self.duplicates = True
                    key = None
                else:
                    current[key] = value
                    key = None
                continue
            elif kind is AliasEvent:
                value = self._alias(event, nodes)
            elif kind is DocumentEndEvent:
                after = get()
                if type(after) is not StreamEndEvent:
                    self.problems.append(
                        problem_at(
                            after, "a manifest is one YAML document", "remove this --- and what follows"
                        )
                    )
                return root
            else:
                continue
            # A value: a scalar, or what an alias stands for.
            if is_map:
                if key is None:
                    raise YamlSyntaxError(problem_at(event, "a key must be a text, written in its place"))
                if key in current:
                    self.duplicates = True
                else:
                    current[key] = value
                key = None
            elif current is None:
                root = value
            else:
                if table is not None:
                    table.append(event.start_mark.line + 1)
                if type(value) is str and len(value) < 32:
                    value = intern.setdefault(value, value)
                current.append(value)

    def _tagged(self, event: Any) -> Any:
        if event.tag in _STRING_TAGS:
            return event.value
        if event.tag in _CORE_TAGS:
            return plain(event.value)
        self.problems.append(
            problem_at(event, "tags (!…) have no meaning in a manifest", "quote a text that begins with !")
        )
        return event.value

    def _alias(self, event: Any, nodes: int) -> Any:
        # The alias is not shown: what begins with * by accident may be a key that nobody quoted.
        if event.anchor not in self._anchors:
            from difflib import get_close_matches

            near = get_close_matches(event.anchor, list(self._anchors), n=1)
            hint = f"did you mean *{near[0]}?" if near else "quote a text that begins with *"
            self.problems.append(
                problem_at(event, "this alias (*…) refers to an anchor that is not defined above", hint)
            )
            return None
        value, size = self._anchors[event.anchor]
        if value is _Unfinished:
            raise YamlSyntaxError(problem_at(event, "this alias leads into itself"))
        self._expanded += size
        if self._expanded > _FREE_EXPANSION + _EXPANSION_PER_NODE * nodes:
            raise YamlSyntaxError(
                problem_at(event, "the aliases of this document stand for far more than is written in it")
            )
        return value

    def _merge(self, mapping: dict[str, Any], event: Any) -> None:
        """Add what `<<` brings: keys written in the mapping win, then earlier sources over later ones."""
        sources = mapping.pop("<<")
        for source in sources if isinstance(sources, list) else [sources]:
            if not isinstance(source, dict):
                self.problems.append(
                    problem_at(event, "<< takes a mapping or a list of mappings, usually as an alias")
                )
                continue
            for name, value in source.items():
                mapping.setdefault(name, value)
