"""A lock on a file, which the system releases when the process ends: by `fcntl`, or by `msvcrt` on Windows."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, BinaryIO

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]  # there is none
try:
    import msvcrt
except ModuleNotFoundError:  # every other system
    msvcrt = None  # type: ignore[assignment]  # there is none

_LOCKED_BYTE = 2**31 - 2
"""The byte that is locked on Windows, where nobody else can read or write it: it lies behind the end of every file."""


def try_lock(file: BinaryIO) -> bool:
    """Lock a file until `unlock`; return False if it is locked already, by this process or another.

    Where the file system has no locks, it returns True.
    """
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            _lock_byte(file, "LK_NBLCK")
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass
    return True


def unlock(file: BinaryIO) -> None:
    """Release a lock before its file is closed: Windows would take its time."""
    if fcntl is None and msvcrt is not None:
        with suppress(OSError):  # it was not locked
            _lock_byte(file, "LK_UNLCK")


def _lock_byte(file: BinaryIO, mode: str) -> None:
    windows: Any = msvcrt
    file.seek(_LOCKED_BYTE)
    windows.locking(file.fileno(), getattr(windows, mode), 1)
