"""What the loop says as it goes: one line for each thing that happened, with named fields.

The loop knows what happened; how a line is written, and what of it is safe to show, is for whoever listens.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

Level = Literal["debug", "info", "warning", "error"]
Value = str | int | float | bool


class Line(Struct, frozen=True, kw_only=True):
    """`event` is one of few words; `fields` are in the order in which they are worth reading. Texts in them may come
    from services and are untrusted."""

    time: datetime
    level: Level
    event: str
    fields: Mapping[str, Value]


class Log:
    """Where the loop's lines go."""

    def __init__(self, write: Callable[[Line], None], now: Callable[[], datetime]) -> None:
        self._write = write
        self._now = now

    def __call__(self, level: Level, event: str, **fields: Value | None) -> None:
        """Fields that are None or "" are left out."""
        kept = {name: value for name, value in fields.items() if value is not None and value != ""}
        self._write(Line(time=self._now(), level=level, event=event, fields=kept))
