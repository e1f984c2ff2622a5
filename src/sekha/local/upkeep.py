"""Maintenance of a data file: a check at the start, and cleanup when there are no writes."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing, suppress
from types import TracebackType
from typing import List, Optional, Type

from sekha._concurrency.clock import monotonic
from sekha.local.data_file import DataFile, damaged, find_damage, open_read_only
from sekha.local.store_file import StoreFile
from sekha.local.worker import Runner

logger: logging.Logger = logging.getLogger("sekha.local")
_IDLE_SECONDS = 1.0  # seconds without a write before a cleanup
_BUSY_SECONDS = 30.0  # seconds since the first write after which a cleanup runs anyway
_STOP_SECONDS = 2.0  # seconds for cleanup at the stop; the next start continues it


class Upkeep:
    """Maintenance of a store during a block of `async with`. A store in memory needs none.

    After a second without writes, the words of deleted messages are removed from the full-text index, and the log is
    written to the file, so that a copy of the file contains all data and no deleted data.

    Args:
        store: The store.
        runner: Runs the calls of the store.
    """

    def __init__(self, store: StoreFile, runner: Runner) -> None:
        self._store = store
        self._runner = runner
        self._tasks: List[asyncio.Task[None]] = []
        self._written_at = monotonic()
        self._is_dirty = True

    async def __aenter__(self) -> None:
        file = self._store.file
        if file is not None:
            loop = asyncio.get_running_loop()
            self._wakeup = asyncio.Event()

            def on_write() -> None:
                self._written_at = monotonic()
                if not self._is_dirty:
                    self._is_dirty = True
                    loop.call_soon_threadsafe(self._wakeup.set)

            self._store.on_write = on_write
            self._wakeup.set()  # the previous server may have been killed
            self._tasks = [asyncio.ensure_future(work) for work in (self._tidy_when_idle(file), _check(file))]

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._tasks:
            self._store.on_write = lambda: None
            limit = monotonic() + _STOP_SECONDS
            with suppress(sqlite3.Error):
                while await self._runner.run(self._store.merge_words) and monotonic() < limit:
                    pass
                await self._runner.run(self._store.checkpoint)

    async def _tidy_when_idle(self, file: DataFile) -> None:
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            await self._wait_for_rest()
            self._is_dirty = False
            if not await self._tidy(file) and not self._is_dirty:  # a reader blocks it, or the disk is full
                self._is_dirty = True
                self._written_at = monotonic()
                self._wakeup.set()

    async def _wait_for_rest(self) -> None:
        begin = monotonic()
        while True:
            now = monotonic()
            rest = min(self._written_at + _IDLE_SECONDS, begin + _BUSY_SECONDS) - now
            if rest <= 0:
                return
            await asyncio.sleep(rest)

    async def _tidy(self, file: DataFile) -> bool:
        """Clean up the file in small steps, until the next write; return whether it is complete."""
        try:
            while await self._runner.run(self._store.merge_words):
                if self._is_dirty:
                    return True  # the write has set the wakeup
        except sqlite3.Error as error:
            logger.debug("cannot remove the words of deleted messages from the index now: %s", error)
        is_done = await self._runner.run(self._store.checkpoint)
        file.make_reserve()
        return is_done


async def _check(file: DataFile) -> None:
    """Check the whole file for damage, on a separate thread and connection."""
    try:
        database = open_read_only(file.path)
    except sqlite3.Error as error:
        found = [str(error)]
    else:
        work = asyncio.get_running_loop().run_in_executor(None, _find_damage, database)
        try:
            found = await asyncio.shield(work)
        except asyncio.CancelledError:
            with suppress(sqlite3.ProgrammingError):  # it is done, and closed
                database.interrupt()
            await work
            raise
    if found:
        file.damage = "; ".join(found)
        logger.error("%s", damaged(file.damage))


def _find_damage(database: sqlite3.Connection) -> List[str]:
    with closing(database):
        return find_damage(database)
