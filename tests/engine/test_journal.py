"""The journal keeps what it was told, survives a kill at any moment, and is never in the way of a run."""

import asyncio
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.errors import PinrecError
from reconciler.engine.journal import KEEP, Intent, Journal

CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"


def intent(run: str, name: str, action: str = "add", *, service: str = "pinata", cid: str = CID) -> Intent:
    return Intent(run=run, service=service, name=name, action=action, cid=cid)


def note(journal: Journal, *intents: Intent) -> list[int]:
    async def write() -> list[int]:
        return list(await asyncio.gather(*(journal.intent(i) for i in intents)))

    return asyncio.run(write())


# --- history ------------------------------------------------------------------------------------------------


def test_a_run_is_read_back_as_it_was(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        run = journal.begin(owner="acme", plan="p1")
        first, second = note(journal, intent(run, "site"), intent(run, "old", "delete"))
        journal.outcome(first, "accepted", requestid="r1")
        journal.outcome(first, "done", requestid="r1")
        journal.outcome(second, "failed", why="no" * 10_000)
        journal.end(run, exit_code=3, counts={"done": 1, "failed": 1})
    with Journal.open(tmp_path) as journal:
        found = journal.run(run)
        assert found is not None
        row, outcomes = found
        assert (row.owner, row.plan, row.what, row.exit_code) == ("acme", "p1", "apply", 3)
        assert row.counts == {"done": 1, "failed": 1}
        assert row.pid == os.getpid()
        assert row.ended is not None
        assert row.ended >= row.started
        assert [(o.name, o.action, o.result, o.requestid) for o in outcomes] == [
            ("site", "add", "done", "r1"),
            ("old", "delete", "failed", ""),
        ]
        assert len(outcomes[1].why) == 500
        assert journal.run("nothing") is None


def test_runs_are_listed_newest_first_by_owner(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        ids = [journal.begin(owner=owner, plan="") for owner in ("a", "b", "a")]
        assert [r.id for r in journal.runs()] == ids[::-1]
        assert [r.id for r in journal.runs("a")] == [ids[2], ids[0]]
        assert [r.id for r in journal.runs("a", limit=1)] == [ids[2]]


def test_old_runs_are_forgotten_with_their_requests(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        old = journal.begin(owner="a", plan="", now=datetime.now(UTC) - KEEP - timedelta(days=1))
        note(journal, intent(old, "site"))
        assert journal.run(old) is not None
        new = journal.begin(owner="a", plan="")
        note(journal, intent(new, "site"))
        assert journal.run(old) is None
        assert [r.id for r in journal.runs()] == [new]
    with sqlite3.connect(tmp_path / "journal.db") as db:
        assert db.execute("SELECT count(*) FROM intents").fetchone() == (1,)
    db.close()


def test_open_intents_are_those_of_runs_that_never_ended(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        killed = journal.begin(owner="a", plan="")
        lost, answered = note(journal, intent(killed, "lost"), intent(killed, "answered"))
        journal.outcome(answered, "accepted")
        ended = journal.begin(owner="a", plan="")
        note(journal, intent(ended, "ended"))
        journal.end(ended, exit_code=3, counts={})
        other = journal.begin(owner="b", plan="")
        note(journal, intent(other, "foreign"))
        assert journal.open_intents("a") == []  # they are at work: this very journal began them
    with Journal.open(tmp_path) as journal:
        note(journal, intent(journal.begin(owner="a", plan=""), "mine"))
        assert [(o.seq, o.name, o.result) for o in journal.open_intents("a")] == [(lost, "lost", "")]


def test_what_changed_since_a_plan_but_by_that_plan(tmp_path: Path) -> None:
    key = ("pinata", "site")
    with Journal.open(tmp_path) as journal:
        since = datetime.now(UTC)
        run = journal.begin(owner="a", plan="p1")
        note(journal, intent(run, "site"))

        def changed(owner: str = "a") -> set[tuple[str, str]]:
            return journal.changed_after(owner, [key], since, except_plan="p1")

        assert changed() == set()
        later = journal.begin(owner="a", plan="p2")
        note(journal, intent(later, "elsewhere"))
        assert changed() == set()
        note(journal, intent(later, "site"))
        assert changed() == {key}
        assert changed("b") == set()
        assert journal.changed_after("a", [key], datetime.now(UTC)) == set()


def test_retries_are_counted_by_cid_until_pinned(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        run = journal.begin(owner="a", plan="")

        def attempts() -> int:
            found = journal.last_try("a", "pinata", "site")
            return found.attempts if found else 0

        note(journal, intent(run, "site", "add"))
        assert attempts() == 0
        for expected in (1, 2):
            note(journal, intent(run, "site", "retry"))
            assert attempts() == expected
        note(journal, intent(run, "site", "retry", cid="bafyother"))
        assert attempts() == 1
        assert journal.last_try("b", "pinata", "site") is None
        journal.settled("a", "pinata", "site")
        assert attempts() == 0


def test_facts_and_services_are_remembered(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        journal.learn("pinata", "mark_kept", "false", place="here")
        journal.learn("pinata", "mark_kept", "true", place="here")
        journal.learn("pinata", "mark_kept", "never", place="there")
        journal.saw("a", "pinata", 7)
        journal.saw("a", "emptied", 3)
        journal.saw("a", "emptied", 0)
        run = journal.begin(owner="a", plan="")
        note(journal, intent(run, "x", service="new"), intent(run, "x", "delete", service="deleted-at"))
    with Journal.open(tmp_path) as journal:
        assert journal.learned("pinata", place="here") == {"mark_kept": "true"}
        assert journal.learned("pinata", place="elsewhere") == {}
        assert journal.learned("filebase", place="here") == {}
        assert {s: seen.pins for s, seen in journal.services_known("a").items()} == {"pinata": 7, "new": 1}
        assert journal.services_known("b") == {}


@given(names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=30))
def test_any_name_comes_back_unchanged_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    with Journal.open(tmp_path_factory.mktemp("state")) as journal:
        run = journal.begin(owner="a", plan="")
        seqs = note(journal, *(intent(run, name) for name in names))
        assert seqs == sorted(set(seqs))
        found = journal.run(run)
        assert found is not None
        assert [o.name for o in found[1]] == names


# --- the file -----------------------------------------------------------------------------------------------


def test_only_the_user_can_read_it(tmp_path: Path) -> None:
    state = tmp_path / "a" / "state"
    old = os.umask(0)
    try:
        with Journal.open(state) as journal:
            note(journal, intent(journal.begin(owner="a", plan=""), "site"))
            modes = {p.name: p.stat().st_mode & 0o777 for p in state.iterdir()}
    finally:
        os.umask(old)
    assert state.stat().st_mode & 0o777 == 0o700
    assert modes == dict.fromkeys(("journal.db", "journal.db-wal", "journal.db-shm"), 0o600)


def test_a_file_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    Journal.open(tmp_path).close()
    (tmp_path / "journal.db").chmod(0o644)
    Journal.open(tmp_path).close()
    assert (tmp_path / "journal.db").stat().st_mode & 0o777 == 0o600


def test_an_older_format_is_brought_up_to_date_and_keeps_what_it_holds(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        run = journal.begin(owner="a", plan="")
        journal.end(run, exit_code=0, counts={})
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("DROP TABLE leaving")
        db.execute("DROP TABLE known")
        db.execute("DROP TABLE verified")
        db.execute(
            "CREATE TABLE facts (service TEXT NOT NULL, fact TEXT NOT NULL, value TEXT NOT NULL, at REAL NOT NULL,"
            " PRIMARY KEY (service, fact)) WITHOUT ROWID"
        )
        db.execute(
            "INSERT INTO facts VALUES ('s', 'second_add', 'contradicted', 0), ('s', 'meta', 'altered', 0)"
        )
        db.execute("PRAGMA user_version = 1")
    db.close()
    with Journal.open(tmp_path) as journal:
        assert journal.leaving("a") == {}
        # Which service that was nobody knows any more: what was learned goes on being minded.
        journal.learn("s", "meta", "", place="here")
        assert journal.learned("s", place="here") == {"second_add": "contradicted", "meta": ""}
        assert journal.learned("s", place="there") == {"second_add": "contradicted", "meta": "altered"}
        assert [r.id for r in journal.runs("a")] == [run]


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    Journal.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(PinrecError, match=r"newer pinrec \(format 99, .*upgrade pinrec"):
        Journal.open(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["journal.db"]


def test_a_file_that_is_no_journal_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"this is no database, whatever its name says\n" * 50)
    with Journal.open(tmp_path) as journal:
        note(journal, intent(journal.begin(owner="a", plan=""), "site"))
        assert "damaged" in journal.notes[0]
    (kept,) = tmp_path.glob("journal.db.corrupt-*")
    assert kept.read_bytes().startswith(b"this is no database")


def damage(path: Path) -> None:
    """Overwrite every page but the first, which holds the tables' descriptions."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


def test_damage_that_shows_at_the_first_write_is_moved_aside_too(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        note(journal, intent(journal.begin(owner="a", plan=""), "site"))
    damage(tmp_path / "journal.db")
    with Journal.open(tmp_path) as journal:
        run = journal.begin(owner="a", plan="")
        assert [r.id for r in journal.runs()] == [run]
        assert "damaged" in journal.notes[0]
    assert len(list(tmp_path.glob("journal.db.corrupt-*"))) == 1


def test_a_directory_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    blocker = tmp_path / "state"
    blocker.write_text("a file where the directory should be")
    with pytest.raises(
        PinrecError, match=r"journal .*state/journal\.db cannot be used: .*--state-dir"
    ) as caught:
        Journal.open(blocker)
    assert "\n" not in str(caught.value)


def test_two_processes_can_open_a_new_journal_at_once(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def open_and_begin(owner: str) -> None:
        try:
            with Journal.open(tmp_path) as journal:
                journal.begin(owner=owner, plan="")
        except (PinrecError, sqlite3.Error) as error:
            errors.append(error)

    threads = [threading.Thread(target=open_and_begin, args=(f"o{k}",)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Journal.open(tmp_path) as journal:
        assert {r.owner for r in journal.runs()} == {f"o{k}" for k in range(8)}


# --- faults -------------------------------------------------------------------------------------------------


@pytest.fixture
def full_disk() -> Iterator[Callable[[int], None]]:
    """From when it is called, no file of this process grows beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_before_the_run_ends_it(tmp_path: Path, full_disk: Callable[[int], None]) -> None:
    with Journal.open(tmp_path) as journal:
        full_disk(0)
        with pytest.raises(PinrecError, match=r"journal .*journal.db cannot be used: .*free space") as caught:
            journal.begin(owner="a", plan="")
        assert "\n" not in str(caught.value)


def test_a_disk_that_fills_up_midway_switches_the_journal_off(
    tmp_path: Path, full_disk: Callable[[int], None]
) -> None:
    with Journal.open(tmp_path) as journal:
        run = journal.begin(owner="a", plan="p1")
        (kept,) = note(journal, intent(run, "site"))
        full_disk(200_000)
        assert journal.failed is None
        for start in range(0, 5000, 500):
            note(journal, *(intent(run, f"site/{start + k}") for k in range(500)))
        assert journal.failed is not None
        assert journal.failed.startswith(f"{tmp_path}/journal.db: ")
        assert "\n" not in journal.failed
        journal.outcome(kept, "done")
        journal.end(run, exit_code=0, counts={})
        full_disk(resource.RLIM_INFINITY)
    with Journal.open(tmp_path) as journal:
        (row,) = journal.runs()
        assert row.ended is None
        found = journal.run(run)
        assert found is not None
        assert found[1][0].seq == kept
        assert found[1][0].result == ""


def test_a_write_that_fails_midway_releases_all_who_wait(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        run = journal.begin(owner="a", plan="")
        with sqlite3.connect(tmp_path / "journal.db") as db:
            db.execute("DROP TABLE intents")
        db.close()
        note(journal, *(intent(run, f"site/{k}") for k in range(50)))
        assert journal.failed is not None
        assert journal.failed.startswith(f"{tmp_path}/journal.db: ")
        note(journal, intent(run, "another"))
        journal.end(run, exit_code=0, counts={})


WRITER = """
    import asyncio, os, sys
    from pathlib import Path
    from reconciler.engine.journal import Intent, Journal

    async def lane(journal, run, lane):
        for k in range(10_000):
            intent = Intent(run=run, service=f"s{lane}", name=f"{k}", action="add", cid="bafy")
            seq = await journal.intent(intent)
            os.write(1, f"{seq} s{lane} {k}\\n".encode())  # it is sent
            journal.outcome(seq, "accepted")

    async def main():
        journal = Journal.open(Path(sys.argv[1]))
        run = journal.begin(owner="a", plan="")
        await asyncio.gather(*(lane(journal, run, n) for n in range(16)))

    asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(6))
def test_kill_9_loses_no_request_that_was_sent(tmp_path: Path, seed: int) -> None:
    lines = random.Random(seed).randint(1, 3000)
    sent: list[tuple[int, str, str]] = []
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            sent.append(parse(line))
            if len(sent) == lines:
                writer.send_signal(signal.SIGKILL)
                break
        sent.extend(parse(line) for line in writer.stdout if line.endswith("\n"))
    assert writer.returncode == -signal.SIGKILL
    with Journal.open(tmp_path) as journal:
        assert journal.notes == ()
        (row,) = journal.runs()
        assert row.ended is None
        found = journal.run(row.id)
        assert found is not None
        assert {(o.seq, o.service, o.name) for o in found[1]} >= set(sent)
        known = {o.seq for o in journal.open_intents("a")}
        assert known == {o.seq for o in found[1] if not o.result}
    with sqlite3.connect(tmp_path / "journal.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def parse(line: str) -> tuple[int, str, str]:
    seq, service, name = line.split()
    return int(seq), service, name
