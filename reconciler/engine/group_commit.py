"""Many callers give rows to one SQLite connection, and share its commits.

A commit costs about fourteen microseconds and a row three: whoever waits in one turn of the event loop shares a
commit at its end. It happens on the loop's own thread. A thread beside it makes a busy apply take twice as long:
SQLite gives up the interpreter lock for each row, and a thread waits up to 5 ms to get it back from a busy one.
What nobody waits for (`put`) rides along with the next row that is waited for, or is written after `LINGER`
seconds. A database that another process has locked is tried again by the loop, which goes on meanwhile.

Calls (`call`) run after all rows given before them. Between two commits the rows of one statement keep their
order; different statements are written one after the other, each as one `executemany`. When a batch fails it is
rolled back, `failed` says why, whoever waits is released, and later rows are dropped: the caller decides what a
run without a journal means. Calls raise instead.

One thread only, that in which it was made; one event loop after another.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Value = str | int | float | None

#: Seconds that a row may wait for company when nobody waits for it.
LINGER = 0.05
#: Seconds between two tries of a locked database, and after which it counts as failed.
BUSY_INTERVAL = 0.005
BUSY_TIMEOUT = 10.0


class GroupCommit:
    """`connect` must return a connection in autocommit mode; what it raises is raised by the constructor."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._db = connect()
        self._rows: dict[str, list[tuple[Value, ...]]] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        #: The flush that is due, and whether it is due in this turn of the loop.
        self._due: asyncio.Handle | None = None
        self._now = False
        self._locked_since: float | None = None
        self._closed = False
        #: Why rows are no longer written, or None.
        self.failed: Exception | None = None

    # --- callers --------------------------------------------------------------------------------------------

    def put(self, sql: str, *values: Value) -> None:
        """Write a row soon; nobody waits for it. Where no event loop runs, write it at once."""
        if self.failed is not None or self._closed:
            return
        self._rows.setdefault(sql, []).append(values)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._finish()
        else:
            self._schedule(loop, now=False)

    async def written(self) -> None:
        """Return when everything given so far is committed, or known to be lost (`failed`)."""
        if self.failed is not None or self._closed:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiters.append(future)
        self._schedule(loop, now=True)
        await future

    def call(self, work: Callable[[sqlite3.Connection], T], *, writes: bool = True) -> T:
        """Run `work` in a transaction after everything given so far.

        Raises what `work` raises (its changes are rolled back), or the sqlite3.Error of the transaction.
        """
        if self._closed:
            raise sqlite3.ProgrammingError("closed")
        self._finish()
        try:
            self._db.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            value = work(self._db)
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return value

    def close(self) -> None:
        """Write what was given and close the connection. A second call does nothing."""
        if self._closed:
            return
        self._finish()
        self._closed = True
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    # --- when -----------------------------------------------------------------------------------------------

    def _schedule(self, loop: asyncio.AbstractEventLoop, *, now: bool) -> None:
        """A flush at the end of this turn of the loop, or later; one that is due already serves."""
        if loop is not self._loop:  # what was due in a loop that has ended never comes
            self._loop, self._due, self._locked_since = loop, None, None
        if self._locked_since is not None or (self._due is not None and (self._now or not now)):
            return
        if self._due is not None:
            self._due.cancel()
        self._due = loop.call_soon(self._flush) if now else loop.call_later(LINGER, self._flush)
        self._now = now

    def _flush(self) -> None:
        self._due = None
        if self._closed:
            return
        if not self._write():
            assert self._loop is not None
            self._due = self._loop.call_later(BUSY_INTERVAL, self._flush)
            return
        self._release()

    def _finish(self) -> None:
        """Write everything before anything else happens; for callers who do not wait in the loop."""
        while not self._write():
            time.sleep(BUSY_INTERVAL)
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._release()

    def _release(self) -> None:
        waiters, self._waiters = self._waiters, []
        for future in waiters:
            if not future.done():
                with contextlib.suppress(RuntimeError):  # its loop has ended: nobody waits any more
                    future.set_result(None)

    # --- what -----------------------------------------------------------------------------------------------

    def _write(self) -> bool:
        """All rows in one transaction. False: the database is locked, and nothing has been done."""
        if self._rows and self.failed is None:
            try:
                if not self._begin():
                    return False
                for sql, values in self._rows.items():
                    self._db.executemany(sql, values)
                self._db.execute("COMMIT")
            except Exception as error:  # noqa: BLE001  # also a text that is no UTF-8; the run must go on
                self.failed = error
                self._roll_back()
        self._locked_since = None
        self._rows.clear()
        return True

    def _begin(self) -> bool:
        """Take the write lock without waiting for it. False: another process has it. Raises sqlite3.Error."""
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            now = time.monotonic()
            self._locked_since = self._locked_since or now
            if (
                error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY
                or now - self._locked_since > BUSY_TIMEOUT
            ):
                raise
            return False
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT * 1000:.0f}")
        return True

    def _roll_back(self) -> None:
        # SQLite has rolled back by itself after some errors (a full disk), and cannot after others (a lost file).
        with contextlib.suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
