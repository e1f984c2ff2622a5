"""The SQLite database of a store: its tables, its version, and the steps from older versions."""

from __future__ import annotations

import logging
import math
import os
import sqlite3
from array import array
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Dict, Generator, Mapping, Optional, Union

from sekha.local.vectors import pack

logger: logging.Logger = logging.getLogger("sekha.local")
BUSY_SECONDS = 5.0
"""Seconds that a write waits for another program that writes to the file."""
MAX_INTEGER = 2**63 - 1
"""The largest integer of SQLite."""
FOREIGN = "it is the database of another application"
"""The error for a file with another application id."""
PROFILE = "profile"
"""Name of the fact with the profile of a file."""
VERSION = 2
"""The version of the tables below; a file has it as `user_version`."""

_APPLICATION_ID = 0x53454B48  # "SEKH"
_TABLES: Mapping[str, str] = {
    "facts": "name TEXT PRIMARY KEY, value",
    "conversations": """
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, label TEXT NOT NULL, folder TEXT NOT NULL,
        status TEXT NOT NULL, importance INTEGER NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
        message_count INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0""",
    "messages": """
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        conversation INTEGER NOT NULL REFERENCES conversations (number),
        role TEXT NOT NULL, timestamp TEXT NOT NULL, content TEXT NOT NULL""",
    "models": "number INTEGER PRIMARY KEY, name TEXT NOT NULL, dimension INTEGER NOT NULL, UNIQUE (name, dimension)",
    "vectors": """
        message INTEGER PRIMARY KEY REFERENCES messages (number), model INTEGER NOT NULL REFERENCES models (number),
        vector BLOB""",
}
_INDEXES = """
CREATE INDEX conversations_by_change ON conversations (updated_at, number);
CREATE INDEX conversations_by_label ON conversations (label);
CREATE INDEX conversations_by_folder ON conversations (folder);
CREATE INDEX messages_of ON messages (conversation, timestamp);
CREATE INDEX vectors_of ON vectors (model) WHERE vector IS NOT NULL;
CREATE VIRTUAL TABLE message_words USING fts5 (content, content = '', tokenize = 'porter unicode61');
"""
_COLUMNS = {
    "conversations": "number, id, label, folder, status, importance, created_at, updated_at, message_count, bytes",
    "messages": "number, id, conversation, role, timestamp, content",
    "models": "number, name, dimension",
    "vectors": "message, model, vector",
    "facts": "name, value",
}


