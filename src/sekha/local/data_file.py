"""The file of a memory, as the file that it is: who uses it, whether it is still there, and the room on its disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import List, Optional, Tuple, Union

from sekha._concurrency.file_lock import PathLock

RESERVE_BYTES = 4 * 2**20
"""Size of the file that is given up when deleting needs room on a full disk: enough for about a thousand messages."""
MIN_FREE_BYTES = 4 * 2**20
"""With less room than this, the disk counts as full: the longest request and its indexes may not fit any more."""

_LOCK_TRIES = 25
_LOCK_PAUSE = 0.02  # seconds; `sekha doctor` holds the lock for less than that
_DISK_FULL = "the disk is full"
_FULL = "database or disk is full"
_IO_ERROR = "disk I/O error"


class DataFileError(sqlite3.OperationalError):
    """The data file cannot be used, and nothing was changed; the message says why, and what to do."""

    retry_after = 3600
    """Seconds after which it may be different."""


class DataFileBusyError(DataFileError):
    """Another program writes to the data file."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__("another program has locked the data file")


class DiskFullError(DataFileError):
    """There is no room on the disk."""

    def __init__(self) -> None:
        super().__init__(f"{_DISK_FULL}, and nothing was stored: make room, or delete conversations")


class DataFile:
    """A data file in use. Whoever opens its database locks it first, and releases it last.

    Args:
        path: The file; a symbolic link stands for what it points to.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self.path = os.path.realpath(path)
        self.lock_file = _lock_path(self.path)
        self._lock = PathLock(self.lock_file)
        self.identity: Optional[Tuple[int, int]] = None
        """The device and the number of the file that is open."""
        self._reserve = f"{self.path}.reserve"
        self.damage: Optional[str] = None
        """What is damaged, as far as it is known."""
        self.was_full = False
        """Whether the last write found no room."""

    def lock(self) -> None:
        """Keep other servers from this file until `release`, or until this process ends.

        Raises:
            DataFileError: Another server uses it, or its folder cannot be written to.
            OSError: The folder is missing.
        """
        try:
            os.close(os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600))
        except PermissionError as error:
            raise DataFileError(f"its folder cannot be written to: {error.strerror}") from error
        for _ in range(_LOCK_TRIES):
            if self._lock.try_lock():
                return
            time.sleep(_LOCK_PAUSE)
        raise DataFileError("another server uses it")

    def release(self, *, remove: bool = False) -> None:
        """Let others use the file.

        Args:
            remove: Whether to remove the file that was locked.
        """
        if remove:
            _remove(self.lock_file)
        self._lock.close()

    def opened(self) -> None:
        """Note which file it is that the database was opened with."""
        found = os.stat(self.path)
        self.identity = (found.st_dev, found.st_ino)

    def loss(self) -> Optional[str]:
        """Return why what is written now would be lost: the file was removed, replaced or emptied; else None.

        The file is not opened for it: closing it again would drop the locks of SQLite.
        """
        try:
            found = os.stat(self.path)
        except OSError:
            what = "removed"
        else:
            if self.identity in (None, (found.st_dev, found.st_ino)) and found.st_size:
                return None
            what = "emptied" if self.identity == (found.st_dev, found.st_ino) else "replaced"
        return f"the data file was {what} while it was in use: stop the server, put the right file there, and start it"

    def require(self) -> None:
        """Raise DataFileError if what is written now would be lost."""
        loss = self.loss()
        if loss is not None:
            raise DataFileError(f"{loss}; nothing was stored")

    def problem(self) -> Optional[str]:
        """Return why the file cannot be trusted with more, or None."""
        loss = self.loss()
        if loss is not None:
            return loss
        if self.damage is not None:
            return f"the data file is damaged: {self.damage}"
        room = free_bytes(self.path) - (0 if os.path.exists(self._reserve) else RESERVE_BYTES)
        if room >= MIN_FREE_BYTES and self.was_full:  # there may be a quota, so only trying tells
            self.was_full = not _make_file(f"{self._reserve}.part", RESERVE_BYTES)
            _remove(f"{self._reserve}.part")
        if self.was_full or room < MIN_FREE_BYTES:
            return f"{_DISK_FULL}: {max(0, room) // 2**20} MiB are left"
        return None

    # The reserve

    def make_reserve(self) -> bool:
        """Put some room aside, if there is enough of it; return whether there is a reserve."""
        if os.path.exists(self._reserve):
            return True
        return free_bytes(self.path) >= RESERVE_BYTES and _make_file(self._reserve, RESERVE_BYTES)

    def give_up_reserve(self) -> bool:
        """Give the reserve back to the disk; return whether there was one."""
        return _remove(self._reserve)


def _lock_path(path: str) -> str:
    """Return the name of the file that is locked while a server uses a data file."""
    return f"{path}.lock"


def is_served(path: Union[str, Path]) -> bool:
    """Return whether a server of this machine uses a data file."""
    name = _lock_path(os.path.realpath(path))
    if not os.path.exists(name):
        return False
    lock = PathLock(name)
    try:
        return not lock.try_lock(shared=True)
    except OSError:  # it may not be written to, or its file system has no locks
        return False
    finally:
        lock.close()


def free_bytes(path: str) -> int:
    """Return the room on the disk of a file, for users without privileges."""
    return shutil.disk_usage(os.path.dirname(path) or ".").free


def is_disk_full(error: BaseException, path: str) -> bool:
    """Return whether a call of SQLite has failed because there is no room on the disk of a file."""
    if not isinstance(error, sqlite3.OperationalError):
        return False
    return str(error) == _FULL or (str(error) == _IO_ERROR and free_bytes(path) < RESERVE_BYTES)


def open_read_only(path: Union[str, Path]) -> sqlite3.Connection:
    """Open a data file for reading, without changing it or leaving files beside it.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    path = os.path.realpath(path)
    is_at_rest = not is_served(path) and not any(_has_bytes(path + end) for end in ("-wal", "-journal"))
    uri = f"{Path(path).as_uri()}?{'immutable=1' if is_at_rest else 'mode=ro'}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def find_damage(database: sqlite3.Connection, limit: int = 3) -> List[str]:
    """Look at all pages of a database, and return what is damaged, in the words of SQLite; nothing if it is sound."""
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
    """Make a file that takes room on the disk; return False, and leave none, if there is not enough."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.write(os.urandom(size))  # zeros would take no room where files are compressed
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
