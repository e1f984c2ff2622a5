"""The locks of Windows, on every system: of bytes, by open file."""

from __future__ import annotations

import errno
import os
from typing import Dict, Tuple

import pytest

from sekha._importing import file_lock


class FakeMsvcrt:
    """What a lock needs of the module `msvcrt`."""

    LK_UNLCK, LK_NBLCK = 0, 2

    def __init__(self) -> None:
        self.locked: Dict[Tuple[int, int, int], int] = {}

    def locking(self, number: int, mode: int, size: int) -> None:
        """Lock or unlock bytes at the position of a file.

        Raises:
            PermissionError: They are locked, or are not locked by this file.
        """
        assert size == 1
        stat = os.fstat(number)
        byte = (stat.st_dev, stat.st_ino, os.lseek(number, 0, os.SEEK_CUR))
        if mode == self.LK_UNLCK:
            if self.locked.get(byte) != number:
                raise PermissionError(errno.EACCES, "Permission denied")
            del self.locked[byte]
        else:
            if byte in self.locked:
                raise PermissionError(errno.EACCES, "Permission denied")
            self.locked[byte] = number


def use_msvcrt(monkeypatch: pytest.MonkeyPatch) -> FakeMsvcrt:
    """Lock files as on Windows."""
    fake = FakeMsvcrt()
    monkeypatch.setattr(file_lock, "fcntl", None)
    monkeypatch.setattr(file_lock, "msvcrt", fake)
    return fake
