"""The database connection of a store, and maintenance of its file."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Generator, Optional, TypeVar, Union

from typing_extensions import Self

from sekha.local.data_file import (
    DataFile,
    DataFileBusyError,
    DataFileError,
    DiskFullError,
    is_disk_full,
    open_read_only,
)
from sekha.local.database import BUSY_SECONDS, PROFILE, open_database, read_fact, transaction, write_fact
from sekha.local.match import searchable_text
from sekha.local.worker import Runner

_Result = TypeVar("_Result")
_LOCKED = "database is locked"
_MERGED_PAGES = 32
_MERGE = "words_to_merge"  # name of a fact: whether words of deleted messages are in the full-text index
_DELETED, _MERGING = 1, 2


class StoreFile:
    """The connection of a store.

    Args:
        path: The file, created if it does not exist (readable only by its owner); None keeps everything in memory.

    Raises:
        OSError: The file cannot be opened for writing.
        sqlite3.Error: The file is not a data file, is of a newer version or another profile, or another server uses it.
    """

    profile = "documented"

    def __init__(self, path: Union[str, Path, None] = None) -> None:
        self.file = None if path is None else DataFile(path)
        self.on_write: Callable[[], None] = lambda: None
        """Called after each write, on the writing thread."""
        self.beside = self
        """A read-only store on another connection, for another thread; in memory, this store itself."""
        if self.file is None:
            self._db = self._open(None)
            return
        lock_is_new = not os.path.exists(self.file.lock_file)
        self.file.lock()
        try:
            self._db = self._open(self.file)
        except BaseException:
            self.file.release(remove=lock_is_new)
            raise
        self.file.make_reserve()
        self.beside = self._open_beside(self.file)

    def _open(self, file: Optional[DataFile]) -> sqlite3.Connection:
        if file is None:
            return open_database(None, self.searchable_text)
        path = Path(file.path)
        try:
            try:
                db = open_database(path, self.searchable_text)
            except sqlite3.OperationalError as error:
                if not is_disk_full(error, file.path) or not file.give_up_reserve():
                    raise
                db = open_database(path, self.searchable_text)
        except sqlite3.OperationalError as error:
            raise _describe(error, file) from error
        try:
            file.opened()
            profile = read_fact(db, PROFILE)
            if profile is None:
                write_fact(db, PROFILE, self.profile)
            elif profile != self.profile:
                raise DataFileError(f"it was created with the profile {profile}: use that profile, or another file")
        except BaseException:
            db.close()
            raise
        return db

    @staticmethod
    def searchable_text(text: str) -> str:
        """Return the text of a message for the full-text index."""
        return searchable_text(text)

    def close(self) -> None:
        """Close the database, and keep its file."""
        if self.beside is not self:
            self.beside.close()  # first, so that the other connection writes the log to the file
        self._db.close()
        if self.file is not None:
            self.file.release()

    async def read(self, runner: Runner, function: Callable[[Self], _Result]) -> _Result:
        """Call a function that only reads; with a file, writes do not delay it."""
        return await (runner.run if self.beside is self else runner.run_beside)(function, self.beside)

    def _open_beside(self, file: DataFile) -> Self:
        other = object.__new__(type(self))
        other.file, other.on_write, other.beside, other._db = None, self.on_write, other, open_read_only(file.path)
        return other

    @contextmanager
    def write(self) -> Generator[None, None, None]:
        """Run the block in a transaction; roll back after an error.

        Raises:
            DataFileError: The file was removed, or its disk is full.
        """
        if self._db.in_transaction:
            yield
            return
        if self.file is None:
            with transaction(self._db):
                yield
            return
        self.file.require()
        try:
            with transaction(self._db):
                yield
        except sqlite3.OperationalError as error:
            self.file.was_full = is_disk_full(error, self.file.path)
            if self.file.was_full:
                raise DiskFullError from error
            if str(error) == _LOCKED:
                raise DataFileBusyError from error
            raise
        self.file.was_full = False
        self.on_write()

    # The file

    def checkpoint(self) -> bool:
        """Write the log to the file, and truncate the log; return False if a reader prevents it."""
        self._db.execute("PRAGMA busy_timeout = 0").fetchall()  # do not wait for readers
        try:
            ((is_blocked, _, _),) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return not is_blocked
        except sqlite3.OperationalError:
            return False
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {1000 * BUSY_SECONDS:.0f}").fetchall()

    def merge_words(self) -> bool:
        """Remove a part of the words of deleted messages from the full-text index; return whether there is more."""
        state = self.fact(_MERGE)
        if not state:
            return False
        with transaction(self._db):
            before = self._db.total_changes
            merge = "INSERT INTO message_words (message_words, rank) VALUES ('merge', ?)"
            # A negative number starts a new merge.
            self._db.execute(merge, (-_MERGED_PAGES if state == _DELETED else _MERGED_PAGES,))
            has_more = self._db.total_changes - before >= 2
            self.set_fact(_MERGE, _MERGING if has_more else None)
        return has_more

    def fact(self, name: str) -> Any:
        """Return a fact, or None."""
        return read_fact(self._db, name)

    def set_fact(self, name: str, value: Union[str, int, float, None]) -> None:
        """Store a fact."""
        with self.write():
            write_fact(self._db, name, value)

    def note_deleted_words(self) -> None:
        """Record that words of deleted messages are still in the full-text index."""
        self.set_fact(_MERGE, _DELETED)

    def with_reserve(self, deletion: Callable[[], _Result]) -> _Result:
        """Run a deletion; on a full disk, remove the reserve file first."""
        try:
            return deletion()
        except DiskFullError:
            if self.file is None:
                raise
            self.checkpoint()  # the log uses disk space, too
            self.file.give_up_reserve()
        try:
            return deletion()
        finally:
            self.checkpoint()
            self.file.make_reserve()


def _describe(error: sqlite3.OperationalError, file: DataFile) -> sqlite3.OperationalError:
    """Return the error for a file that cannot be opened."""
    if is_disk_full(error, file.path):
        return DataFileError("its disk is full")
    return DataFileBusyError() if str(error) == _LOCKED else error
