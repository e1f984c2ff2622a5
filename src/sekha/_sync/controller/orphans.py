# Generated from src/sekha/_async/controller/orphans.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Conversations that an interrupted sync has stored for notes that have changed since."""

from __future__ import annotations

from functools import partial

from sekha._api import endpoints
from sekha._api.folder_view import FolderView
from sekha._concurrency.tasks import in_thread
from sekha._importing.digests import digest, digests_of
from sekha._importing.journal import Begun, Journal
from sekha.errors import SekhaNotFoundError

from ..operations.pagination import all_conversations
from ..transport import Transport
from .import_run import IN_FLIGHT_GRACE
from .storing import POLL_INTERVAL


class Orphans:
    """Conversations that an interrupted sync started to store for notes that have changed since.

    Args:
        transport: The transport of the controller.
        journal: The journal, open.
        view: The folder that the client is restricted to; None for the whole memory.
    """

    def __init__(self, transport: Transport, journal: Journal, view: FolderView | None) -> None:
        self._transport = transport
        self._journal = journal
        self._view = view

    def resolve(self, orphans: list[Begun]) -> None:
        """Record the stored ones as earlier versions of their notes, and the others as not stored."""
        time_left = IN_FLIGHT_GRACE
        while orphans and (rest := self._look(orphans)) and time_left > 0:
            orphans = rest
            time_left -= POLL_INTERVAL
            self._transport.clock.sleep(POLL_INTERVAL)
        still_open = {begun.key for begun in self._journal.begun()}
        for orphan in orphans:
            if orphan.key in still_open:
                in_thread(partial(self._journal.refused, orphan.key))

    def _look(self, orphans: list[Begun]) -> list[Begun]:
        """Record those that are stored; return the others."""
        wanted = {(orphan.sent.label, orphan.sent.folder) for orphan in orphans}
        known, since = {*self._journal.ids, *self._journal.stale()}, self._journal.since or ""
        rows = all_conversations(
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
                export = self._transport.send(endpoints.MEMORY_EXPORT.request({"conversation_id": row["id"]}))
            except SekhaNotFoundError:
                continue
            found = digests_of({**export["conversation"], "messages": export["messages"]})
            orphan = next((one for one in orphans if one.sent == found), None)
            if orphan is not None:
                in_thread(partial(self._journal.done, orphan.key, row["id"], orphan.origin))
                orphans = [one for one in orphans if one is not orphan]
        return orphans
