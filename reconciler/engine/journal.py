"""The journal: what pinrec did, when, and what it learned about services. SQLite in the state directory.

It is for history, for the spacing of retries and for warnings, **never for correctness**: convergence needs
no state of ours, and a CI runner has none. So:

- A journal that cannot be opened or begun ends the command before the first request (`PinrecError`).
- One that fails later (a full disk) is switched off for the rest of the run; `failed` says why, and the
  engine passes that on once.
- A corrupt file is moved aside (`journal.db.corrupt-...`) and a new one begun; `notes` says so.

An intent is durable before its request is sent: `await intent(...)` returns when its batch is committed. The
database is in WAL mode with `synchronous=NORMAL`: a commit survives `kill -9` of the process; a power cut may
lose the last ones, which costs history and nothing else, and no commit waits for the disk.

No key, endpoint or address ever comes here: services go by their names in the manifest, and a digest stands
for an endpoint.
"""

import contextlib
import os
import secrets
import socket
import sqlite3
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec
from msgspec import Struct

from reconciler import __version__
from reconciler.core.verified import Doubt, Verdict
from reconciler.engine.group_commit import GroupCommit
from reconciler.engine.journal_file import RUN_BITS, JournalFile, is_corrupt, unusable
from reconciler.engine.journal_rows import OutcomeRow, RunRow, Seen, Try, outcome_of, run_of, time_of

__all__ = ["FILE_NAME", "KEEP", "Intent", "Journal", "OutcomeRow", "RunRow", "Seen", "Try"]

T = TypeVar("T")

FILE_NAME = "journal.db"
#: Runs older than this are forgotten when a new one begins.
KEEP = timedelta(days=180)
#: Characters kept of an error text; services send whole HTML pages.
WHY_MAX = 500

_INTENT = "INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?, ?)"
_OUTCOME = "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?)"
_TRY = """INSERT INTO tries VALUES (?, ?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET
  attempts = CASE WHEN cid = excluded.cid THEN attempts + 1 ELSE 1 END,
  cid = excluded.cid, at = excluded.at"""
_SETTLED = "DELETE FROM tries WHERE owner = ? AND service = ? AND name = ?"
_LEARN = "INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?)"
# What an older pinrec noted without a place holds wherever nothing else is known.
_LEARNED = "SELECT fact, value FROM known WHERE service = ? AND place IN ('', ?) ORDER BY place"
_STAYS = "DELETE FROM leaving WHERE owner = ? AND service = ? AND name = ?"
_LEAVES = "INSERT OR IGNORE INTO leaving VALUES (?, ?, ?, ?)"
_SAW = "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)"
_ADDED = """INSERT INTO seen VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE SET
  pins = max(pins, 1), at = excluded.at"""
# Only what was retrieved ends a doubt, and what has another CID by now: nothing else shows that the pin is a copy.
_VERIFIED = """INSERT INTO verified
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, CASE ?7 WHEN 'unretrievable' THEN ?8 END, ?9)
  ON CONFLICT DO UPDATE SET
  since = CASE WHEN ?7 = 'retrieved' THEN NULL WHEN cid = ?5 THEN coalesce(since, excluded.since)
    ELSE excluded.since END,
  missing = CASE WHEN ?9 = '' AND ?7 <> 'retrieved' AND cid = ?5 THEN missing ELSE ?9 END,
  cid = ?5, name = ?6, verdict = ?7, at = ?8"""
_DOUBTS = """SELECT service, requestid, cid, name, since, at, missing FROM verified
  WHERE owner = ? AND service = ? AND place = ? AND since IS NOT NULL"""
