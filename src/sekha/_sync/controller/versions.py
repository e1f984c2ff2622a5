# Generated from src/sekha/_async/controller/versions.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Reading, moving and removing conversations of an earlier import or sync."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any, Literal

from sekha._api import endpoints
from sekha._concurrency.tasks import in_thread
from sekha.errors import SekhaError, SekhaNotFoundError
from sekha.types import Conversation, MemoryExport

from ..operations.change import set_label
from ..operations.pagination import all_conversations
from ..operations.remove import delete_or_archive
from .storing import StoringRun


class VersionsRun(StoringRun):
    """A run that changes stored conversations. One that was moved out of the view counts as deleted."""

    def _export(self, id: str) -> MemoryExport | None:
        """Return a conversation with its messages; None if it was deleted."""
        try:
            request = endpoints.MEMORY_EXPORT.request({"conversation_id": id})
            export = self._patiently(partial(self._transport.send, request))
        except SekhaNotFoundError:
            return None
        return export if self._is_inside(export["conversation"]["folder"]) else None

    def _get(self, id: str) -> Conversation | None:
        """Return a conversation; None if it was deleted."""
        try:
            found = self._patiently(partial(self._transport.send, endpoints.GET_CONVERSATION.request(id=id)))
        except SekhaNotFoundError:
            return None
        return found if self._is_inside(found["folder"]) else None

    def _is_there(self, id: str) -> bool:
        """Return whether the server had a conversation at the first check."""
        slot = self._asking.slot()
        try:
            slot.acquire(None)
            if self._ids is None:
                inside = partial(all_conversations, self._transport, lambda row: self._is_inside(row["folder"]))
                self._ids = {row["conversation_id"] for row in self._patiently(inside)}
            return id in self._ids
        finally:
            slot.release()

    def _is_inside(self, folder: object) -> bool:
        return self._view is None or self._view.contains(folder)

    def _move(self, id: str, changes: dict[str, Any]) -> bool:
        """Change label or folder of a conversation; return False if it was deleted, since it is not restored."""
        if not changes:
            return True
        if len(changes) < 2 or self._view is not None:
            current = self._get(id)
            if current is None:
                return False
            changes = {"label": current["label"], "folder": current["folder"], **changes}
        with suppress(SekhaNotFoundError):
            self._patiently(partial(set_label, self._transport, id, changes))
            return True
        return False

    def _remove(self, id: str) -> Literal["deleted", "archived"]:
        """Delete a conversation, or archive it if the server cannot delete, and record that."""
        how: Literal["deleted", "archived"] = "deleted"
        if self._view is None or self._get(id) is not None:
            how = self._patiently(partial(delete_or_archive, self._transport, self._capabilities, id))
        in_thread(partial(self._journal.removed, id))
        return how

    def _remove_earlier(self, ids: list[str]) -> None:
        """Remove earlier versions of a stored item.

        Raises:
            SekhaError: One of them could not be removed; the message names it.
        """
        for before in ids:
            try:
                self._remove(before)
            except SekhaError as error:
                error.message = f"its earlier version, conversation {before}, was not deleted: {error.message}"
                raise
