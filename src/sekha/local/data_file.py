"""The data file as a file: its lock, its identity, and the free space on its disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import List, Optional, Tuple, Union

from sekha._concurrency.file_lock import PathLock

RESERVE_BYTES = 4 * 2**20
"""Size of the reserve file, which is removed if a delete needs space on a full disk (about a thousand messages)."""
MIN_FREE_BYTES = 4 * 2**20
"""With less free space than this, the disk counts as full: the largest request with its indexes may not fit."""

_LOCK_TRIES = 25
_LOCK_PAUSE = 0.02  # seconds; `sekha doctor` holds the lock for less than that
_DISK_FULL = "the disk is full"
_FULL = "database or disk is full"
_IO_ERROR = "disk I/O error"
_DAMAGED = ("database disk image is malformed", "file is not a database")


class DataFileError(sqlite3.OperationalError):
    """The data file cannot be used, and nothing was changed; the message has the reason and what to do."""

    retry_after = 3600
    """Seconds after which a retry may succeed."""


class DataFileBusyError(DataFileError):
    """Another program writes to the data file."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__("another program has locked the data file")


class DiskFullError(DataFileError):
    """The disk is full."""

    def __init__(self) -> None:
        super().__init__(f"{_DISK_FULL}; nothing was stored: free disk space, or delete conversations")


class DataFile:
    """A data file in use. Lock it before opening its database, and release it after closing the database.

    Args:
        path: The file; symbolic links are followed.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self.path = os.path.realpath(path)
        self.lock_file = _lock_path(self.path)
        self._lock = PathLock(self.lock_file)
        self.identity: Optional[Tuple[int, int]] = None
        """Device and inode of the open file."""
        self._reserve = f"{self.path}.reserve"
        self.damage: Optional[str] = None
        """Description of known damage."""
        self.was_full = False
        """Whether the last write failed because the disk was full."""

    def lock(self) -> None:
        """Lock the file against other servers until `release`, or until this process ends.

        Raises:
            DataFileError: Another server uses the file, or its folder is not writable.
            OSError: The folder does not exist.
        """
        try:
            os.close(os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600))
        except PermissionError as error:
            raise DataFileError(f"its folder is not writable: {error.strerror}") from error
        for _ in range(_LOCK_TRIES):
            if self._lock.try_lock():
                return
            time.sleep(_LOCK_PAUSE)
        raise DataFileError("another server uses this file")

    def release(self, *, remove: bool = False) -> None:
        """Release the lock.

        Args:
            remove: Whether to remove the lock file.
        """
        if remove:
            _remove(self.lock_file)
        self._lock.close()

    def opened(self) -> None:
        """Record the identity of the file that the database has opened."""
        found = os.stat(self.path)
        self.identity = (found.st_dev, found.st_ino)

    def loss(self) -> Optional[str]:
        """Return why writes would be lost: the file was removed, replaced or emptied; else None.

        This does not open the file, since closing it would drop the locks of SQLite.
        """
        try:
            found = os.stat(self.path)
        except OSError:
            what = "removed"
        else:
            if self.identity in (None, (found.st_dev, found.st_ino)) and found.st_size:
                return None
            what = "emptied" if self.identity == (found.st_dev, found.st_ino) else "replaced"
        advice = "stop the server, restore the file, and start the server again"
        return f"the data file was {what} while it was in use: {advice}"

    def require(self) -> None:
        """Raise DataFileError if a write would be lost, or could cause more damage."""
        reason = self.loss() or (self.damage and damaged(self.damage))
        if reason:
            raise DataFileError(f"{reason}; nothing was stored")

    def problem(self) -> Optional[str]:
        """Return the reason why nothing can be stored in the file, or None."""
        loss = self.loss()
        if loss is not None:
            return loss
        if self.damage is not None:
            return damaged(self.damage)
        room = free_bytes(self.path) - (0 if os.path.exists(self._reserve) else RESERVE_BYTES)
        if room >= MIN_FREE_BYTES and self.was_full:  # there may be a quota, which only a write shows
            self.was_full = not _make_file(f"{self._reserve}.part", RESERVE_BYTES)
            _remove(f"{self._reserve}.part")
        if self.was_full or room < MIN_FREE_BYTES:
            return f"{_DISK_FULL}: {max(0, room) // 2**20} MiB free"
        return None

    # The reserve

    def make_reserve(self) -> bool:
        """Create the reserve file if there is enough free space; return whether there is one."""
        if os.path.exists(self._reserve):
            return True
        return free_bytes(self.path) >= RESERVE_BYTES and _make_file(self._reserve, RESERVE_BYTES)

    def give_up_reserve(self) -> bool:
        """Remove the reserve file; return whether there was one."""
        return _remove(self._reserve)


def damaged(what: str) -> str:
    """Return what to do about a damaged file."""
    return f"the data file is damaged: {what}; stop the server, and start it with a backup (--data BACKUP)"


def is_damage(error: BaseException) -> bool:
    """Return whether an SQLite call failed because the file is damaged."""
    return isinstance(error, sqlite3.DatabaseError) and str(error) in _DAMAGED


def _lock_path(path: str) -> str:
    """Return the path of the lock file of a data file."""
    return f"{path}.lock"


def is_served(path: Union[str, Path]) -> bool:
    """Return whether a server on this machine uses a data file."""
    name = _lock_path(os.path.realpath(path))
    if not os.path.exists(name):
        return False
    lock = PathLock(name)
    try:
        return not lock.try_lock(shared=True)
    except OSError:  # not writable, or a file system without locks
        return False
    finally:
        lock.close()


def free_bytes(path: str) -> int:
    """Return the free bytes on the disk of a file, for users without privileges."""
    return shutil.disk_usage(os.path.dirname(path) or ".").free


def is_disk_full(error: BaseException, path: str) -> bool:
    """Return whether an SQLite call failed because the disk of a file is full."""
    if not isinstance(error, sqlite3.OperationalError):
        return False
    return str(error) == _FULL or (str(error) == _IO_ERROR and free_bytes(path) < RESERVE_BYTES)


def open_read_only(path: Union[str, Path]) -> sqlite3.Connection:
    """Open a data file for reading, without changing it or creating files next to it.

    Raises:
        sqlite3.Error: The file cannot be opened.
    """
    path = os.path.realpath(path)
    is_at_rest = not is_served(path) and not any(_has_bytes(path + end) for end in ("-wal", "-journal"))
    uri = f"{Path(path).as_uri()}?{'immutable=1' if is_at_rest else 'mode=ro'}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def find_damage(database: sqlite3.Connection, limit: int = 3) -> List[str]:
    """Check all pages of a database; return the messages of SQLite about damage, none if it is intact."""
    try:
        rows = database.execute(f"PRAGMA quick_check({limit})").fetchall()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    found = [line for (text,) in rows for line in str(text).splitlines() if not line.startswith("***")]
    return [] if found == ["ok"] else found[:limit]


def _has_bytes(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False


def _make_file(path: str, size: int) -> bool:
    """Create a file that occupies disk space; return False, without a file, if there is not enough."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.write(os.urandom(size))  # not zeros, which a compressing file system would not store
    except OSError:
        _remove(path)
        return False
    return True


def _remove(path: str) -> bool:
    """Remove a file; return whether there was one."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
