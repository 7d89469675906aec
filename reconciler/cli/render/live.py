"""Live pins, written as they come."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, json

from reconciler.cli.render.escape import json_text, quoted, terminal
from reconciler.cli.render.style import PLAIN, Style
from reconciler.core.model import PinStatus


class _Pin(Struct, frozen=True, omit_defaults=True):
    cid: str
    name: str | None = None
    origins: list[str] | None = None
    meta: dict[str, str] | None = None


class _Row(Struct, frozen=True, omit_defaults=True):
    """A PinStatus of API v1.0.0 and the service that holds it. `delegates` is required there."""

    service: str
    requestid: str
    status: str
    created: str
    pin: _Pin
    delegates: list[str]
    info: dict[str, str] | None = None


class LiveRows:
    """The text of a listing: `begin`, then every `page`, then `end`."""

    def __init__(
        self,
        form: Literal["table", "json", "ndjson"],
        services: Sequence[str],
        *,
        style: Style = PLAIN,
        verbose: bool = False,
    ) -> None:
        self.form = form
        self._style = style
        self._verbose = verbose
        self._width = max((len(terminal(s)) for s in (*services, "SERVICE")), default=0)
        self._first = True

    def begin(self) -> str:
        if self.form == "json":
            return "["
        if self.form == "ndjson":
            return ""
        last = "NAME  REQUESTID" if self._verbose else "NAME"
        head = f"{'SERVICE':<{self._width}}  STATUS   {'CREATED':<24}  {'CID':<59}  {last}"
        return self._style(head, "bold") + "\n"

    def page(self, service: str, pins: Sequence[PinStatus]) -> str:
        if self.form == "table":
            return "".join(self._line(service, pin) for pin in pins)
        rows = [json_text(json.encode(_row(service, pin))) for pin in pins]
        if self.form == "ndjson":
            return "".join(f"{row}\n" for row in rows)
        lead = "\n" if self._first else ",\n"
        self._first = self._first and not rows
        return lead + ",\n".join(rows) if rows else ""

    def end(self) -> str:
        return "\n]\n" if self.form == "json" else ""

    def _line(self, service: str, pin: PinStatus) -> str:
        requestid = f"  {quoted(pin.requestid)}" if self._verbose else ""
        name = quoted(pin.pin.name) if pin.pin.name else "-"
        return (
            f"{terminal(service):<{self._width}}  {terminal(pin.status):<7}  {terminal(pin.created):<24}  "
            f"{terminal(pin.pin.cid):<59}  {name}{requestid}\n"
        )


def _row(service: str, pin: PinStatus) -> _Row:
    body = pin.pin
    return _Row(
        service=service,
        requestid=pin.requestid,
        status=pin.status,
        created=pin.created,
        pin=_Pin(cid=body.cid, name=body.name, origins=body.origins or None, meta=body.meta or None),
        delegates=pin.delegates or [],
        info=pin.info or None,
    )
