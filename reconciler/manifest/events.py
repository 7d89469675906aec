"""The events of a YAML text, from libyaml through ruamel's C parser, or from ruamel's own where that is missing.

Nothing else in reach gives both speed and places: for 100,000 pins ruamel's round-trip mode takes 46 s and its
node tree 7.5 s, a loop over the C parser's events about one.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any  # events come from an extension without stubs

from msgspec import Struct


class YamlProblem(Struct, frozen=True, kw_only=True):
    """Something wrong with the YAML itself. Places are 1-based."""

    line: int
    column: int
    message: str
    hint: str = ""


class YamlSyntaxError(Exception):
    """The text cannot be read to its end. `by_parser`: since it is not YAML, not for a rule of ours."""

    def __init__(self, problem: YamlProblem, *, by_parser: bool = False) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.by_parser = by_parser


def problem_at(event: Any, message: str, hint: str = "") -> YamlProblem:
    mark = event.start_mark
    return YamlProblem(line=mark.line + 1, column=mark.column + 1, message=message, hint=hint)


#: The placeholders of a pinName. In a plain text within { } they are no YAML, and it is how one writes them there.
#: They are read as if they were quoted: the braces are taken out of the parser's sight by characters that are
#: nobody's, one for one, so that every place stays what it is. No manifest has a mapping that looks like one of them.
_PLACEHOLDERS = re.compile(r"\{(peer_id|name)\}")
_OPEN, _CLOSE = "\ue000", "\ue001"
_HIDDEN = re.compile(f"{_OPEN}(peer_id|name){_CLOSE}")
#: Halves of characters, which no UTF-8 has: as themselves, and as escapes, which one of the parsers lets through.
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\(?:u|U0000)[dD][89a-fA-F]")
#: All but `c-printable` of YAML 1.2.
_UNREADABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def events(text: str, pure: bool) -> Callable[[], Any]:
    """A function that gives the next event each time it is called."""
    if not _PLACEHOLDERS.search(text) or _OPEN in text or _CLOSE in text:
        return _events(text, pure)
    get = _events(_PLACEHOLDERS.sub(rf"{_OPEN}\1{_CLOSE}", text), pure)

    def shown() -> Any:
        event = get()
        value = getattr(event, "value", None)
        if value is not None and _OPEN in value:
            event.value = _HIDDEN.sub(r"{\1}", value)
        return event

    return shown


def _events(text: str, pure: bool) -> Callable[[], Any]:
    if not pure:
        try:
            from _ruamel_yaml import CParser
        except ImportError:
            pass
        else:
            return CParser(text).get_event  # type: ignore[no-any-return]  # an extension without stubs
    from ruamel.yaml import YAML

    events: Iterator[Any] = iter(YAML(typ="safe", pure=True).parse(text))
    get = events.__next__
    return _whole(get) if _SURROGATE_ESCAPE.search(text) else get


def _whole(get: Callable[[], Any]) -> Callable[[], Any]:
    """`get` for the parser that takes half a character for one: two halves are one, as in JSON, one is none."""

    def whole() -> Any:
        event = get()
        value = getattr(event, "value", None)
        if value is not None and _SURROGATE.search(value):
            try:
                event.value = value.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                raise YamlSyntaxError(
                    problem_at(
                        event,
                        "this text holds a surrogate (U+D800 to U+DFFF), which is half a character",
                        "write the character itself",
                    )
                ) from None
        return event

    return whole


def unreadable(text: str) -> YamlSyntaxError | None:
    """The first character that no YAML may hold; parsers do not say where it stands."""
    found = _UNREADABLE.search(text)
    if found is None:
        return None
    at, character = found.start(), found[0]
    problem = YamlProblem(
        line=text.count("\n", 0, at) + 1,
        column=at - text.rfind("\n", 0, at),
        message="the file is not UTF-8"
        if _SURROGATE.match(character)
        else f"this is not valid YAML: it holds the character U+{ord(character):04X}",
        hint="" if _SURROGATE.match(character) else "remove it",
    )
    return YamlSyntaxError(problem)


def syntax_error(error: Any) -> YamlSyntaxError:
    """What a `YAMLError` of either parser says, without the snippet of the text that one of them adds."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    message = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    hint = ""
    if "cannot start any token" in message:
        hint = "indent with spaces, not tabs; quote a text that begins with a special character such as @ ` %"
    elif "unexpected ':'" in message:
        hint = "quote a text that holds ':' between [ ] or { }"
    elif "expected ',' or" in message:
        hint = "close the bracket, and quote a text that holds one of { } [ ] , between [ ] or { }"
    elif "mapping values are not allowed" in message:
        hint = "quote a text that holds ': ', and check the indentation"
    return YamlSyntaxError(
        YamlProblem(
            line=mark.line + 1 if mark else 1,
            column=mark.column + 1 if mark else 1,
            message=f"this is not valid YAML: {message}",
            hint=hint,
        ),
        by_parser=True,
    )
