"""Values written as YAML 1.2, in a way that readers of YAML 1.1 understand alike."""

import json
import re
from collections.abc import Mapping, Sequence

from reconciler.manifest.scalars import plain

#: What may stand without quotes everywhere, within brackets too.
_SAFE = re.compile(r"(?:~/)?[A-Za-z0-9_./][A-Za-z0-9_./@+~%-]*(?: [A-Za-z0-9_./@+~%-]+)*")
#: Texts to us, and something else to a reader of YAML 1.1.
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off"))
_NUMBERLIKE = re.compile(r"[-+.]?[0-9][0-9_.,:eExXoOa-fA-F+-]*")


def scalar(value: object, *, as_json: bool = False) -> str:
    """A text, number or truth value on one line. Texts are quoted only where they must be."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    if (
        not as_json
        and _SAFE.fullmatch(text)
        and isinstance(plain(text), str)
        and text.lower() not in _WORDS
        and not _NUMBERLIKE.fullmatch(text)
    ):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    # JSON knows `\u` only; beyond it every character may stand as it is.
    form = "\\u{:04x}" if as_json else "\\U{:08x}"
    return "".join(
        c if c.isprintable() or (as_json and ord(c) > 0xFFFF) else form.format(ord(c)) for c in quoted
    )


def flow(value: object, *, as_json: bool = False) -> str:
    """Any value on one line, with brackets."""
    if isinstance(value, Mapping):
        pairs = (f"{scalar(k, as_json=as_json)}: {flow(v, as_json=as_json)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(flow(v, as_json=as_json) for v in value) + "]"
    return scalar(value, as_json=as_json)


def block(value: Mapping[str, object], *, indent: int, newline: str = "\n") -> str:
    """A mapping with a line for each key, the first without indentation; what is inside has brackets."""
    return (newline + " " * indent).join(f"{scalar(k)}: {flow(v)}" for k, v in value.items())
