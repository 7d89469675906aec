"""The short way through a long list of pins that are all written alike.

Reading spends nearly all its time on making an event of each scalar. So a run of items of one plain shape is read by
a regular expression, and the parser gets the text with blank lines in place of all but the first and the last item
of the run: lines and columns stay as they are, and what follows the last item may go on with it. Whether the run
was what it looked like (and no part of a quoted text, say) shows in what the parser made of these two items.
"""

import re
from array import array
from typing import TYPE_CHECKING, Any  # Any: a YAML value is whatever was written

from msgspec import Struct

if TYPE_CHECKING:
    from reconciler.manifest.loader import Loaded

#: Fewer items are read as fast by the parser alone, or nobody sees the difference.
LEAST_RUN = 200

#: A plain scalar that needs no thought: it is a text by the core schema, and ends with its line or its list.
_TEXT = r"(?!(?:null|Null|NULL|true|True|TRUE|false|False|FALSE)[,\]\n])[A-Za-z][A-Za-z0-9_./-]*+"
_VALUES = {"name": f"({_TEXT})", "cid": f"({_TEXT})", "services": rf"\[({_TEXT}(?:, {_TEXT})*)\]"}
_PINS_FIRST = re.compile(r"pins: *\n")
_PINS = re.compile(r"\npins: *\n")
_KEY = "(name|cid|services):"
_SHAPE = re.compile(rf"( *)- {_KEY} .*\n(?:\1  {_KEY} .*\n)?(?:\1  {_KEY} .*\n)?")
#: Parsers count these as line breaks too, some of them: where the run stands would not be sure.
_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")


class Run(Struct, frozen=True, kw_only=True):
    """Items of `pins:` one after the other from the first, and the line of each. `rest` is the text less them."""

    items: list[dict[str, Any]]
    lines: "array[int]"  # quoted: before Python 3.12 the type takes no argument
    rest: str

    def restore(self, loaded: "Loaded") -> bool:
        """Put the items into what was read from `rest`. False if the whole text has to be read instead."""
        pins = loaded.value.get("pins") if type(loaded.value) is dict else None
        lines = loaded.lines.get("pins", ())
        # Problems too are left to the whole text: some take another look at it.
        if loaded.problems or type(pins) is not list or not len(pins) == len(lines) >= 2:
            return False
        if (lines[0], lines[1]) != (self.lines[0], self.lines[-1]) or pins[0] != self.items[0]:
            return False
        pins[1:1] = self.items[1:-1]
        loaded.lines = {**loaded.lines, "pins": self.lines[:-1] + array("I", lines[1:])}
        return True


def find_run(text: str, at_least: int = LEAST_RUN) -> Run | None:
    """The run of plain items that a top-level `pins:` seems to begin with, if there are so many of them.

    The shape is that of the first item: its indent, and the order of `name`, `cid` and `services`, of which
    `services` may be there or not.
    """
    head = _PINS_FIRST.match(text) or _PINS.search(text)
    shape = head and _SHAPE.match(text, head.end())
    if head is None or shape is None or _OTHER_BREAKS.search(text, 0, head.end()):
        return None
    keys = [key for key in shape.groups()[1:] if key]
    if len(set(keys)) < len(keys):
        return None
    if "services" not in keys:
        keys.append("services")
    match_item = _item(len(shape[1]), keys).match
    items: list[dict[str, Any]] = []
    lines: array[int] = array("I")
    # One list for all items that have the same services.
    services: dict[str, list[str]] = {}
    line = text.count("\n", 0, head.end()) + 1
    first_end = last_start = end = head.end()
    while match := match_item(text, end):
        item: dict[str, Any] = dict(zip(keys, match.groups(), strict=True))
        lines.append(line)
        line += len(keys)
        written = item["services"]
        if written is None:
            del item["services"]
            line -= 1
        elif written in services:
            item["services"] = services[written]
        else:
            item["services"] = services[written] = written.split(", ")
        items.append(item)
        last_start, end = end, match.end()
        if len(items) == 1:
            first_end = end
    if len(items) < max(at_least, 3):
        return None
    gap = text.count("\n", first_end, last_start)
    return Run(items=items, lines=lines, rest=text[:first_end] + "\n" * gap + text[last_start:])


def _item(indent: int, keys: list[str]) -> re.Pattern[str]:
    pattern = ""
    for key in keys:
        line = f"{' ' * indent}{'  ' if pattern else '- '}{key}: {_VALUES[key]}\n"
        pattern += f"(?:{line})?" if key == "services" and pattern else line
    return re.compile(pattern)
