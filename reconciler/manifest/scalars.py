"""Plain scalars of YAML, by the core schema of YAML 1.2 (chapter 10.3.2), less `.inf` and `.nan`.

Those stay texts: JSON has no such numbers, a JSON Schema cannot refuse them, and no manifest wants one.
"""

import re
from typing import Any  # a scalar is whatever was written

_CORE: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
#: What a plain scalar that is no text begins with; the reader asks this first, to spare a call for the others.
NO_TEXT_START = frozenset(("", *"~nNtTfF+-.0123456789"))
_NUMBER_START = frozenset("+-.0123456789")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_OCT = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")


def plain(text: str) -> Any:
    """The value of a plain scalar by the core schema of YAML 1.2."""
    if text in _CORE:
        return _CORE[text]
    # 4300 digits are the most that Python converts; no number of a manifest has more than 20.
    if text[0] in _NUMBER_START and len(text) <= 100:
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        if _OCT.fullmatch(text) or _HEX.fullmatch(text):
            return int(text, 0)
    return text
