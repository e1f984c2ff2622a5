"""Locks on files, which the system releases when the process ends: by `fcntl`, or by `msvcrt` on Windows."""

from __future__ import annotations

import os
import random
from collections import deque
from contextlib import suppress
from io import FileIO
from itertools import starmap
from typing import Any, Final
from weakref import WeakSet

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]  # there is none
try:
    import msvcrt
except ModuleNotFoundError:  # every other system
    msvcrt = None  # type: ignore[assignment]  # there is none

_SHARES: Final = 2**20
"""How many bytes are locked on Windows, which has no shared locks: all of them, or one of them as a share."""
_LOCKED_BYTES: Final = 2**31 - 2 - _SHARES
"""The first of them. Nobody else can read or write locked bytes there: they lie behind the end of every file."""


def try_lock(file: FileIO) -> bool:
    """Lock a file until `unlock`; return False if it is locked already, by this process or another.

    Where the file system has no locks, it returns True. In the child of a fork the file is closed: it is the parent's,
    and the lock would live as long as the child has it open.
    """
    _OPEN.add(file)
    try:
        return _try_lock(file)
    except OSError:
        return True


def unlock(file: FileIO) -> None:
    """Release a lock before its file is closed: Windows would take its time."""
    if fcntl is None and msvcrt is not None:
        with suppress(OSError):  # it was not locked
            _lock_bytes(file, "LK_UNLCK", _LOCKED_BYTES, _SHARES)


class PathLock:
    """A lock on a file that is known by its path. It ends with this object, at the latest.

    A fork does not pass it on: the child closes its copy of the file, and has not locked anything. An interruption may
    come between any two steps, so the file is always either not open or found here, and closing it may be repeated.

    Args:
        path: The file, which is made if it is missing, and stays.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._files: deque[FileIO] = deque()  # one at most
        self._shared_byte: int | None = None

    def __del__(self) -> None:
        if hasattr(self, "_files"):  # its making may have been interrupted
            self.close()

    @property
    def is_open(self) -> bool:
        """Whether it is locked, or about to be."""
        return bool(self._files)

    def try_lock(self, *, shared: bool = False) -> bool:
        """Lock the file; return False if others have locked it.

        Args:
            shared: Whether others may have a shared lock at the same time.

        Raises:
            OSError: The file cannot be opened, or its file system has no locks.
        """
        self.close()
        _OPEN.add(self)
        try:
            self._files.extend(starmap(FileIO, ((self._path, "a"),)))  # one step
            self._shared_byte = random.randrange(_SHARES) if shared else None
            if _try_lock(self._files[0], self._shared_byte):
                return True
        except BaseException:
            self.close()
            raise
        self.close()
        return False

    def share(self) -> bool:
        """Turn the lock into a shared one; return False if others were faster, and it is gone."""
        file = self._files[0]
        self._shared_byte = random.randrange(_SHARES)
        unlock(file)
        if _try_lock(file, self._shared_byte):
            return True
        self.close()
        return False

    def close(self) -> None:
        """Release the lock, if there is one."""
        if self._files:
            for file in self._files.copy():
                if not file.closed:
                    _unlock_byte(file, self._shared_byte)
                    file.close()
            self._files.clear()


_OPEN: WeakSet[PathLock | FileIO] = WeakSet()


def _close_in_child() -> None:
    """Close the files of the parent: its locks would live as long as the child has them open."""
    for one in [*_OPEN]:
        one.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


def _try_lock(file: FileIO, shared_byte: int | None = None) -> bool:
    """Lock a file, and return whether that worked.

    Raises:
        OSError: The file system has no locks.
    """
    try:
        if fcntl is not None:
            fcntl.flock(file, (fcntl.LOCK_EX if shared_byte is None else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        elif msvcrt is not None and shared_byte is None:
            _lock_bytes(file, "LK_NBLCK", _LOCKED_BYTES, _SHARES)
        elif msvcrt is not None:
            _lock_bytes(file, "LK_NBLCK", _LOCKED_BYTES + (shared_byte or 0), 1)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _unlock_byte(file: FileIO, shared_byte: int | None) -> None:
    if shared_byte is None:
        unlock(file)
    elif fcntl is None and msvcrt is not None:
        with suppress(OSError):
            _lock_bytes(file, "LK_UNLCK", _LOCKED_BYTES + shared_byte, 1)


def _lock_bytes(file: FileIO, mode: str, start: int, size: int) -> None:
    windows: Any = msvcrt
    file.seek(start)
    windows.locking(file.fileno(), getattr(windows, mode), size)
