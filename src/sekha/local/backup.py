"""Copies of a data file, made while a server writes to it or not."""

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
"""The fact that has the time of the last backup."""


class CopiedFile(NamedTuple):
    """A copy of a data file, and what it holds."""

    conversations: int
    messages: int
    bytes: int


def copy_database(source: Union[str, Path], target: Union[str, Path]) -> CopiedFile:
    """Copy a data file as it is at one moment, and check the copy. A server may write to it meanwhile.

    Args:
        source: The data file, of any version.
        target: The copy, an empty file or none; it is on the disk when this returns.

    Raises:
        DataFileError: It is no data file of a local Sekha, or damaged.
        OSError: The copy cannot be written.
        sqlite3.Error: One of them cannot be used.
    """
    with closing(open_read_only(source)) as database:
        if file_version(database) is None:
            raise DataFileError(FOREIGN)
        # A copy of the pages that are in use, in one transaction that only reads, so that writers go on.
        database.execute("VACUUM INTO ?", (os.fspath(target),))
    descriptor = os.open(target, os.O_RDWR)  # no connection has it open, whose locks it would drop
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
    """Note in a data file that it was backed up now; a file of the first version has no place for it.

    Raises:
        sqlite3.Error: It cannot be written to.
    """
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    with closing(sqlite3.connect(os.path.realpath(source), isolation_level=None)) as database:
        if database.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'facts'").fetchone()[0]:
            write_fact(database, LAST_BACKUP, now)
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
