"""One thread owns an SQLite connection and commits what many callers give it in batches.

A commit costs about fourteen microseconds and a row three, so thirty lanes that wait for their row share one
commit: while a batch is written the next one gathers. What nobody waits for (`put` without `urgent`) rides
along with the next urgent row, or is written after `LINGER` seconds.

Calls (`call`) run in the order in which they and the rows before them were given. Between two calls the rows
of one statement keep their order; different statements are written one after the other, each as one
`executemany`. When a batch fails it is rolled back, `failed` says why, whoever waits is released, and later
rows are dropped: the caller decides what a run without a journal means. Calls raise instead.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple, TypeVar

from msgspec import Struct

T = TypeVar("T")
Value = str | int | float | None

#: Seconds that a row may wait for company when nobody waits for it.
LINGER = 0.05


class Row(NamedTuple):
    """A statement with one row of values."""

    sql: str
    values: tuple[Value, ...]


class _Waiter(NamedTuple):
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]


class _Call(Struct, frozen=True):
    work: Callable[[sqlite3.Connection], object]
    writes: bool
    result: Future[object]


def _roll_back(connection: sqlite3.Connection) -> None:
    # SQLite has rolled back by itself after some errors (a full disk), and cannot after others (a lost file).
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _release(waiters: list[asyncio.Future[None]]) -> None:
    for future in waiters:
        if not future.done():
            future.set_result(None)


class GroupCommit:
    """The writer thread. `connect` is called in it and must return a connection in autocommit mode.

    What `connect` raises is raised by the constructor.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, name: str) -> None:
        self._connect = connect
        self._items: deque[Row | _Waiter | _Call] = deque()
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._closing = False
        #: Why rows are no longer written, or None.
        self.failed: Exception | None = None
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name=name, daemon=True)
        self._thread.start()
        started.result()

    # --- callers --------------------------------------------------------------------------------------------

    def put(self, sql: str, *values: Value) -> None:
        """Write a row soon; nobody waits for it."""
        if self.failed is None and not self._closing:
            self._items.append(Row(sql, values))
            if not self._wake.is_set():
                self._wake.set()

    async def written(self) -> None:
        """Return when everything given so far is committed, or known to be lost (`failed`)."""
        if self.failed is not None or self._closing:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._items.append(_Waiter(loop, future))
        self._hurry()
        await future

    def call(self, work: Callable[[sqlite3.Connection], T], *, writes: bool = True) -> T:
        """Run `work` in a transaction after everything given so far, and wait for it.

        Raises what `work` raises (its changes are rolled back), or the sqlite3.Error that ended the writer.
        """
        if self._closing:
            raise sqlite3.ProgrammingError("closed")
        result: Future[T] = Future()
        # The queue holds calls of every type; the future that is read here is the one that `work` fills.
        self._items.append(_Call(work, writes, result))  # type: ignore[arg-type]  # Future is invariant
        self._hurry()
        return result.result()

    def close(self) -> None:
        """Write what was given, close the connection, end the thread. A second call does nothing."""
        self._closing = True
        self._hurry()
        self._thread.join()

    def _hurry(self) -> None:
        self._urgent.set()
        self._wake.set()

    # --- the thread -----------------------------------------------------------------------------------------

    def _run(self, started: Future[None]) -> None:
        try:
            connection = self._connect()
        except BaseException as error:  # noqa: BLE001  # handed to the constructor, which raises it
            started.set_exception(error)
            return
        started.set_result(None)
        while True:
            self._wake.wait()
            self._urgent.wait(LINGER)
            # Cleared before the queue is read: what is appended from here on sets them again.
            self._urgent.clear()
            self._wake.clear()
            closing = self._closing
            self._batch(connection)
            if closing:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
                return

    def _batch(self, connection: sqlite3.Connection) -> None:
        """Write all that is queued: rows in one transaction, each call in its own."""
        waiters: list[_Waiter] = []
        rows: dict[str, list[tuple[Value, ...]]] = {}
        while self._items:
            item = self._items.popleft()  # nobody else takes anything out
            if isinstance(item, Row):
                rows.setdefault(item.sql, []).append(item.values)
            elif isinstance(item, _Waiter):
                waiters.append(item)
            else:
                self._write(connection, rows)
                rows = {}
                self._do(connection, item)
        self._write(connection, rows)
        self._wake_up(waiters)

    def _write(self, connection: sqlite3.Connection, rows: dict[str, list[tuple[Value, ...]]]) -> None:
        if not rows or self.failed is not None:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            for sql, values in rows.items():
                connection.executemany(sql, values)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  # also a text that is no UTF-8; the thread must go on
            self.failed = error
            _roll_back(connection)

    def _do(self, connection: sqlite3.Connection, call: _Call) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE" if call.writes else "BEGIN")
            value = call.work(connection)
            connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001  # handed to the caller, who raises it
            _roll_back(connection)
            call.result.set_exception(error)
        else:
            call.result.set_result(value)

    def _wake_up(self, waiters: list[_Waiter]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for loop, future in waiters:
            by_loop.setdefault(loop, []).append(future)
        for loop, futures in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile: nobody waits any more
                loop.call_soon_threadsafe(_release, futures)
