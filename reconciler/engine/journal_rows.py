"""What the journal gives back: runs, requests, tries, and how many pins were seen, out of its rows."""

from datetime import UTC, datetime

import msgspec
from msgspec import Struct


class RunRow(Struct, frozen=True, kw_only=True):
    """A run. `ended` and `exit_code` are None while it is at work, and for ever if it was killed."""

    id: str
    owner: str
    plan: str
    what: str
    started: datetime
    ended: datetime | None
    exit_code: int | None
    counts: dict[str, int]
    host: str
    pid: int
    pinrec: str


class OutcomeRow(Struct, frozen=True, kw_only=True, gc=False):
    """A request and what became of it. `result` "" means that no answer was noted: it may have happened."""

    run: str
    #: Unique in the journal; rises in the order in which the intents of a run were noted.
    seq: int
    at: datetime
    service: str
    name: str
    action: str
    cid: str
    #: Of the answer if it had one, else of the intent.
    requestid: str
    result: str
    why: str


class Try(Struct, frozen=True, kw_only=True):
    """Retries of one CID under one key since it last was pinned, and when the latest began."""

    cid: str
    attempts: int
    at: datetime


class Seen(Struct, frozen=True, kw_only=True):
    """How many pins of an owner a service held when last listed; at least one if we added there since."""

    pins: int
    at: datetime


def time_of(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def run_of(
    row: tuple[str, str, str, str, float, float | None, int | None, str, str, int, str],
) -> RunRow:
    run, owner, plan, what, started, ended, code, counts, host, pid, pinrec = row
    return RunRow(
        id=run,
        owner=owner,
        plan=plan,
        what=what,
        started=time_of(started),
        ended=None if ended is None else time_of(ended),
        exit_code=code,
        counts=msgspec.json.decode(counts, type=dict[str, int]),
        host=host,
        pid=pid,
        pinrec=pinrec,
    )


def outcome_of(row: tuple[str, int, float, str, str, str, str, str, str, str]) -> OutcomeRow:
    run, seq, at, service, name, action, cid, requestid, result, why = row
    return OutcomeRow(
        run=run,
        seq=seq,
        at=time_of(at),
        service=service,
        name=name,
        action=action,
        cid=cid,
        requestid=requestid,
        result=result,
        why=why,
    )