_LOOKED_AT = "SELECT requestid, cid, at FROM verified WHERE owner = ? AND service = ? AND place = ?"
_GONE = "DELETE FROM verified WHERE owner = ? AND service = ? AND requestid = ?"
_BEGIN = (
    "INSERT INTO runs (id, owner, plan, what, started, host, pid, pinrec) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_END = "UPDATE runs SET ended = ?, exit_code = ?, counts = ? WHERE n = ?"
_RUN_COLUMNS = "id, owner, plan, what, started, ended, exit_code, counts, host, pid, pinrec"
_OUTCOMES = f"""SELECT runs.id, i.seq, i.at, i.service, i.name, i.action, i.cid,
    CASE WHEN coalesce(o.requestid, '') = '' THEN i.requestid ELSE o.requestid END,
    coalesce(o.result, ''), coalesce(o.why, '')
  FROM runs JOIN intents i ON i.seq BETWEEN runs.n << {RUN_BITS} AND ((runs.n + 1) << {RUN_BITS}) - 1
  LEFT JOIN outcomes o ON o.seq = i.seq """


class Intent(Struct, frozen=True, kw_only=True, gc=False):
    """A request about to be sent. `requestid` is that of the victim of a delete or a replace, else ""."""

    run: str
    service: str
    name: str
    #: add, replace, retry or delete
    action: str
    cid: str
    requestid: str = ""


class Journal:
    """See the module's docstring. Open with `Journal.open`; use as a context manager, or `close`.

    Writers without `async` return at once, except `begin` and `end`, which wait until they are committed.
    Readers see everything written before, and raise PinrecError if the file cannot be read.
    """

    def __init__(self, file: JournalFile) -> None:
        self._file = file
        #: What a person should be told about the opening of the journal.
        self.notes: tuple[str, ...] = ()
        self._runs: dict[str, tuple[int, str]] = {}
        self._added: set[tuple[str, str]] = set()
        self._numbers = count(1)
        self._writer = self._open()

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """The journal in `state_dir`, which is created (0700) if it is not there. Raises PinrecError."""
        path = state_dir / FILE_NAME
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(JournalFile(path))
        except (OSError, sqlite3.Error) as error:
            raise unusable(path, error) from error

    @property
    def place(self) -> Path:
        """The directory that it lies in."""
        return self._file.path.parent

    def _open(self) -> GroupCommit:
        try:
            return GroupCommit(self._file.connect)
        except sqlite3.Error as error:
            if not is_corrupt(error):
                raise
            self._set_aside()
            return GroupCommit(self._file.connect)

    def _set_aside(self) -> None:
        if (moved := self._file.set_aside()) is not None:
            self.notes += (f"the journal was damaged; a new one is begun, the old one is kept as {moved}",)

    @property
    def failed(self) -> str | None:
        """Why nothing is written any more, or None."""
        error = self._writer.failed
        return None if error is None else f"{self._file.path}: {error}"

    def close(self) -> None:
        """Write what is queued and close. One found damaged meanwhile is moved aside for the next run."""
        self._writer.close()
        if self._writer.failed is not None and is_corrupt(self._writer.failed):
            with contextlib.suppress(OSError):
                self._set_aside()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- a run ----------------------------------------------------------------------------------------------

    def begin(self, *, owner: str, plan: str, what: str = "apply", now: datetime | None = None) -> str:
        """Note that a run of this process starts; returns its id, which sorts by time.

        `what` is the command (apply, destroy), `plan` the id of the plan, `now` the start if not this moment.
        Raises PinrecError.
        """
        started = now or datetime.now(UTC)
        run = f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        row = (run, owner, plan, what, started.timestamp(), socket.gethostname(), os.getpid(), __version__)

        def insert(db: sqlite3.Connection) -> int:
            _forget(db, before=started - KEEP)
            return db.execute(_BEGIN, row).lastrowid or 0

        try:
            try:
                number = self._writer.call(insert)
            except sqlite3.Error as error:
                if not is_corrupt(error):
                    raise
                # The damage shows only now, and nothing has been sent yet: begin anew.
                self._writer.close()
                self._set_aside()
                self._writer = self._open()
                number = self._writer.call(insert)
        except (OSError, sqlite3.Error) as error:
            raise unusable(self._file.path, error) from error
        self._runs[run] = number, owner
        return run

    async def intent(self, intent: Intent) -> int:
        """Note a request before it is sent; returns its number when that is durable, or has `failed`."""
        number, owner = self._runs[intent.run]
        seq = (number << RUN_BITS) + next(self._numbers)
        at = _now()
        service, name, cid = intent.service, intent.name, intent.cid
        self._writer.put(_INTENT, seq, at, service, name, intent.action, cid, intent.requestid)
        if intent.action == "retry":
            self._writer.put(_TRY, owner, service, name, cid, at)
        if intent.action != "delete" and (owner, service) not in self._added:
            self._added.add((owner, service))
            self._writer.put(_ADDED, owner, service, at)
        await self._writer.written()
        return seq

    def outcome(self, seq: int, result: str, *, requestid: str = "", why: str = "") -> None:
        """Note the answer to an intent; a later one replaces it."""
        self._writer.put(_OUTCOME, seq, _now(), result, requestid, why[:WHY_MAX])

    def settled(self, owner: str, service: str, name: str) -> None:
        """The pin under a key was seen pinned: its retries are forgotten."""
        self._writer.put(_SETTLED, owner, service, name)

    def end(self, run: str, *, exit_code: int, counts: Mapping[str, int]) -> None:
        """Note that a run ended. Raises nothing: a failure is told by `failed`."""
        number, _ = self._runs.pop(run)
        self._writer.put(_END, _now(), exit_code, msgspec.json.encode(dict(counts)).decode(), number)
        with contextlib.suppress(sqlite3.Error):
            self._writer.call(lambda _db: None, writes=False)

    # --- history --------------------------------------------------------------------------------------------

    def runs(self, owner: str | None = None, limit: int = 20) -> list[RunRow]:
        """The latest runs (of an owner), newest first."""
        sql = f"SELECT {_RUN_COLUMNS} FROM runs WHERE ?1 IS NULL OR owner = ?1 ORDER BY n DESC LIMIT ?2"
        return self._read(lambda db: [run_of(r) for r in db.execute(sql, (owner, limit))])

    def run(self, run: str) -> tuple[RunRow, list[OutcomeRow]] | None:
        """A run and its requests, in order; None if there is none of that id."""

        def read(db: sqlite3.Connection) -> tuple[RunRow, list[OutcomeRow]] | None:
            found = db.execute(f"SELECT {_RUN_COLUMNS} FROM runs WHERE id = ?", (run,)).fetchone()
            if found is None:
                return None
            rows = db.execute(_OUTCOMES + "WHERE runs.id = ? ORDER BY i.seq", (run,))
            return run_of(found), [outcome_of(r) for r in rows]

        return self._read(read)

    def open_intents(self, owner: str) -> list[OutcomeRow]:
        """Requests without an answer of runs that never ended, this journal's own runs left out."""
        sql = _OUTCOMES + "WHERE runs.owner = ? AND runs.ended IS NULL AND o.seq IS NULL ORDER BY i.seq"
        rows = self._read(lambda db: [outcome_of(r) for r in db.execute(sql, (owner,))])
        return [r for r in rows if r.run not in self._runs]

    def changed_after(
        self, owner: str, keys: Collection[tuple[str, str]], since: datetime, *, except_plan: str = ""
    ) -> set[tuple[str, str]]:
        """Those of `keys` (service, name) with a request after `since`, not counting a plan's own runs."""
        sql = "WHERE runs.owner = ? AND runs.plan != ? AND i.at > ?"
        rows = self._read(
            lambda db: db.execute(_OUTCOMES + sql, (owner, except_plan, since.timestamp())).fetchall()
        )
        return {(r[3], r[4]) for r in rows}.intersection(keys)

    # --- what was learned -----------------------------------------------------------------------------------

    def learn(self, service: str, fact: str, value: str, *, place: str) -> None:
        """Remember a fact of a service. `place` stands for its endpoint (`core.learned.place_of`): another manifest
        may call another service by the same name."""
        self._writer.put(_LEARN, service, place, fact, value, _now())

    def learned(self, service: str, *, place: str) -> dict[str, str]:
        """All facts of the service that has this name at this place."""
        return self._read(lambda db: dict(db.execute(_LEARNED, (service, place))))

    def saw(self, owner: str, service: str, pins: int) -> None:
        """A complete listing of a service showed this many pins of an owner."""
        self._writer.put(_SAW, owner, service, pins, _now())

    def services_known(self, owner: str) -> dict[str, Seen]:
        """Services that hold pins of an owner as far as known: seen in a listing, or added since."""
        sql = "SELECT service, pins, at FROM seen WHERE owner = ? AND pins > 0"
        return self._read(
            lambda db: {s: Seen(pins=n, at=time_of(at)) for s, n, at in db.execute(sql, (owner,))}
        )

    def leaving(self, owner: str) -> dict[tuple[str, str], datetime]:
        """Since when names (by service and name) have not been wanted, as `note_leaving` was told."""
        sql = "SELECT service, name, since FROM leaving WHERE owner = ?"
        return self._read(lambda db: {(s, n): time_of(at) for s, n, at in db.execute(sql, (owner,))})

    def note_leaving(
        self,
        owner: str,
        services: Collection[str],
        names: Collection[tuple[str, str]],
        still: Collection[tuple[str, str]],
        now: datetime,
    ) -> None:
        """At `services` `names` are not wanted: new ones since `now`, as are those of which a clock that was wrong
        said a time to come. `still` are not wanted either, where that is known of them; all others are forgotten."""
        for (service, name), since in self.leaving(owner).items():
            gone = (service, name) not in names and (service, name) not in still
            if service in services and (gone or since > now):
                self._writer.put(_STAYS, owner, service, name)
        for service, name in names:
            self._writer.put(_LEAVES, owner, service, name, now.timestamp())

    # --- what was verified ----------------------------------------------------------------------------------

    def verified(
        self,
        owner: str,
        service: str,
        requestid: str,
        *,
        place: str,
        cid: str,
        name: str,
        verdict: Verdict,
        now: datetime,
        missing: str = "",
    ) -> None:
        """Note what a look at a pin found. `cid` is canonical, `place` as in `learn`."""
        at = now.timestamp()
        self._writer.put(_VERIFIED, owner, service, place, requestid, cid, name, verdict, at, missing)

    def doubts(self, owner: str, service: str, *, place: str) -> list[Doubt]:
        """Pins that were found unretrievable at the service at this place, and have not been retrieved since."""
        rows = self._read(lambda db: db.execute(_DOUBTS, (owner, service, place)).fetchall())
        return [
            Doubt(
                service=s, requestid=r, cid=c, name=n, since=time_of(since), at=time_of(at), missing=missing
            )
            for s, r, c, n, since, at, missing in rows
        ]

    def looked_at(self, owner: str, service: str, *, place: str) -> dict[tuple[str, str], datetime]:
        """When pins, by requestid and canonical CID, were last looked at."""
        rows = self._read(lambda db: db.execute(_LOOKED_AT, (owner, service, place)).fetchall())
        return {(r, c): time_of(at) for r, c, at in rows}

    def forget_verified(self, owner: str, service: str, requestids: Collection[str]) -> None:
        """Pins that are there no more."""
        for requestid in requestids:
            self._writer.put(_GONE, owner, service, requestid)

    def last_try(self, owner: str, service: str, name: str) -> Try | None:
        """The retries of what is under a key, or None if it was not retried since it last was pinned."""
        sql = "SELECT cid, attempts, at FROM tries WHERE owner = ? AND service = ? AND name = ?"
        found = self._read(lambda db: db.execute(sql, (owner, service, name)).fetchone())
        return None if found is None else Try(cid=found[0], attempts=found[1], at=time_of(found[2]))

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._writer.call(work, writes=False)
        except sqlite3.Error as error:
            raise unusable(self._file.path, error) from error


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _forget(db: sqlite3.Connection, *, before: datetime) -> None:
    last = db.execute("SELECT max(n) FROM runs WHERE started < ?", (before.timestamp(),)).fetchone()[0]
    if last is not None:
        for table in ("intents", "outcomes"):
            db.execute(f"DELETE FROM {table} WHERE seq < ?", ((last + 1) << RUN_BITS,))
        db.execute("DELETE FROM runs WHERE n <= ?", (last,))
