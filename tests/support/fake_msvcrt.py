"""The locks of Windows, on every system: of bytes, by open file."""

from __future__ import annotations

import errno
import os
from typing import List, Tuple

import pytest

from sekha._concurrency import file_lock


class FakeMsvcrt:
    """What a lock needs of the module `msvcrt`."""

    LK_UNLCK, LK_NBLCK = 0, 2

    def __init__(self) -> None:
        self.locked: List[Tuple[Tuple[int, int], int, int, int]] = []  # file, first byte, byte after the last, by whom

    def locking(self, number: int, mode: int, size: int) -> None:
        """Lock or unlock bytes at the position of a file.

        Raises:
            PermissionError: One of them is locked, or they are not locked by this file.
        """
        stat = os.fstat(number)
        start = os.lseek(number, 0, os.SEEK_CUR)
        file, end = (stat.st_dev, stat.st_ino), start + size
        assert end < 2**31
        if mode == self.LK_UNLCK:
            if (file, start, end, number) not in self.locked:
                raise PermissionError(errno.EACCES, "Permission denied")
            self.locked.remove((file, start, end, number))
        elif any(file == other and start < last and first < end for other, first, last, _ in self.locked):
            raise PermissionError(errno.EACCES, "Permission denied")
        else:
            self.locked.append((file, start, end, number))


def use_msvcrt(monkeypatch: pytest.MonkeyPatch) -> FakeMsvcrt:
    """Lock files as on Windows."""
    fake = FakeMsvcrt()
    monkeypatch.setattr(file_lock, "fcntl", None)
    monkeypatch.setattr(file_lock, "msvcrt", fake)
    return fake
