"""Copy a data file, even while a server writes to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple, Union

from sekha.local.data_file import DataFileError, find_damage, open_read_only
from sekha.local.database import FOREIGN, file_version, write_fact

LAST_BACKUP = "last_backup"
"""Name of the fact with the time of the last backup."""


class CopiedFile(NamedTuple):
    """Contents and size of a copy."""

    conversations: int
    messages: int
    bytes: int


def copy_database(source: Union[str, Path], target: Union[str, Path]) -> CopiedFile:
    """Copy a consistent snapshot of a data file, and verify the copy. A server may write to the file at the same time.

    Args:
        source: The data file, of any version.
        target: The copy: an empty or missing file. It is flushed to the disk when this returns.

    Returns:
        Contents and size of the copy.

    Raises:
        DataFileError: The file is not a data file of a local server, or is damaged.
        OSError: The copy cannot be written.
        sqlite3.Error: One of the files cannot be used.
    """
    with closing(open_read_only(source)) as database:
        if file_version(database) is None:
            raise DataFileError(FOREIGN)
        # Copies the used pages in one read transaction, which does not block writers.
        database.execute("VACUUM INTO ?", (os.fspath(target),))
    descriptor = os.open(target, os.O_RDWR)  # no connection has it open, so closing it drops no locks of SQLite
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    with closing(open_read_only(target)) as copy:
        damage = find_damage(copy)
        if damage:
            raise DataFileError(f"the copy is damaged: {'; '.join(damage)}")
        counted = "SELECT (SELECT COUNT(*) FROM conversations), (SELECT COUNT(*) FROM messages)"
        conversations, messages = copy.execute(counted).fetchone()
    return CopiedFile(int(conversations), int(messages), os.path.getsize(target))


def note_backup(source: Union[str, Path]) -> None:
    """Record the current time as the last backup of a data file. Files of version 1 cannot store it.

    Raises:
        sqlite3.Error: The file cannot be written.
    """
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    with closing(sqlite3.connect(os.path.realpath(source), isolation_level=None)) as database:
        if database.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'facts'").fetchone()[0]:
            write_fact(database, LAST_BACKUP, now)
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
