"""What is done for a data file beside the requests: a check at the start, and tidying whenever nothing is written."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing, suppress
from types import TracebackType
from typing import List, Optional, Type

from sekha._concurrency.clock import monotonic
from sekha.local.data_file import DataFile, find_damage, open_read_only
from sekha.local.store_file import StoreFile
from sekha.local.worker import Runner

logger: logging.Logger = logging.getLogger("sekha.local")
_IDLE_SECONDS = 1.0  # since the last write, before the file is tidied
_BUSY_SECONDS = 30.0  # since the first write, after which it is tidied even so
_STOP_SECONDS = 2.0  # for tidying when the server stops; the next start goes on


class Upkeep:
    """The upkeep of a store while the block of `async with` runs. A store in memory needs none.

    As soon as nothing was written for a second, the words of deleted messages are removed from the full-text index, and
    the log is written to the file, so that a copy of the file has everything, and nothing that was deleted.

    Args:
        store: The store.
        runner: Where its calls run.
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
            self._wakeup.set()  # the last server may have been killed
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
            if not await self._tidy(file) and not self._is_dirty:  # a reader keeps the log, or the disk is full
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
        """Tidy the file in small steps, up to the next write; return whether all was done."""
        try:
            while await self._runner.run(self._store.merge_words):
                if self._is_dirty:
                    return True  # the write has set the wakeup
        except sqlite3.Error as error:
            logger.debug("words of deleted messages stay in the index for now: %s", error)
        is_done = await self._runner.run(self._store.checkpoint)
        file.make_reserve()
        return is_done


async def _check(file: DataFile) -> None:
    """Look for damage in the whole file, on a thread and a connection of its own."""
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
        logger.error("the data file is damaged (%s): stop the server, and put a backup in its place", file.damage)


def _find_damage(database: sqlite3.Connection) -> List[str]:
    with closing(database):
        return find_damage(database)
