"""What a running loop writes down for `pinrec status`, and what a person tells it with `pinrec pause`.

Two small files beside the journal, each written whole or not at all: `<owner>.loop.json` and `<owner>.pause.json`.
Neither holds a key, an endpoint or an address.
"""

import os
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from reconciler.core.errors import PinrecError

T = TypeVar("T")

Standing = Literal["", "converged", "drift", "blocked", "failed", "unknown"]

#: From good to bad.
_ORDER: tuple[Standing, ...] = ("", "converged", "drift", "blocked", "failed", "unknown")


def worse(one: Standing, other: Standing) -> Standing:
    return max(one, other, key=_ORDER.index)


class PolicyState(Struct, kw_only=True, omit_defaults=True):
    """A policy's pin at one service. `pin`: pinned, waiting, failed, absent, or unknown."""

    policy: str
    name: str = ""
    #: The root that is wanted now.
    root: str = ""
    pin: Literal["pinned", "waiting", "failed", "absent", "unknown"] = "unknown"
    why: str = ""
    #: Until when a change is held back by `repinInterval`.
    held_until: datetime | None = None


class CycleState(Struct, kw_only=True, omit_defaults=True):
    """The last plan made of a service, and what came of it. `did`: applied, planned, or why nothing was done."""

    at: datetime
    why: str
    did: str
    seconds: float
    exit_code: int
    changes: int = 0
    done: int = 0
    failed: int = 0
    blocked: int = 0


class ServiceState(Struct, kw_only=True, omit_defaults=True):
    service: str
    standing: Standing = ""
    paused: bool = False
    last: CycleState | None = None
    #: When all of the account was last listed.
    listed: datetime | None = None
    waiting: int = 0
    #: Cycles in a row in which the service could not be worked with, and when it is tried again.
    failures: int = 0
    again: datetime | None = None
    error: str = ""
    policies: list[PolicyState] = []


class RootState(Struct, kw_only=True, omit_defaults=True):
    """What is watched at the node: the answer as text, or why there is none."""

    path: str
    cid: str = ""
    why: str = ""
    since: datetime | None = None


class WatchState(Struct, kw_only=True, omit_defaults=True):
    """`stat` is what a look costs, in seconds; `bound` whether that, and not the wish for speed, sets `interval`."""

    node: str
    stat: float = 0.0
    interval: float = 0.0
    bound: bool = False
    roots: list[RootState] = []


class LoopState(Struct, kw_only=True, omit_defaults=True):
    """The loop of one owner, as it was at `written`."""

    format: str = "1.0"
    pinrec: str
    owner: str
    manifest: str
    pid: int
    host: str
    since: datetime
    written: datetime
    #: When the next regular cycle is due.
    next: datetime | None = None
    plan_only: bool = False
    #: Whether changes may be made now, and when that changes.
    window_open: bool = True
    window_changes: datetime | None = None
    #: What is wrong with the files as they are; then an earlier version is in force.
    manifest_error: str = ""
    webhook_error: str = ""
    services: list[ServiceState] = []
    watch: WatchState | None = None


class Paused(Struct, kw_only=True):
    """`services` () means all of them."""

    services: tuple[str, ...] = ()
    everything: bool = False
    since: datetime | None = None
    by: str = ""

    def covers(self, service: str) -> bool:
        return self.everything or service in self.services


class StateFiles:
    """The two files of one owner."""

    def __init__(self, state_dir: Path, owner: str) -> None:
        self.loop = state_dir / f"{owner}.loop.json"
        self.pause = state_dir / f"{owner}.pause.json"

    def read_loop(self) -> LoopState | None:
        """What the last loop wrote; None if there was none, or if what it wrote cannot be read."""
        return _read(self.loop, LoopState)

    def write_loop(self, state: LoopState) -> None:
        """Raises OSError."""
        _write(self.loop, msgspec.json.encode(state))

    def read_paused(self) -> Paused:
        return _read(self.pause, Paused) or Paused()

    def write_paused(self, paused: Paused) -> None:
        """Raises PinrecError."""
        try:
            if not paused.everything and not paused.services:
                self.pause.unlink(missing_ok=True)
            else:
                _write(self.pause, msgspec.json.encode(paused))
        except OSError as error:
            raise PinrecError(
                f"{self.pause} cannot be written: {error.strerror}", hint="choose another --state-dir"
            ) from error


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content + b"\n")
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