def open_database(path: Optional[Path], searchable_text: Callable[[str], str]) -> sqlite3.Connection:
    """Open a database, create its tables if it has none, and upgrade it to the current version.

    Before an upgrade, the file is copied to a file next to it, such as `memory.db.version-1`. The upgrade is one
    transaction, so the file has either the old or the new version, even after a crash.

    Args:
        path: The file, created when missing (readable by its owner only); None keeps everything in memory.
        searchable_text: Returns the text for the full-text index of a message.

    Raises:
        OSError: The file cannot be opened for writing.
        sqlite3.Error: The file is from another application or a newer version, or is damaged.
    """
    if path is not None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(
        ":memory:" if path is None else str(path), timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        version = _check_owner(db)
        # The statement returns a row; an unread row would block every COMMIT until garbage collection.
        db.execute("PRAGMA journal_mode = WAL").fetchall()
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON").fetchall()
        if version == 0:
            with transaction(db):
                if _check_owner(db) == 0:  # otherwise, another process has created the tables in the meantime
                    _create_tables(db)
        elif version < VERSION:
            if path is not None:
                copy = _copy(db, path, version)
                text = "upgrading %s from version %d to %d, which may take a minute; a copy is in %s"
                logger.warning(text, path, version, VERSION, copy)
            with transaction(db):
                for step in range(_check_owner(db), VERSION):
                    _STEPS[step](db, searchable_text)
                _mark(db)
            with suppress(sqlite3.Error):  # for example, the disk is full
                db.execute("VACUUM")
        check_columns(db)
        db.execute("PRAGMA foreign_keys = ON")
        db.create_function("FOLD", 1, str.casefold, deterministic=True)
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None, None, None]:
    """Run the block in a transaction; roll back after an error."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # some errors end the transaction automatically
            db.execute("ROLLBACK")
        raise


def _check_owner(db: sqlite3.Connection) -> int:
    """Return the version of a file, 0 for an empty one; raise DatabaseError if it is not supported."""
    is_empty = not db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    if is_empty:
        return 0
    version = file_version(db)
    if version is None:
        raise sqlite3.DatabaseError(FOREIGN)
    if version > VERSION:
        raise sqlite3.DatabaseError(f"{describe_newer(version)}: upgrade it")
    return version


def file_version(db: sqlite3.Connection) -> Optional[int]:
    """Return the version of a data file, even if it is not supported; None if the file is not a data file."""
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        return None
    return int(db.execute("PRAGMA user_version").fetchone()[0]) or 1  # version 1 did not set a number


def describe_newer(version: int) -> str:
    """Return the error for a file of a newer version."""
    return f"it has version {version}, but this release of sekha-python-sdk supports only versions up to {VERSION}"


def read_fact(db: sqlite3.Connection, name: str) -> Any:
    """Return a fact of a database of the current version, or None."""
    row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return row and row[0]


def write_fact(db: sqlite3.Connection, name: str, value: Union[str, int, float, None]) -> None:
    """Store a fact."""
    db.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))


def _create_tables(db: sqlite3.Connection) -> None:
    for name, columns in _TABLES.items():
        db.execute(f"CREATE TABLE {name} ({columns})" + (" WITHOUT ROWID" if name == "facts" else ""))
    for statement in _INDEXES.split(";"):
        db.execute(statement)
    _mark(db)


def _mark(db: sqlite3.Connection) -> None:
    db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")


def check_columns(db: sqlite3.Connection) -> None:
    """Raise OperationalError if a table or a column is missing."""
    for table, columns in _COLUMNS.items():
        db.execute(f"SELECT {columns} FROM {table} LIMIT 0")
    db.execute("SELECT rowid FROM message_words LIMIT 0")


def _copy(db: sqlite3.Connection, path: Path, version: int) -> Path:
    """Copy a database to a file next to it, and return its path."""
    copy = path.with_name(f"{path.name}.version-{version}")
    part = copy.with_name(f"{copy.name}.part")
    with suppress(FileNotFoundError):
        part.unlink()  # left by an interrupted attempt
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        db.execute("VACUUM INTO ?", (str(part),))
        with open(part, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(part, copy)
        return copy
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            part.unlink()
        raise sqlite3.OperationalError(f"cannot copy it before the upgrade to version {VERSION}: {error}") from error


def _step_from_1(db: sqlite3.Connection, searchable_text: Callable[[str], str]) -> None:
    """Add message counts to conversations, pack the vectors, and index the words without a copy of the texts."""
    for name in ("message_added", "message_removed"):
        db.execute(f"DROP TRIGGER IF EXISTS {name}")
    db.execute("DROP TABLE message_words")
    db.execute("DROP INDEX IF EXISTS messages_of")
    for name in ("messages", "conversations"):
        db.execute(f"ALTER TABLE {name} RENAME TO {name}_1")
    _create_tables(db)
    db.execute("""
        INSERT INTO conversations SELECT c.number, c.id, c.label, c.folder, c.status, c.importance, c.created_at,
            c.updated_at, COUNT(m.number), COALESCE(SUM(LENGTH(CAST(m.content AS BLOB))), 0)
        FROM conversations_1 c LEFT JOIN messages_1 m ON m.conversation_id = c.id GROUP BY c.number""")
    db.execute("""
        INSERT INTO messages SELECT m.number, m.id, c.number, m.role, m.timestamp, m.content
        FROM messages_1 m JOIN conversations_1 c ON c.id = m.conversation_id""")
    db.execute("""
        INSERT INTO models (name, dimension) SELECT DISTINCT model, LENGTH(vector) / 4 FROM messages_1
        WHERE model IS NOT NULL AND vector IS NOT NULL""")
    db.create_function("PACK", 1, _pack_float32, deterministic=True)
    db.create_function("SEARCHABLE", 1, searchable_text, deterministic=True)
    db.execute("""
        INSERT INTO vectors SELECT m.number, o.number, PACK(m.vector) FROM messages_1 m
        JOIN models o ON o.name = m.model AND o.dimension = LENGTH(m.vector) / 4""")
    db.execute("DELETE FROM vectors WHERE vector IS NULL")
    db.execute("INSERT INTO message_words (rowid, content) SELECT number, SEARCHABLE(content) FROM messages")
    db.execute("DROP TABLE messages_1")
    db.execute("DROP TABLE conversations_1")


def _pack_float32(blob: bytes) -> Optional[bytes]:
    numbers = array("f", blob)
    return pack(numbers) if all(map(math.isfinite, numbers)) else None


_STEPS: Dict[int, Callable[[sqlite3.Connection, Callable[[str], str]], None]] = {1: _step_from_1}
"""The functions that upgrade a file, by the version that they upgrade from."""
