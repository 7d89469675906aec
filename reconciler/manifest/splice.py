"""A YAML text changed at one place, and everything else left as it was written, to the byte.

ruamel's round-trip mode would be the other way. It rewrites what it has read: indentation, line breaks in long
texts, quotes and the spaces within brackets come out its own way, and it takes 0.5 ms for each pin. Here a change is
one piece of text put in the place of another, found by the parser's marks, so that a diff shows that line alone. What
comes out is read again and must mean what was asked for: an anchor whose aliases stand elsewhere, say, cannot change
more than its place.
"""

from typing import Any  # a YAML value is whatever was written

from reconciler.core.errors import UsageError
from reconciler.manifest.compose import block, flow, scalar
from reconciler.manifest.events import YamlSyntaxError
from reconciler.manifest.loader import Loaded, load
from reconciler.manifest.places import Path
from reconciler.manifest.spans import Span, spans


class CannotSpliceError(UsageError):
    """The text is written in a way that is not edited here: nothing was changed."""


class Yaml:
    """One document. `value` is what it says; each operation changes `text` and `value` together, or neither.

    Raises ManifestError's causes as CannotSpliceError, with `file` in the message.
    """

    def __init__(self, text: str, *, file: str) -> None:
        self.file = file
        self.text = text
        self._read(text)
        if not isinstance(self.value, dict):
            raise self._cannot("it is no mapping")
        self._newline = "\r\n" if "\r\n" in text else "\n"
        #: A manifest written as JSON stays JSON.
        self._json = text.lstrip("\ufeff \t\r\n").startswith("{")

    # --- operations ---------------------------------------------------------------------------------------------

    def set(self, path: Path, value: Any) -> None:
        """Another value in the place of the one at `path`."""
        span = self._spans(path)[path]
        written = flow(value, as_json=self._json)
        old = self.text[span.start : span.end]
        if span.kind != "alias" and old[:1] == "&":
            # The anchor stays; that nothing else hangs on it is checked below.
            written = f"{old.split(None, 1)[0]} {written}"
        # Behind `key:` there must be a space, which an empty value may not have.
        gap = " " if span.start == span.end and self.text[span.start - 1 : span.start] == ":" else ""
        self._become(self._put(span.start, span.end, gap + written), _with(self.value, path, value))

    def add_item(self, path: Path, item: Any) -> None:
        """One more item at the end of the list at `path`, which is made if it is not there."""
        current = _at(self.value, path)
        if current is None and not (path and isinstance(_at(self.value, path[:-1]), dict)):
            raise self._cannot("there is no place for a list")
        wanted = [*(current or []), item]
        if not current:
            self._first(path, [item], wanted)
            return
        last = (*path, len(current) - 1)
        before = (*path, len(current) - 2)
        found = self._spans(path if len(current) < 3 else last, before, last)
        seq, node = found[path], found.get(last)
        if seq.kind != "seq" or node is None:
            raise self._cannot("the list comes from an alias")
        if seq.flow:
            gap = ", "
            if before in found:
                gap = self.text[found[before].end : node.start]
                gap = gap if gap.strip() == "," else ", "
            self._become(
                self._put(node.end, node.end, gap + flow(item, as_json=self._json)),
                _with(self.value, path, wanted),
            )
            return
        dash, inner = self._dash(node), self._column(node.start)
        empty_line = self._after_empty_line(node) if len(current) > 1 else False
        written = flow(item)
        if isinstance(item, dict) and node.kind == "map" and not node.flow:
            written = block(item, indent=inner, newline=self._newline)
        line = " " * dash + "-" + " " * max(1, inner - dash - 1) + written + self._newline
        self._insert_line(node.end, (self._newline if empty_line else "") + line, path, wanted)

    def add_key(self, path: Path, key: str, value: Any) -> None:
        """One more key at the end of the mapping at `path`, which is made if it is not there."""
        current = _at(self.value, path)
        wanted = {**(current or {}), key: value}
        if not current:
            self._first(path, {key: value}, wanted)
            return
        found = self._spans(path)
        node = found[path]
        if node.kind != "map":
            raise self._cannot("the mapping comes from an alias")
        inside = [s for p, s in found.items() if len(p) == len(path) + 1 and p[: len(path)] == path]
        last = max(inside, key=lambda s: s.end)
        if node.flow:
            pair = f"{scalar(key, as_json=self._json)}: {flow(value, as_json=self._json)}"
            self._become(self._put(last.end, last.end, f", {pair}"), _with(self.value, path, wanted))
            return
        indent = self._column(last.key_start)
        if isinstance(value, dict) and not last.flow and last.kind == "map":
            inner = indent + max(2, self._column(last.start) - self._column(last.key_start))
            written = f"{scalar(key)}:{self._newline}{' ' * inner}" + block(
                value, indent=inner, newline=self._newline
            )
        else:
            written = f"{scalar(key)}: {flow(value)}"
        self._insert_line(
            max(last.end, last.key_end + 1), " " * indent + written + self._newline, path, wanted
        )

    def remove(self, path: Path) -> None:
        """Without the item or key at `path`. Comments on lines of their own stay."""
        around = path[:-1]
        container = _at(self.value, around)
        size = len(container)
        wanted = (
            [v for i, v in enumerate(container) if i != path[-1]]
            if isinstance(container, list)
            else {k: v for k, v in container.items() if k != path[-1]}
        )
        found = self._spans(
            around if size < 3 or isinstance(container, dict) else path,
            path,
            *([(*around, path[-1] + d) for d in (-1, 1)] if isinstance(path[-1], int) else []),
        )
        if path not in found or around not in found:
            raise self._cannot("what is to go comes from an alias")
        node, box = found[path], found[around]
        begin = node.key_start if node.key_start >= 0 else node.start
        if box.flow:
            inside = sorted(
                (
                    (s.key_start if s.key_start >= 0 else s.start, s.end)
                    for p, s in found.items()
                    if len(p) == len(path) and p[:-1] == around
                ),
            )
            at = inside.index((begin, node.end))
            comma = self._comma(node.end)
            gap = self.text[inside[at - 1][1] if at > 0 else begin : begin]
            behind = self.text[node.end : self._line_end(node.end if comma is None else comma)]
            if "#" in gap + behind or (len(inside) == 1 and comma is not None):
                if comma is None and at > 0:
                    comma = self._comma(inside[at - 1][1])
                new = self._without(begin, node.end, comma)
            elif at > 0:
                new = self._put(inside[at - 1][1], node.end, "")
            elif len(inside) > 1:
                new = self._put(begin, inside[1][0], "")
            else:
                new = self._put(begin, node.end, "")
            self._become(new, _with(self.value, around, wanted))
            return
        dash = self._dash_above(begin) if isinstance(container, list) else -1
        first = self._line_start(begin if dash < 0 else dash)
        after = self._line_end(max(node.end, node.key_end + 1))
        if self.text[first : begin if dash < 0 else dash].strip(" -\t"):
            raise self._cannot("something else stands on its line")
        text = self.text[:first] + self.text[after:]
        if size == 1:
            # A key with nothing behind it would be null.
            if not around or box.key_end < 0:
                raise self._cannot("it is the last one")
            colon = self.text.index(":", box.key_end)
            text = text[: colon + 1] + (" []" if isinstance(container, list) else " {}") + text[colon + 1 :]
        self._become(text, _with(self.value, around, wanted))

    def _without(self, begin: int, end: int, comma: int | None) -> str:
        """Without an item between brackets, its comma and the comment behind it. Those of its neighbours stay."""
        first, after = self._line_start(begin), self._line_end(end)
        rest = "".join(self.text[i] for i in range(end, after) if i != comma).strip()
        if not self.text[first:begin].strip() and (not rest or rest.startswith("#")):
            begin, end = first, after
        elif not self.text[first:begin].strip() and comma is not None and end <= comma < after:
            # What comes next on the line takes its place.
            end = after - len(self.text[comma + 1 : after].lstrip(" \t"))
        else:
            begin = max(first, len(self.text[:begin].rstrip(" \t")))
        new = self._put(begin, end, "")
        if comma is None or begin <= comma < end:
            return new
        comma -= end - begin if comma >= end else 0
        return new[:comma] + new[comma + 1 :]

    # --- parts --------------------------------------------------------------------------------------------------

    def _first(self, path: Path, item: Any, wanted: Any) -> None:
        """The first item of a list or key of a mapping that is empty, null, or not there."""
        parent = _at(self.value, path[:-1])
        if not isinstance(parent, dict) or not path:
            raise self._cannot("there is no place for it")
        if path[-1] not in parent:
            self._absent_key(path, item)
            return
        found = self._spans(path, path[:-1])
        node, box = found[path], found[path[:-1]]
        if node.flow and node.kind != "alias" and "#" in self.text[node.start : node.end]:
            # The comments between the brackets stay, so the closing one is on a line of its own.
            at = self._line_start(node.end - 1)
            piece = flow(wanted, as_json=self._json)[1:-1]
            line = " " * (self._column(node.end - 1) + 2) + piece + self._newline
            self._become(self._put(at, at, line), _with(self.value, path, wanted))
            return
        if box.flow or node.kind == "alias" or self.text[node.start : node.start + 1] == "&":
            self.set(path, wanted)
            return
        indent = self._column(node.key_start) + 2
        lines = self._block(item, indent)
        # What is there goes, and the comment behind it stays on the key's line.
        before = self.text[: node.start].rstrip(" \t") if node.end > node.start else self.text[: node.start]
        rest = self.text[node.end :]
        end = rest.find("\n")
        head, tail = (rest, "") if end < 0 else (rest[: end + 1], rest[end + 1 :])
        if end < 0:
            head += self._newline
        self._become(before + head + lines + tail, _with(self.value, path, wanted))

    def _absent_key(self, path: Path, value: Any) -> None:
        if len(path) != 1 or self._json:
            self.add_key(path[:-1], str(path[-1]), value)
            return
        text = self.text + ("" if not self.text or self.text.endswith("\n") else self._newline)
        written = f"{scalar(path[0])}:{self._newline}{self._block(value, 2)}"
        self._become(text + written, _with(self.value, path, value))

    def _block(self, value: Any, indent: int) -> str:
        """The only item of a list, or the only key of a mapping, as lines."""
        pad = " " * indent
        if isinstance(value, list):
            written = (
                block(value[0], indent=indent + 2, newline=self._newline)
                if isinstance(value[0], dict)
                else flow(value[0])
            )
            return f"{pad}- {written}{self._newline}"
        [(key, inner)] = value.items()
        written = (
            self._newline + " " * (indent + 2) + block(inner, indent=indent + 2, newline=self._newline)
            if isinstance(inner, dict) and inner
            else f" {flow(inner)}"
        )
        return f"{pad}{scalar(key)}:{written}{self._newline}"

    def _insert_line(self, after: int, line: str, path: Path, wanted: Any) -> None:
        """A line after the one in which `after`, the end of a node, is."""
        at = self._line_end(after)
        head = self.text[:at]
        if head and not head.endswith("\n"):
            head += self._newline
        self._become(head + line + self.text[at:], _with(self.value, path, wanted))

    def _put(self, start: int, end: int, piece: str) -> str:
        return self.text[:start] + piece + self.text[end:]

    def _line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def _line_end(self, at: int) -> int:
        """Behind the line break of the line in which a node ends."""
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end + 1

    def _column(self, at: int) -> int:
        return at - self._line_start(at)

    def _dash(self, item: Span) -> int:
        line = self.text[self._line_start(item.start) : item.start]
        if line.strip() == "-":
            return line.index("-")
        above = self._dash_above(item.start)
        if above < 0:
            raise self._cannot("the last item does not begin on the line of its dash")
        return self._column(above)

    def _dash_above(self, start: int) -> int:
        """Where the dash of an item is that begins below it, with nothing but comments between; -1 if not there."""
        end = self._line_start(start)
        if self.text[end:start].strip():
            return -1
        while end > 0:
            at = self._line_start(end - 1)
            line = self.text[at:end].strip()
            if line[:1] == "-" and line[1:].lstrip()[:1] in ("", "#"):
                return self.text.index("-", at)
            if line and line[0] != "#":
                return -1
            end = at
        return -1

    def _comma(self, at: int) -> int | None:
        """Where the comma behind an item between brackets is, if there is one."""
        while at < len(self.text) and (self.text[at] == "#" or self.text[at].isspace()):
            at = self._line_end(at) if self.text[at] == "#" else at + 1
        return at if self.text[at : at + 1] == "," else None

    def _after_empty_line(self, item: Span) -> bool:
        above = self._dash_above(item.start)
        start = self._line_start(item.start if above < 0 else above)
        return start > 1 and not self.text[self._line_start(start - 1) : start].strip()

    def _spans(self, *paths: Path) -> dict[Path, Span]:
        found = spans(self.text, paths, pure=self._loaded.pure)
        if paths[0] not in found:
            raise self._cannot("what is to change comes from an alias or a merge key")
        return found

    def _read(self, text: str) -> None:
        try:
            loaded = load(text)
        except YamlSyntaxError as error:
            raise self._cannot(error.problem.message) from None
        self._loaded: Loaded = loaded
        self.value: Any = loaded.value

    def _become(self, text: str, wanted: Any) -> None:
        """Take the new text if it means exactly what is wanted."""
        try:
            loaded = load(text)
        except YamlSyntaxError as error:
            raise self._cannot(
                f"the change would not be valid YAML there ({error.problem.message})"
            ) from None
        if loaded.problems or loaded.value != wanted:
            raise self._cannot("the change would touch more than that, through an anchor or a merge key")
        self.text, self.value, self._loaded = text, loaded.value, loaded

    def _cannot(self, why: str) -> CannotSpliceError:
        return CannotSpliceError(f"{self.file} cannot be edited in place: {why}", hint="edit it by hand")


def _at(value: Any, path: Path) -> Any:
    step: Any
    for step in path:
        value = value[step] if isinstance(value, list) else value.get(step)
        if value is None:
            return None
    return value


def _with(value: Any, path: Path, new: Any) -> Any:
    """A copy of `value` with `new` at `path`; what is beside the path is shared."""
    if not path:
        return new
    step: Any = path[0]
    if isinstance(value, list):
        copy = list(value)
        copy[step] = _with(value[step], path[1:], new)
        return copy
    return {**(value or {}), step: _with((value or {}).get(step), path[1:], new)}
