"""A line of the loop's log: for people and `grep` (logfmt), or for programs (JSON)."""

import re
from typing import Literal

import msgspec

from reconciler.cli.render.escape import clip, json_text, terminal
from reconciler.daemon.log import Line, Value

LogFormat = Literal["text", "json"]
#: Services send whole HTML pages.
LONGEST = 500
_BARE = re.compile(r"[^\s\"=\\]+")


def log_line(line: Line, form: LogFormat) -> str:
    """Without the newline. Whatever the fields hold, it is one line, and obeyed by no terminal."""
    time = f"{line.time:%Y-%m-%dT%H:%M:%S}.{line.time.microsecond // 1000:03d}Z"
    if form == "json":
        fields = {name: clip(v, LONGEST) if isinstance(v, str) else v for name, v in line.fields.items()}
        head = {"time": time, "level": line.level, "event": line.event}
        return json_text(msgspec.json.encode({**head, **fields}))
    head = {"time": time, "level": line.level, "event": line.event}
    return " ".join(f"{name}={_value(value)}" for name, value in {**head, **line.fields}.items())


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return f"{value:g}" if isinstance(value, float) else str(value)
    text = terminal(clip(value, LONGEST))
    return text if _BARE.fullmatch(text) else '"' + text.replace('"', r"\"") + '"'
