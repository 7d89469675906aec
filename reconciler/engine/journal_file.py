"""The file of the journal: its tables, how it is opened, and what happens to a damaged one."""

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from reconciler.core.errors import PinrecError

#: PRAGMA user_version of the tables below. A newer one is refused, an older one migrated.
SCHEMA_VERSION = 5
#: Seconds to wait for another process that writes (another owner, or a plan beside an apply).
BUSY_TIMEOUT = 10.0

# A row of `intents` has the id run * 2^32 + number within the run: it says by itself whose it is, and both
# big tables only ever grow at their end.
RUN_BITS = 32
_TABLES = """
CREATE TABLE runs (
  n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, plan TEXT NOT NULL, what TEXT NOT NULL,
  started REAL NOT NULL, ended REAL, exit_code INTEGER, counts TEXT NOT NULL DEFAULT '{}',
  host TEXT NOT NULL, pid INTEGER NOT NULL, pinrec TEXT NOT NULL);
CREATE INDEX runs_by_owner ON runs (owner, started);
CREATE INDEX runs_by_plan ON runs (plan);
CREATE TABLE intents (
  seq INTEGER PRIMARY KEY, at REAL NOT NULL, service TEXT NOT NULL, name TEXT NOT NULL, action TEXT NOT NULL,
  cid TEXT NOT NULL, requestid TEXT NOT NULL);
CREATE TABLE outcomes (
  seq INTEGER PRIMARY KEY, at REAL NOT NULL, result TEXT NOT NULL, requestid TEXT NOT NULL,
  why TEXT NOT NULL);
CREATE TABLE tries (
  owner TEXT NOT NULL, service TEXT NOT NULL, name TEXT NOT NULL, cid TEXT NOT NULL,
  attempts INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (owner, service, name)) WITHOUT ROWID;
CREATE TABLE facts (
  service TEXT NOT NULL, fact TEXT NOT NULL, value TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (service, fact)) WITHOUT ROWID;
CREATE TABLE seen (
  owner TEXT NOT NULL, service TEXT NOT NULL, pins INTEGER NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (owner, service)) WITHOUT ROWID;
"""
#: What brings a file of the version before to each later one; a new file gets the tables above and all of these.
_MIGRATIONS = {
    2: """
CREATE TABLE IF NOT EXISTS leaving (
  owner TEXT NOT NULL, service TEXT NOT NULL, name TEXT NOT NULL, since REAL NOT NULL,
  PRIMARY KEY (owner, service, name)) WITHOUT ROWID;
""",
    # Two manifests may call two services by one name: what is known of a service goes by its endpoint, too.
    3: """
CREATE TABLE IF NOT EXISTS known (
  service TEXT NOT NULL, place TEXT NOT NULL, fact TEXT NOT NULL, value TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (service, place, fact)) WITHOUT ROWID;
INSERT OR IGNORE INTO known SELECT service, '', fact, value, at FROM facts;
DROP TABLE facts;
""",
    # `since`: when it was first found unretrievable without having been retrieved afterwards, NULL if it is not so.
    4: """
CREATE TABLE IF NOT EXISTS verified (
  owner TEXT NOT NULL, service TEXT NOT NULL, place TEXT NOT NULL, requestid TEXT NOT NULL, cid TEXT NOT NULL,
  name TEXT NOT NULL, verdict TEXT NOT NULL, at REAL NOT NULL, since REAL,
  PRIMARY KEY (owner, service, place, requestid)) WITHOUT ROWID;
""",
    # The block that did not come, for as long as `since` is no NULL.
    5: "ALTER TABLE verified ADD COLUMN missing TEXT NOT NULL DEFAULT '';",
}
#: Results that say that the file is damaged, or is no database at all.
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_corrupt(error: BaseException) -> bool:
    # The low byte is the primary code, the rest says where the damage was seen.
    return (
        isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT
    )


def unusable(path: Path, error: BaseException) -> PinrecError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return PinrecError(
        f"journal {path} cannot be used: {why}",
        hint="free space or mend its rights, or choose another --state-dir",
    )


class JournalFile:
    """A path and the file that was found there when it was opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inode = 0

    def connect(self) -> sqlite3.Connection:
        """A connection in autocommit mode to a file with all tables.

        Raises PinrecError if a newer pinrec wrote it, OSError, and sqlite3.Error.
        """
        # Made here, because SQLite would make it by the umask; its -wal and -shm take the rights of the file.
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            status = os.fstat(handle)
            self._inode = status.st_ino
            if status.st_mode & 0o077:
                os.fchmod(handle, 0o600)
        finally:
            os.close(handle)
        db = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            self._migrate(db)
        except BaseException:
            db.close()
            raise
        return db

    def _migrate(self, db: sqlite3.Connection) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version < SCHEMA_VERSION:
            db.execute("BEGIN IMMEDIATE")
            # Another process may have made the tables while we waited for the write lock.
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version < SCHEMA_VERSION:
                steps = [_TABLES] if version == 0 else []
                steps += [sql for to, sql in _MIGRATIONS.items() if to > version]
                for statement in "".join(steps).split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                version = SCHEMA_VERSION
            db.execute("COMMIT")
        if version > SCHEMA_VERSION:
            raise PinrecError(
                f"journal {self.path} was written by a newer pinrec "
                f"(format {version}, this pinrec {SCHEMA_VERSION} at most)",
                hint="upgrade pinrec, or choose another --state-dir",
            )

    def set_aside(self) -> Path | None:
        """Rename the file that was opened, and its log, out of the way; returns its new path.

        None if another process has done so already: what stands there now is a new one.
        """
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:
                stamp = f"corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
                # The log goes first: a new database must never meet the log of the old one.
                for suffix in ("-wal", "-shm", ""):
                    with contextlib.suppress(FileNotFoundError):
                        Path(f"{self.path}{suffix}").rename(f"{self.path}.{stamp}{suffix}")
                return Path(f"{self.path}.{stamp}")
        return None
