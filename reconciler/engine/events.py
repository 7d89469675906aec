"""What happens, as NDJSON for programs: one line per step, beside what people read.

The first line says the version; every line has `type` and `time` (RFC 3339, UTC). A reader skips types and fields it
does not know. Schema: `schemas/events.schema.json`. No line holds a key, an endpoint or an address.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal, TextIO

import msgspec

from reconciler.core.errors import UsageError
from reconciler.core.plan import Plan
from reconciler.core.report import Outcome, Report, Result
from reconciler.engine.progress import Progress

EVENTS_FORMAT = "1.0"


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    time: str


class Version(_Event, frozen=True, kw_only=True):
    """The first line."""

    format: str = EVENTS_FORMAT
    pinrec: str
    command: str
    owner: str
    manifest: str


class Listing(_Event, frozen=True, kw_only=True):
    """Pins seen so far at a service; `done` with the last of them."""

    service: str
    pins: int
    done: bool


class Planned(_Event, frozen=True, kw_only=True):
    """A plan is made: what an apply of it would do, in names at a service (`cleanup`: in pins)."""

    plan: str
    add: int
    replace: int
    delete: int
    retry: int
    cleanup: int
    blocked: int
    held: int
    waiting: int
    drift: int
    unchanged: int
    #: The code that `pinrec plan` ends with.
    exit_code: int


class Applying(_Event, frozen=True, kw_only=True):
    """An apply of `total` changes begins."""

    total: int


class Accepted(_Event, frozen=True, kw_only=True):
    """A service accepted a request; the pin may still be waiting."""

    service: str
    name: str
    action: str


class Waiting(_Event, frozen=True, kw_only=True):
    """`pending` pins are followed until they are pinned."""

    pending: int
    seconds_left: float


class Fetching(_Event, frozen=True, kw_only=True):
    """The node is fetching a pin: blocks so far, and bytes, 0 where it does not say."""

    service: str
    cid: str
    nodes: int
    bytes: int


class Done(_Event, frozen=True, kw_only=True, tag="outcome", omit_defaults=True):
    """An action has its final outcome, as in a report."""

    service: str
    name: str
    action: Literal["add", "replace", "retry", "delete"]
    result: Result
    cid: str
    requestid: str = ""
    why: str = ""


class Note(_Event, frozen=True, kw_only=True):
    """Something a person should know: a lane stopped, a service asks to wait."""

    service: str
    text: str


class Reported(_Event, frozen=True, kw_only=True, tag="report"):
    """An apply has ended; the counts are those of its outcomes."""

    run: str
    plan: str
    seconds: float
    done: int
    waiting: int
    failed: int
    skipped: int
    moved: int
    interrupted: bool
    exit_code: int


class Failed(_Event, frozen=True, kw_only=True, tag="error"):
    """The run ends with an error instead of a plan or a report."""

    message: str
    exit_code: int


Event = (
    Version | Listing | Planned | Applying | Accepted | Waiting | Fetching | Done | Note | Reported | Failed
)


class Events:
    """Writes events and passes everything on to another listener. Implements `engine.progress.Progress`."""

    def __init__(self, stream: TextIO, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._stream = stream
        self._now = now
        self._also: Progress | None = None
        #: Why nothing is written any more, or ""; and whether that was told.
        self._broken = ""
        self._told = False

    def tee(self, also: Progress) -> "Events":
        """Let `also` hear everything, too."""
        self._also = also
        self._tell()
        return self

    def end(self) -> None:
        """Close the file; what it could not take was told before."""
        with suppress(OSError):
            self._stream.close()

    def close(self) -> None:
        """What a live display has: called when it must leave the terminal."""
        close = getattr(self._also, "close", None)
        if close is not None:
            close()

    # --- lines of our own ---------------------------------------------------------------------------------------

    def begin(self, *, pinrec: str, command: str, owner: str, manifest: str) -> None:
        self._write(
            Version(time=self._time(), pinrec=pinrec, command=command, owner=owner, manifest=manifest)
        )

    def planned(self, plan: Plan, counts: dict[str, int]) -> None:
        """`counts` are those of the summary, by the names of the fields."""
        self._write(Planned(time=self._time(), plan=plan.id, exit_code=plan.exit_code(), **counts))

    def report(self, report: Report, exit_code: int) -> None:
        self._write(
            Reported(
                time=self._time(),
                run=report.run,
                plan=report.plan,
                seconds=report.seconds,
                done=report.count("done"),
                waiting=report.count("waiting"),
                failed=report.count("failed"),
                skipped=report.count("skipped"),
                moved=report.count("moved"),
                interrupted=report.interrupted,
                exit_code=exit_code,
            )
        )

    def error(self, message: str, exit_code: int) -> None:
        self._write(Failed(time=self._time(), message=message, exit_code=exit_code))

    # --- engine.progress.Progress -------------------------------------------------------------------------------

    def listing(self, service: str, pins: int, *, done: bool) -> None:
        self._write(Listing(time=self._time(), service=service, pins=pins, done=done))
        if self._also is not None:
            self._also.listing(service, pins, done=done)

    def applying(self, total: int) -> None:
        self._write(Applying(time=self._time(), total=total))
        if self._also is not None:
            self._also.applying(total)

    def accepted(self, service: str, name: str, action: str) -> None:
        self._write(Accepted(time=self._time(), service=service, name=name, action=action))
        if self._also is not None:
            self._also.accepted(service, name, action)

    def waiting(self, pending: int, seconds_left: float) -> None:
        self._write(Waiting(time=self._time(), pending=pending, seconds_left=round(seconds_left, 3)))
        if self._also is not None:
            self._also.waiting(pending, seconds_left)

    def fetching(self, service: str, cid: str, nodes: int, size: int) -> None:
        self._write(Fetching(time=self._time(), service=service, cid=cid, nodes=nodes, bytes=size))
        if self._also is not None:
            self._also.fetching(service, cid, nodes, size)

    def outcome(self, outcome: Outcome) -> None:
        self._write(Done(time=self._time(), **msgspec.structs.asdict(outcome)))
        if self._also is not None:
            self._also.outcome(outcome)

    def note(self, service: str, text: str) -> None:
        self._write(Note(time=self._time(), service=service, text=text))
        if self._also is not None:
            self._also.note(service, text)

    # --- writing ------------------------------------------------------------------------------------------------

    def _time(self) -> str:
        return f"{self._now():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"

    def _write(self, event: Event) -> None:
        """A reader that went away, or a full disk, is told of once; the run goes on."""
        if self._broken:
            return
        try:
            self._stream.write(msgspec.json.encode(event).decode() + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._broken = getattr(error, "strerror", None) or type(error).__name__
            self._tell()

    def _tell(self) -> None:
        if self._broken and not self._told and self._also is not None:
            self._told = True
            self._also.note("", f"--events: no more events are written: {self._broken}")


def open_events(path: str) -> TextIO:
    """The file for events, emptied; raises UsageError. Only its owner can read a new one: names may be private."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        return os.fdopen(handle, "w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--events {path}: {(error.strerror or 'it cannot be written').lower()}") from None
