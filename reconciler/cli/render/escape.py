"""Text from outside, made harmless: one function per place it can be printed in.

Names, infos and error texts come from services and from files that other people write. Unescaped, they could
move the cursor, turn the reading direction, forge a line of a plan, give commands to GitHub Actions, or
mention people.

Every function is total, and escaping is visible (`\\u202e`), never silent: two texts never come out the same.
"""

import re
import unicodedata

#: Letters and marks that count as printable and leave no ink: with them two names could look the same.
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
#: What needs a closer look. Everything else in a text is printed as it is.
_SUSPECT = re.compile(rf"[^ -~\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2190-\u21ff]|\\|[{_INVISIBLE}]")
_INVISIBLE_ONLY = re.compile(f"[{_INVISIBLE}]")
#: Texts whose every character takes one column.
_NARROW = re.compile("[ -~\u00a1-\u02ff\u2010-\u2027\u2190-\u21ff]*")
#: At most so many combining marks follow a letter; more would paint over the neighbouring lines.
_MAX_MARKS = 4
#: In the JSON text of a string: what a terminal or an editor would obey instead of showing.
_JSON_UNSAFE = re.compile(
    "[\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
    "|[\U000e0000-\U000e007f]"
)
_SAFE_CODE = re.compile(r"[^`|\\<>&\s]+( [^`|\\<>&\s]+)*")
_MARKDOWN_MARKS = re.compile(r"[!-/:-@\[-`{-~]")
#: The same without what means nothing inside a line, for the sake of whoever reads the source.
_MARKDOWN_ACTIVE = re.compile(r"[#$&*/<>@\[-`{-~]|[.:](?!\s|$)")


def _spell(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def terminal(text: str) -> str:
    """`text` on one line of a terminal or a log: no control, no line break, no bidi, nothing invisible.

    A backslash is doubled, so that what is escaped cannot be confused with what was there. `::` at the start
    and `##[` anywhere are broken up: the runner of GitHub Actions takes such a line for a command.
    """
    # The first test is for speed: nearly every name is ASCII, and a plan may hold a hundred thousand of them.
    if not (text.isascii() and text.isprintable() and "\\" not in text) and _SUSPECT.search(text):
        out: list[str] = []
        marks = 0
        for char in text:
            if char == "\\":
                out.append("\\\\")
                marks = 0
            elif not char.isprintable() or _INVISIBLE_ONLY.match(char):
                out.append(_spell(char))
                marks = 0
            elif unicodedata.combining(char) or unicodedata.category(char)[0] == "M":
                marks += 1
                out.append(char if marks <= _MAX_MARKS and len(out) > 0 else _spell(char))
            else:
                out.append(char)
                marks = 0
        text = "".join(out)
    if "::" in text and text.lstrip().startswith("::"):
        text = text.replace("::", r"\x3a:", 1)
    return text.replace("##[", r"#\x23[")


def quoted(name: str) -> str:
    """A name as one word: in quotes if it is empty or holds a space or a quote."""
    safe = terminal(name)
    if not safe or " " in safe or '"' in safe:
        return '"' + safe.replace('"', r"\"") + '"'
    return safe


def cells(text: str) -> int:
    """How many columns a terminal gives to text that is escaped already."""
    if _NARROW.fullmatch(text):
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.category(c)[0] == "M" for c in text)


def pad(text: str, width: int) -> str:
    """`text`, filled up to `width` columns."""
    return text + " " * (width - cells(text))


def clip(text: str, limit: int = 300) -> str:
    """At most `limit` characters, with a sign that something is missing."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def markdown(text: str) -> str:
    """Free text in Markdown: every mark is an entity, so nothing is markup, a link, HTML or a table cell.

    GitHub finds mentions and issue numbers in the rendered text, where an entity is a plain `@`; a comment
    between the sign and what follows keeps them apart.
    """
    encoded = _MARKDOWN_ACTIVE.sub(_entity, terminal(text))
    return encoded.replace("&#64;", "&#64;<!-- -->").replace("&#35;", "&#35;<!-- -->")


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match.group())};"


def markdown_code(text: str) -> str:
    """A name or a CID in Markdown, as code: GitHub links and mentions nothing in code."""
    safe = terminal(text)
    if _SAFE_CODE.fullmatch(safe):
        return f"`{safe}`"
    return f"<code>{_MARKDOWN_MARKS.sub(_entity, safe) or '&nbsp;'}</code>"


def github_message(text: str) -> str:
    """The message of a workflow command (`::error::MESSAGE`)."""
    return terminal(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def github_property(text: str) -> str:
    """A property of a workflow command (`file=PROPERTY`)."""
    return github_message(text).replace(":", "%3A").replace(",", "%2C")


def json_text(encoded: bytes) -> str:
    """JSON of the same meaning and safe to print: what a terminal or a CI runner would obey is `\\uXXXX`."""
    text = encoded.decode("utf-8", "surrogatepass")
    text = _JSON_UNSAFE.sub(_json_spell, text)
    return text.replace("##[", r"#\u0023[")


def _json_spell(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
