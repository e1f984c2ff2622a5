"""The file of a journal: locked for one import, one line per record, removed if empty."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from io import FileIO
from typing import Any

from sekha._concurrency.file_lock import try_lock, unlock
from sekha._utils.json_access import as_object
from sekha.errors import SekhaInUseError
from sekha.exports._note_files import JOURNAL

_HEADER = b'{"sekha_import": 1,'

Line = Mapping[str, Any]


class JournalFile:
    """A file of records; the first line is a header with the server and the folder.

    Args:
        path: Path of the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._is_empty = False
        self._last_line_is_complete = True

    @property
    def name(self) -> str:
        """The display name of the file."""
        return os.path.basename(self._path)

    def peek(self) -> list[Line]:
        """Return the lines without changing the file; none if it does not exist, or has no complete header.

        Raises:
            OSError: The file cannot be read.
        """
        if not os.path.exists(self._path):
            return []
        with open(self._path, "rb") as file:
            lines = file.read().split(b"\n")
        return [] if len(lines) == 1 and _is_torn_header(lines[0]) else list(map(_parse, lines))

    def open(self, read: Callable[[Sequence[Line]], None]) -> None:
        """Lock the file until `close`, and read its lines.

        Args:
            read: Called with the lines, if there are any, before the first write.

        Raises:
            SekhaInUseError: The file is in use.
            OSError: The file cannot be read or written.
        """
        self._file = open(self._path, "a+b", buffering=0)  # noqa: SIM115 - closed by close()
        try:
            if not try_lock(self._file):
                raise SekhaInUseError(f"journal: {self.name} is in use by another import")
            if not os.path.exists(self._path):  # another import has just ended, and removed its empty file
                raise SekhaInUseError(f"journal: {self.name} was in use by another import; try again")
            self._file.seek(0)
            *lines, rest = self._file.read().split(b"\n")
            if not lines and _is_torn_header(rest):
                if rest:
                    self._file.truncate(0)  # truncated header: nothing was stored
                self._is_empty = True
                return
            read([*map(_parse, lines), _parse(rest)])
            if rest:
                self._file.write(b"\n")  # ends a line that an interrupted program has truncated
        except BaseException:
            self.close()
            raise

    def others(self) -> Iterator[list[Line]]:
        """Yield the lines of other journals in the same folder; skip unreadable ones."""
        own = os.path.abspath(self._path)
        folder = os.path.dirname(own)
        for name in sorted(name for name in os.listdir(folder) if name.endswith(JOURNAL)):
            path = os.path.join(folder, name)
            if path == own:
                continue
            try:
                with open(path, "rb") as file:
                    yield list(map(_parse, file.read().split(b"\n")))
            except OSError:
                continue

    def append(self, lines: Sequence[Line]) -> None:
        """Write lines.

        Raises:
            OSError: The lines, or earlier ones, cannot be written.
        """
        if self._file is None or not self._last_line_is_complete:
            raise OSError("the journal of the import can no longer be written")
        if self._file.closed:
            raise OSError("the journal belongs to the process that opened it, and this one is its fork")
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        self._last_line_is_complete = self._is_empty = False
        if self._file.write(data) < len(data):
            raise OSError(errno.ENOSPC, "the journal of the import cannot be written", self._path)
        self._last_line_is_complete = True

    def close(self) -> None:
        """Close the file; no more lines can be written. An empty file is removed."""
        if self._file is None:
            return
        if self._file.closed:  # in a fork: the file belongs to the parent process
            self._file = None
            return
        is_in_vain = self._is_empty and stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        if is_in_vain and os.name != "nt":
            self._remove()  # before another import locks it
        unlock(self._file)
        self._file.close()
        self._file = None
        if is_in_vain and os.name == "nt":  # Windows cannot remove an open file
            self._remove()

    def _remove(self) -> None:
        with suppress(OSError):
            os.unlink(self._path)


def _is_torn_header(line: bytes) -> bool:
    return _HEADER.startswith(line[: len(_HEADER)])


def _parse(line: bytes) -> Line:
    """Return the data of a line; empty if it is truncated."""
    try:
        return as_object(json.loads(line)) or {}
    except ValueError:
        return {}
