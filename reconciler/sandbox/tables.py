"""The SQLite schema, and opening a file that has it.

A row is found by (account, created), so a page is one stretch of the table. `pin` holds everything that never changes
as the JSON it is answered with; a page is put together from these texts without decoding any.

How many pins match a listing must cost nothing at a million: `tally` counts pins per account, status and stretch of
time, in stretches of about a second, five minutes, a day and half a year (powers of two of microseconds). Triggers keep
it, so that no statement can forget it. A count up to any instant adds some hundred numbers.
"""

import re
import sqlite3

#: Binary logarithms of the stretches, in microseconds: 1.05 s, 268 s, 19 h, 204 d.
SHIFTS = (20, 28, 36, 44)
_APPLICATION_ID = 0x70696E73
_VERSION = 1

_TABLES = """
CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,       -- a hash of the token, never the token
    last INTEGER NOT NULL           -- greatest `created` ever given, in microseconds
);
CREATE TABLE pin (
    account INTEGER NOT NULL,
    created INTEGER NOT NULL,       -- microseconds since 1970, unique and growing per account
    requestid TEXT NOT NULL,
    status INTEGER NOT NULL,        -- index of the API's list: queued, pinning, pinned, failed
    cid TEXT NOT NULL,              -- canonical
    folded TEXT,                    -- name without case; NULL without a name
    name TEXT,
    json BLOB NOT NULL,             -- members requestid, created and pin of the PinStatus
    info BLOB,                      -- NULL: what is usual for the status
    due INTEGER,                    -- when the status changes next, NULL: never
    done INTEGER,                   -- when pinning ends, NULL: never
    outcome INTEGER NOT NULL,       -- the status it ends in
    PRIMARY KEY (account, created)
) WITHOUT ROWID;
CREATE TABLE meta (
    account INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (account, key, value, created)
) WITHOUT ROWID;
CREATE TABLE tally (
    account INTEGER NOT NULL,
    status INTEGER NOT NULL,
    shift INTEGER NOT NULL,
    stretch INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (account, status, shift, stretch)
) WITHOUT ROWID;
"""

_INDEXES = """
CREATE UNIQUE INDEX pin_requestid ON pin (account, requestid);
CREATE INDEX pin_cid ON pin (account, cid, created);
CREATE INDEX pin_name ON pin (account, folded, created) WHERE folded IS NOT NULL;
CREATE INDEX pin_status ON pin (account, status, created);
CREATE INDEX pin_due ON pin (due) WHERE due IS NOT NULL;
CREATE INDEX meta_pin ON meta (account, created);
"""

_SHIFT_ROWS = ", ".join(f"({shift})" for shift in SHIFTS)


def _count(row: str, n: int) -> str:
    return f"""
    INSERT INTO tally SELECT {row}.account, {row}.status, column1, {row}.created >> column1, {n}
    FROM (VALUES {_SHIFT_ROWS}) WHERE true
    ON CONFLICT DO UPDATE SET n = n + {n};"""


_TRIGGERS = f"""
CREATE TRIGGER pin_in AFTER INSERT ON pin BEGIN {_count("NEW", 1)} END;
CREATE TRIGGER pin_out AFTER DELETE ON pin BEGIN {_count("OLD", -1)}
    DELETE FROM meta WHERE account = OLD.account AND created = OLD.created; END;
CREATE TRIGGER pin_turn AFTER UPDATE OF status ON pin WHEN OLD.status <> NEW.status BEGIN
    {_count("OLD", -1)} {_count("NEW", 1)} END;
"""
_RECOUNT = "DELETE FROM tally;" + "".join(
    f"INSERT INTO tally SELECT account, status, {s}, created >> {s}, count(*) FROM pin GROUP BY 1, 2, 4;"
    for s in SHIFTS
)
_NAMES = re.compile(r"^CREATE (?:UNIQUE )?(INDEX|TRIGGER) (\w+)", re.MULTILINE)


class StoreError(Exception):
    """The file cannot be used as a store; the text says why."""


def connect(path: str | None) -> sqlite3.Connection:
    """Opens or makes a store; None keeps it in memory. The file is ours alone until it is closed.

    Raises StoreError.
    """
    try:
        db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=0)
    except sqlite3.Error as e:
        raise StoreError(f"{path}: {e}") from None
    try:
        _check(db, path or "")
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        if path:
            db.execute("PRAGMA journal_mode = WAL")
            # A killed process loses nothing; only a power cut may take the last moments.
            db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = -65536")
        # Takes the lock that stays; and a half-made store must not stay behind.
        db.execute("BEGIN IMMEDIATE")
        if not _check(db, path or ""):
            # Not executescript, which would commit.
            for statement in _split(_TABLES + _INDEXES + _TRIGGERS):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {_VERSION}")
        db.execute("COMMIT")
    except StoreError:
        db.close()
        raise
    except sqlite3.Error as e:
        db.close()
        why = "another sandbox is using it" if "locked" in str(e) else str(e)
        raise StoreError(f"{path}: {why}") from None
    return db


def _check(db: sqlite3.Connection, path: str) -> bool:
    """Whether the tables are there. Raises StoreError if others are: nothing has been written to them yet."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == _APPLICATION_ID and version == _VERSION:
        return True
    if application or version or tables:
        raise StoreError(f"{path}: not a store of this version of the sandbox; give another file")
    return False


def begin_bulk(db: sqlite3.Connection) -> None:
    """Drops what would slow down a million inserts. `end_bulk` belongs into the same transaction."""
    for kind, name in _NAMES.findall(_INDEXES + _TRIGGERS):
        db.execute(f"DROP {kind} {name}")


def end_bulk(db: sqlite3.Connection) -> None:
    for statement in _split(_INDEXES + _RECOUNT + _TRIGGERS):
        db.execute(statement)


def _split(script: str) -> list[str]:
    """The statements of a script; those inside a trigger stay together."""
    statements, pending = [], ""
    for piece in script.split(";")[:-1]:
        pending += piece + ";"
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
