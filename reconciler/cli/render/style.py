"""Colour, and whether there is any."""

from collections.abc import Mapping
from typing import Final, Literal, TextIO

ColorChoice = Literal["auto", "always", "never"]
Tone = Literal["add", "replace", "delete", "retry", "blocked", "keep", "dim", "bold", "good", "bad"]

_CODES: Final[dict[Tone, str]] = {
    "add": "32",
    "replace": "33",
    "delete": "31",
    "retry": "36",
    "blocked": "35",
    "keep": "2",
    "dim": "2",
    "bold": "1",
    "good": "32",
    "bad": "31;1",
}


class Style:
    """Paints text with ANSI colours, or leaves it alone."""

    __slots__ = ("color",)

    def __init__(self, color: bool = False) -> None:
        self.color = color

    def __call__(self, text: str, tone: Tone) -> str:
        return f"\x1b[{_CODES[tone]}m{text}\x1b[0m" if self.color and text else text


PLAIN = Style(color=False)


def wants_color(choice: ColorChoice, environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether `stream` gets colours.

    `always` and `never` are final. With `auto`: a non-empty NO_COLOR (no-color.org) means no, then
    FORCE_COLOR other than 0 means yes, then it takes a terminal that is not dumb.
    """
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    try:
        return stream.isatty() and environ.get("TERM") != "dumb"
    except ValueError:  # a closed stream
        return False
