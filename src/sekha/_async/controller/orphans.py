"""Conversations that an interrupted sync has stored for notes that have changed since."""

from __future__ import annotations

from functools import partial

from sekha._api import endpoints
from sekha._api.folder_view import FolderView
from sekha._concurrency.tasks import async_in_thread
from sekha._importing.digests import digest, digests_of
from sekha._importing.journal import Begun, Journal
from sekha.errors import SekhaNotFoundError

from ..operations.pagination import all_conversations
from ..transport import AsyncTransport
from .import_run import IN_FLIGHT_GRACE
from .storing import POLL_INTERVAL


class AsyncOrphans:
    """Conversations that an interrupted sync started to store for notes that have changed since.

    Args:
        transport: The transport of the controller.
        journal: The journal, open.
        view: The folder that the client is restricted to; None for the whole memory.
    """

    def __init__(self, transport: AsyncTransport, journal: Journal, view: FolderView | None) -> None:
        self._transport = transport
        self._journal = journal
        self._view = view

    async def resolve(self, orphans: list[Begun]) -> None:
        """Record the stored ones as earlier versions of their notes, and the others as not stored."""
        time_left = IN_FLIGHT_GRACE
        while orphans and (rest := await self._look(orphans)) and time_left > 0:
            orphans = rest
            time_left -= POLL_INTERVAL
            await self._transport.clock.async_sleep(POLL_INTERVAL)
        still_open = {begun.key for begun in self._journal.begun()}
        for orphan in orphans:
            if orphan.key in still_open:
                await async_in_thread(partial(self._journal.refused, orphan.key))

    async def _look(self, orphans: list[Begun]) -> list[Begun]:
        """Record those that are stored; return the others."""
        wanted = {(orphan.sent.label, orphan.sent.folder) for orphan in orphans}
        known, since = {*self._journal.ids, *self._journal.stale()}, self._journal.since or ""
        rows = await all_conversations(
            self._transport,
            lambda row: (
                (digest(row["label"]), digest(row["folder"])) in wanted
                and row["id"] not in known
                and row["timestamp"] >= since
                and (self._view is None or self._view.contains(row["folder"]))
            ),
        )
        for row in rows:
            try:
                export = await self._transport.send(endpoints.MEMORY_EXPORT.request({"conversation_id": row["id"]}))
            except SekhaNotFoundError:
                continue
            found = digests_of({**export["conversation"], "messages": export["messages"]})
            orphan = next((one for one in orphans if one.sent == found), None)
            if orphan is not None:
                await async_in_thread(partial(self._journal.done, orphan.key, row["id"], orphan.origin))
                orphans = [one for one in orphans if one is not orphan]
        return orphans
