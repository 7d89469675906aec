"""Rows that share commits: when they are written, and what happens when they cannot be."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.engine import group_commit
from reconciler.engine.group_commit import GroupCommit

INSERT = "INSERT INTO t VALUES (?)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.db"
    with opened(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    return path


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        yield db
    finally:
        db.close()


@contextmanager
def writer(path: Path, statements: list[str] | None = None) -> Iterator[GroupCommit]:
    def connect() -> sqlite3.Connection:
        db = sqlite3.connect(path, isolation_level=None)
        if statements is not None:
            db.set_trace_callback(statements.append)
        return db

    group = GroupCommit(connect)
    try:
        yield group
    finally:
        group.close()


def rows(path: Path) -> list[int]:
    with opened(path) as db:
        return [n for (n,) in db.execute("SELECT n FROM t ORDER BY n")]


def test_all_who_wait_in_one_turn_of_the_loop_share_a_commit(path: Path) -> None:
    statements: list[str] = []

    async def row(group: GroupCommit, n: int) -> None:
        group.put(INSERT, n)
        await group.written()
        assert n in rows(path), "durable when the wait ends"

    async def main(group: GroupCommit) -> None:
        await asyncio.gather(*(row(group, n) for n in range(30)))

    with writer(path, statements) as group:
        asyncio.run(main(group))
    assert statements.count("COMMIT") == 1
    assert rows(path) == list(range(30))


def test_what_nobody_waits_for_is_written_all_the_same(path: Path) -> None:
    async def main(group: GroupCommit) -> None:
        group.put(INSERT, 1)
        assert rows(path) == []
        while not rows(path):
            await asyncio.sleep(0.01)

    with writer(path) as group:
        asyncio.run(main(group))


def test_without_an_event_loop_a_row_is_written_at_once(path: Path) -> None:
    with writer(path) as group:
        group.put(INSERT, 1)
        assert rows(path) == [1]


def test_a_call_sees_every_row_given_before_it(path: Path) -> None:
    async def main(group: GroupCommit) -> int:
        group.put(INSERT, 7)
        return group.call(lambda db: db.execute("SELECT n FROM t").fetchone()[0], writes=False)

    with writer(path) as group:
        assert asyncio.run(main(group)) == 7


def test_one_loop_may_follow_another_with_rows_still_queued(path: Path) -> None:
    async def put(group: GroupCommit, n: int) -> None:
        group.put(INSERT, n)

    async def wait(group: GroupCommit) -> None:
        group.put(INSERT, 3)
        await asyncio.wait_for(group.written(), 30)

    with writer(path) as group:
        asyncio.run(put(group, 1))
        asyncio.run(put(group, 2))
        asyncio.run(wait(group))
        assert rows(path) == [1, 2, 3]


def test_the_loop_goes_on_while_another_process_has_the_lock(path: Path) -> None:
    turns = 0

    async def main(group: GroupCommit, other: sqlite3.Connection) -> None:
        nonlocal turns
        other.execute("BEGIN IMMEDIATE")
        group.put(INSERT, 1)
        waiting = asyncio.ensure_future(group.written())
        for _ in range(20):
            await asyncio.sleep(0.001)
            turns += not waiting.done()
        other.execute("COMMIT")
        await waiting

    with opened(path) as other, writer(path) as group:
        asyncio.run(main(group, other))
        assert group.failed is None
    assert turns == 20
    assert rows(path) == [1]


def test_a_lock_that_is_never_given_back_ends_the_wait(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "BUSY_TIMEOUT", 0.05)

    async def main(group: GroupCommit) -> None:
        group.put(INSERT, 1)
        await group.written()

    with opened(path) as other, writer(path) as group:
        other.execute("BEGIN IMMEDIATE")
        asyncio.run(main(group))
        assert "locked" in str(group.failed)
        other.execute("ROLLBACK")
        group.put(INSERT, 2)
    assert rows(path) == [], "rows given after a failure are dropped, since those before them are lost"


def test_a_call_that_raises_changes_nothing_and_ends_nothing(path: Path) -> None:
    def work(db: sqlite3.Connection) -> None:
        db.execute(INSERT, (1,))
        raise ZeroDivisionError

    with writer(path) as group:
        with pytest.raises(ZeroDivisionError):
            group.call(work)
        group.put(INSERT, 2)
        assert group.failed is None
    assert rows(path) == [2]
