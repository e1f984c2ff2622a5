"""How the processes of one user share the write slots of a server: by locked files. Nothing here waits.

The files of a server, in the runtime folder of the user:

- ``first``: a client whose write goes alone has it. Clients that have written since share it, so that as long as one
  of them lives, no other write has to go alone (D65).
- ``0``, ``1``, ...: one for each write at a time (D52).
- ``door``: who waits for one of those has it, so that a process that writes all the time does not overtake others.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Final

from sekha._concurrency.file_lock import PathLock
from sekha._http.addresses import server_name
from sekha._http.models import origin

_LOOPBACK: Final = "127.0.0.1"
_LOOPBACK_NAMES: Final = frozenset({"localhost", "::1", _LOOPBACK})
_MAX_NAME = 100
_DOOR_PATIENCE: Final = 50
"""Tries after which a write no longer waits at the door: who has it may be stopped, as in a debugger."""


class WriteLocks:
    """The locked files of one server, for one client.

    Args:
        base_url: Address of the server.
        limit: Writes at a time.
    """

    def __init__(self, base_url: str, limit: int) -> None:
        self._name = lock_name(base_url)
        self._limit = limit
        self._prefix: str | None = None  # of the paths of the files, once the folder is there
        self._note: PathLock | None = None  # shares ``first``

    @property
    def has_folder(self) -> bool:
        """Whether the folder of the files was made or found."""
        return self._prefix is not None

    def make_folder(self) -> str:
        """Make the folder of the files, if it is not there, and return the beginning of their paths.

        Raises:
            OSError: The folder cannot be used.
        """
        self._prefix = prefix = os.path.join(runtime_folder(), self._name)
        return prefix

    def turn(self) -> LockTurn:
        """Return what one write holds of the files.

        Raises:
            OSError: The folder is not there, and cannot be made.
        """
        prefix = self._prefix or self.make_folder()
        return LockTurn(self, prefix, self._limit)

    def forget_folder(self) -> None:
        """Make the folder again for the next turn: somebody has removed it."""
        self._prefix = None

    @property
    def has_note(self) -> bool:
        """Whether this client has noted that there was a first write."""
        return self._note is not None and self._note.is_open

    def keep_note(self, first: PathLock) -> None:
        """Keep the shared lock by which others see that there was a first write."""
        self._note = first

    def close(self) -> None:
        """Take the note away."""
        if self._note is not None:
            self._note.close()


class LockTurn:
    """What one write has locked.

    Args:
        locks: The files of the server.
        prefix: The beginning of their paths.
        limit: Writes at a time.
    """

    def __init__(self, locks: WriteLocks, prefix: str, limit: int) -> None:
        self._locks = locks
        self._prefix = prefix
        self._limit = limit
        self._first: PathLock | None = None
        self._door = PathLock(f"{prefix}.door")
        self._slot = PathLock("")
        self._tries = 0

    def try_enter(self) -> bool:
        """Lock what a write needs; return False if others have it.

        Raises:
            OSError: A file cannot be opened, or its file system has no locks.
        """
        if not self._locks.has_note and not self._pass_first():
            return False
        if self._first is not None:
            return True
        self._tries += 1
        if not self._door.is_open and not self._door.try_lock() and self._tries <= _DOOR_PATIENCE:
            return False
        for number in range(self._limit):
            self._slot = PathLock(f"{self._prefix}.{number}")
            if self._slot.try_lock():
                self._door.close()
                return True
        return False

    def _pass_first(self) -> bool:
        """Become the first of all writes, or share the note that there was one; return False while another is first."""
        self._first = first = PathLock(f"{self._prefix}.first")
        if first.try_lock():
            return True
        self._first = None
        if not first.try_lock(shared=True):
            return False
        self._locks.keep_note(first)
        return True

    def leave(self, *, stored: bool) -> None:
        """Release all of it; doing so again does nothing.

        Args:
            stored: Whether the write has succeeded; if so, the next one need not go alone.
        """
        first = self._first
        if first is not None and first.is_open:
            if stored and first.share():
                self._locks.keep_note(first)
            else:
                first.close()
            self._first = None
        self._slot.close()
        self._door.close()


def lock_name(base_url: str) -> str:
    """Return the name of a server in names of files: host and port. All names of this machine are one."""
    host, port = server_name(origin(base_url).host).lower(), origin(base_url).port
    host = _LOOPBACK if is_loopback(base_url) else host
    return f"{re.sub(r'[^0-9a-z.-]', '_', host)[:_MAX_NAME]}-{port}"


def is_loopback(base_url: str) -> bool:
    """Return whether the address of a server means this machine."""
    return server_name(origin(base_url).host).lower() in _LOOPBACK_NAMES


def runtime_folder() -> str:
    """Return the folder of the locks, which is made if necessary; nobody but this user has access.

    Raises:
        OSError: There can be none.
    """
    if os.name == "nt":
        folder = os.path.join(os.environ.get("LOCALAPPDATA") or os.environ.get("TEMP") or "", "sekha-locks")
        os.makedirs(folder, exist_ok=True)
        return folder
    base, user = os.environ.get("XDG_RUNTIME_DIR") or "", os.geteuid()
    if os.path.isabs(base) and os.path.isdir(base) and os.stat(base).st_uid == user:
        folder = os.path.join(base, "sekha")
    else:
        folder = os.path.join(os.environ.get("TMPDIR") or "/tmp", f"sekha-{user}")
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077:
            raise PermissionError(f"{folder} is not a folder that only this user can access") from None
    return folder
