"""Copies of a data file, made while a server writes to it or not."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Union

from sekha.local.data_file import DataFileError, find_damage, open_read_only

LAST_BACKUP = "last_backup"
"""The fact that has the time of the last backup."""


class Contents(NamedTuple):
    """What a data file holds."""

    conversations: int
    messages: int
    bytes: int


def copy_database(source: Union[str, Path], target: Union[str, Path]) -> Contents:
    """Copy a data file as it is at one moment, and check the copy; a server may write to it meanwhile.

    Args:
        source: The data file.
        target: The copy, an empty file or none; it is on the disk when this returns.

    Raises:
        DataFileError: The data file is damaged.
        OSError: The copy cannot be written.
        sqlite3.Error: One of them cannot be used.
    """
    with closing(open_read_only(source)) as database:
        # A copy of the pages that are in use, in one transaction that only reads: writers go on.
        database.execute("VACUUM INTO ?", (os.fspath(target),))
    _sync(target)
    with closing(open_read_only(target)) as copy:
        damage = find_damage(copy)
        if damage:
            raise DataFileError(f"the copy is damaged: {'; '.join(damage)}")
        conversations, messages = copy.execute(
            "SELECT (SELECT COUNT(*) FROM conversations), (SELECT COUNT(*) FROM messages)"
        ).fetchone()
    return Contents(int(conversations), int(messages), os.path.getsize(target))


def _sync(path: Union[str, Path]) -> None:
    # SQLite does not use this file any more, so closing it drops no locks.
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
