"""Pins of all accounts in SQLite: put, get, change, delete, list. Knows nothing of HTTP nor of habits.

One connection, one lock: the server's thread and a test's may both call. Every method is one transaction, or part of
the caller's (`with store.transaction():`).
"""

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from uuid import uuid4

from msgspec import Struct

from reconciler.sandbox import documents, tables
from reconciler.sandbox.instants import FINE, from_datetime, parse_fine
from reconciler.sandbox.personality import STEPS, Precision
from reconciler.sandbox.pin import PINNED, STATUSES, Pin, compared, fold


class Fate(Struct, frozen=True, kw_only=True):
    """A pin's way through its statuses: where it starts, when it goes on (microseconds since 1970), how it ends.

    `awaits`: it ends otherwise as soon as its content was fetched.
    """

    status: int = PINNED
    due: int | None = None
    done: int | None = None
    outcome: int = PINNED
    awaits: bool = False


class Row(Struct, frozen=True):
    """What changing a pin needs to know of it."""

    requestid: str
    created: int
    status: int
    pin: Pin
    answer: bytes


class Store:
    """`path` None keeps everything in memory. Raises `tables.StoreError` if the file cannot be used.

    Accounts are named by their token, of which only a hash is stored.
    """

    def __init__(
        self, path: str | None = None, *, precision: Precision = "ms", clock: Callable[[], float] = time.time
    ) -> None:
        self._db = tables.connect(path)
        self._lock = threading.RLock()
        self._step = STEPS[precision]
        self._clock = clock
        self._accounts: dict[str, int] = {}

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; may be nested."""
        with self._lock:
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._db.rollback()
                raise

    def account(self, token: str) -> int:
        """The number of a token's account, made when it is new."""
        known = self._accounts.get(token)
        if known is None:
            key = hashlib.sha256(token.encode()).hexdigest()
            with self.transaction() as db:
                db.execute("INSERT INTO account (key, last) VALUES (?, 0) ON CONFLICT DO NOTHING", (key,))
                (known,) = db.execute("SELECT id FROM account WHERE key = ?", (key,)).fetchone()
            self._accounts[token] = known
        return known

    # --- what the service does --------------------------------------------------------------------------------

    def next_created(self, account: int, now: int, step: int) -> int:
        """A `created` that is greater than every earlier one, in whole steps: the clock's, or the last one's next."""
        with self.transaction() as db:
            (last,) = db.execute("SELECT last FROM account WHERE id = ?", (account,)).fetchone()
            created: int = max(now // step, last // step + 1) * step
            db.execute("UPDATE account SET last = ? WHERE id = ?", (created, account))
            return created

    def insert(
        self,
        account: int,
        created: int,
        pin: Pin,
        fate: Fate,
        *,
        requestid: str = "",
        info: Mapping[str, str] | None = None,
    ) -> Row:
        """Writes a new pin. `created` must be free in the account, `requestid` too ("" makes one up)."""
        row = self._row(account, created, pin, fate, requestid or str(uuid4()), info)
        with self.transaction() as db:
            db.execute(_INSERT, row)
            self._write_meta(account, created, pin)
        return Row(row[2], created, fate.status, pin, documents.answer(row[7], fate.status, row[8]))

    def _write_meta(self, account: int, created: int, pin: Pin) -> None:
        if pin.meta:
            rows = [(account, key, value, created) for key, value in pin.meta.items()]
            self._db.executemany("INSERT INTO meta VALUES (?, ?, ?, ?)", rows)

    def _row(
        self, account: int, created: int, pin: Pin, fate: Fate, requestid: str, info: Mapping[str, str] | None
    ) -> tuple[
        int, int, str, int, str, str | None, str | None, bytes, bytes | None, int | None, int | None, int
    ]:
        text = documents.lasting(requestid, created, self._step, pin)
        folded = None if pin.name is None else fold(pin.name)
        return (
            account, created, requestid, fate.status, compared(pin.cid), folded, pin.name, text,
            documents.encode_info(info), fate.due, fate.done, fate.outcome,
        )  # fmt: skip

    def edit(self, account: int, old: Row, pin: Pin, *, status: int | None = None) -> Row:
        """Gives a pin another name, meta and origins; requestid and `created` stay."""
        fate = Fate(status=old.status if status is None else status)
        row = self._row(account, old.created, pin, fate, old.requestid, None)
        with self.transaction() as db:
            db.execute(
                "UPDATE pin SET status = ?, cid = ?, folded = ?, name = ?, json = ?"
                " WHERE account = ? AND created = ?",
                (fate.status, *row[4:8], account, old.created),
            )
            db.execute("DELETE FROM meta WHERE account = ? AND created = ?", (account, old.created))
            self._write_meta(account, old.created, pin)
        return Row(old.requestid, old.created, fate.status, pin, documents.answer(row[7], fate.status, None))

    def is_free(self, account: int, created: int) -> bool:
        return not self.read(
            "SELECT json, status, info FROM pin WHERE account = ? AND created = ?", (account, created)
        )

    def find(self, account: int, requestid: str) -> Row | None:
        return self._first("account = ? AND requestid = ?", (account, requestid))

    def newest_of_cid(self, account: int, cid: str, *, text: bool = False) -> Row | None:
        """The newest pin of a CID, with `text` in this very spelling; a pinned one if there is any."""
        order = f"ORDER BY status = {PINNED} DESC, created DESC LIMIT 1"
        if text:
            where = f"account = ? AND cid = ? AND instr(json, CAST(? AS BLOB)) > 0 {order}"
            return self._first(where, (account, compared(cid), documents.spelling(cid)))
        return self._first(f"account = ? AND cid = ? {order}", (account, compared(cid)))

    def _first(self, where: str, parameters: tuple[int | str, ...]) -> Row | None:
        with self._lock:
            found = self._db.execute(f"SELECT created, status, json, info FROM pin WHERE {where}", parameters)
            row = found.fetchone()
        if row is None:
            return None
        created, status, text, info = row
        requestid, pin = documents.read_lasting(text)
        return Row(requestid, created, status, pin, documents.answer(text, status, info))

    def delete(self, account: int, requestid: str) -> bool:
        """False if it is not there."""
        with self.transaction() as db:
            gone = db.execute("DELETE FROM pin WHERE account = ? AND requestid = ?", (account, requestid))
            return gone.rowcount == 1

    def advance(self, now: int) -> None:
        """Moves every pin on whose time has come."""
        with self._lock:
            waiting = self._db.execute("SELECT 1 FROM pin WHERE due IS NOT NULL AND due <= ? LIMIT 1", (now,))
            if waiting.fetchone() is None:
                return
            with self.transaction() as db:
                db.execute("UPDATE pin SET status = 1, due = done WHERE due <= ? AND status = 0", (now,))
                db.execute(
                    "UPDATE pin SET status = outcome, due = NULL WHERE due <= ? AND status IN (1, 3)", (now,)
                )

    def pending(self) -> list[tuple[int, int, str, Pin]]:
        """(account, created, requestid, pin) of everything that is queued or pinning."""
        with self._lock:
            rows = self._db.execute(
                "SELECT account, created, json FROM pin WHERE status IN (0, 1)"
            ).fetchall()
        return [(account, created, *documents.read_lasting(text)) for account, created, text in rows]

    def turn(self, account: int, requestid: str, status: int, *, until: int | None = None) -> bool:
        """Puts a pin into a status: for ever, or `until` an instant at which it is as before, or has come to its end
        if it was on its way. False without it."""
        with self.transaction() as db:
            changed = db.execute(
                "UPDATE pin SET outcome = CASE WHEN due IS NULL THEN status ELSE outcome END, status = ?, due = ?"
                " WHERE account = ? AND requestid = ?",
                (status, until, account, requestid),
            )
            return changed.rowcount == 1

    def some_pinned(self, account: int, turn: int) -> str:
        """The requestid of one of the pinned pins, "" without one. `turn` says which."""
        n = self.number("SELECT count(*) FROM pin WHERE account = ? AND status = 2", (account,))
        if not n:
            return ""
        sql = "SELECT json, status, info FROM pin WHERE account = ? AND status = 2 ORDER BY created LIMIT 1 OFFSET ?"
        return documents.flat(*self.read(sql, (account, turn % n))[0]).requestid

    def read(self, sql: str, parameters: Sequence[object]) -> list[documents.Row]:
        with self._lock:
            return self._db.execute(sql, parameters).fetchall()

    def number(self, sql: str, parameters: Sequence[object]) -> int:
        with self._lock:
            (n,) = self._db.execute(sql, parameters).fetchone()
            return int(n or 0)

    # --- for tests and demos: straight into the account, past the API ------------------------------------------

    def put(
        self,
        account: str,
        cid: str,
        *,
        name: str | None = None,
        meta: Mapping[str, str] | None = None,
        origins: Sequence[str] | None = None,
        status: documents.Status = "pinned",
        created: datetime | str | None = None,
        requestid: str = "",
        info: Mapping[str, str] | None = None,
    ) -> str:
        """Adds a pin that stays in `status`, and returns its requestid.

        `created` None is now. Several pins may be given one `created`: they are told apart by microseconds, which
        are not shown unless the personality's precision is "us".
        """
        number = self.account(account)
        pin = Pin(cid=cid, name=name, meta=meta, origins=origins)
        place = STATUSES.index(status)
        with self.transaction():
            at = self._free(number, created)
            return self.insert(
                number, at, pin, Fate(status=place, outcome=place), requestid=requestid, info=info
            ).requestid

    def _free(self, account: int, created: datetime | str | None) -> int:
        if created is None:
            return self.next_created(account, int(self._clock() * 1_000_000), self._step)
        at = parse_fine(created) // FINE if isinstance(created, str) else from_datetime(created)
        taken = "SELECT 1 FROM pin WHERE account = ? AND created = ?"
        while self._db.execute(taken, (account, at)).fetchone():
            at += 1
        self._db.execute("UPDATE account SET last = max(last, ?) WHERE id = ?", (at, account))
        return at

    def fill(self, account: str, pins: Iterable[Pin], *, since: datetime, step_ms: int = 1) -> int:
        """Adds many pinned pins at once, the first created at `since`, each `step_ms` after the one before.

        For accounts of a million pins, which take some 15 seconds. Raises sqlite3.IntegrityError, and adds
        nothing, if one of the times is taken. Returns how many there were.
        """
        number, fate = self.account(account), Fate()
        at = from_datetime(since) // 1_000 * 1_000
        step, n, source = step_ms * 1_000, 0, iter(pins)
        with self.transaction() as db:
            tables.begin_bulk(db)
            while batch := list(islice(source, 10_000)):
                timed = list(zip(range(at, at + len(batch) * step, step), batch, strict=True))
                db.executemany(
                    _INSERT, [self._row(number, t, pin, fate, str(uuid4()), None) for t, pin in timed]
                )
                metas = [(number, k, v, t) for t, pin in timed for k, v in (pin.meta or {}).items()]
                db.executemany("INSERT INTO meta VALUES (?, ?, ?, ?)", metas)
                n += len(batch)
                at += len(batch) * step
            tables.end_bulk(db)
            if n:
                db.execute("UPDATE account SET last = max(last, ?) WHERE id = ?", (at - step, number))
        return n

    def set_status(
        self, account: str, requestid: str, status: documents.Status, *, info: Mapping[str, str] | None = None
    ) -> None:
        """Puts a pin into a status, in which it then stays. Raises KeyError if it is not there."""
        with self.transaction() as db:
            changed = db.execute(
                "UPDATE pin SET status = ?, due = NULL, info = ? WHERE account = ? AND requestid = ?",
                (
                    STATUSES.index(status), documents.encode_info(info),
                    self.account(account), requestid,
                ),
            )  # fmt: skip
            if changed.rowcount != 1:
                raise KeyError(requestid)

    def all(self, account: str) -> list[documents.Stored]:
        """Every pin of an account, newest first."""
        sql = "SELECT json, status, info FROM pin WHERE account = ? ORDER BY created DESC"
        return [documents.flat(*row) for row in self.read(sql, (self.account(account),))]


_INSERT = "INSERT INTO pin VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
