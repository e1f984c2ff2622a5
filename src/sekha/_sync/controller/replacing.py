# Generated from src/sekha/_async/controller/replacing.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""The controller's conversations: replace one, or delete all of a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional, Union
from uuid import UUID

from sekha._api.arguments import DeleteManyRequest, validate_replacement
from sekha._api.endpoints import MEMORY_EXPORT
from sekha._api.filters import list_filter
from sekha._api.validation import argument_error, merge_arguments, validate
from sekha._api.validation import parse_conversation_id as checked_id
from sekha._transport.operations import DELETE_MANY, REPLACE
from sekha._transport.spans import traced
from sekha._utils.sentinel import drop_unset
from sekha.types import Conversation, DeletionReport

from ..folder_client import folder_of_export
from ..operations.lost_keys import warn_of_lost_keys
from ..operations.pagination import all_conversations
from ..operations.remove import delete_all, replace_conversation
from .conversations import ConversationMixin


class ReplaceMixin(ConversationMixin):
    """The part of `MemoryController` that replaces conversations, and deletes many."""

    @traced(REPLACE)
    def replace_conversation(
        self,
        conversation_id: Union[str, UUID],
        conversation: Optional[Mapping[str, object]] = None,
        *,
        label: Optional[str] = None,
        folder: Optional[str] = None,
        importance_score: Optional[int] = None,
        messages: Optional[Sequence[Mapping[str, object]]] = None,
        drop_images: bool = False,
    ) -> Conversation:
        """Store a conversation in place of another one, which is deleted after that.

        The old one is read first (the MCP tool ``memory_export``); if it is the same, nothing else happens. The new one
        is stored as by `create_conversation`, and then the old one is deleted. The controller 0.1 cannot delete a
        conversation that has messages: there it is archived, and is still found by searches without the filter
        ``archived``, of which a `SekhaWarning` tells once for a client.

        Args:
            conversation_id: UUID of the conversation to replace.
            conversation: The keywords below but ``drop_images`` as one dictionary; a keyword beats its entry.
            label: Name, not empty; default: as it was.
            folder: Path, not empty; default: as it was.
            importance_score: 1 to 10; default: as it was.
            messages: All messages of the new conversation: dictionaries with ``role`` and ``content``.
            drop_images: Whether ``data:`` images may be lost where the server takes text only.

        Returns:
            The new conversation, or the old one if nothing was to be changed; ``replaced`` has the old ``id``, and
            ``how``: ``deleted``, ``archived`` or ``unchanged``.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaNotFoundError: There is no such conversation; nothing was stored.
            SekhaError: It failed. If ``conversation`` of the error is not None, that is the new one, which is stored,
                and the old one is still there or its outcome is unknown.

        Warns:
            SekhaWarning: The server cannot delete; the old conversation is archived.

        Example:
            ```python
            changed = client.controller.replace_conversation(
                conversation_id, messages=[{"role": "user", "content": "We ship on Mondays."}]
            )
            print(changed["replaced"]["how"])  # deleted
            ```
        """
        id = checked_id(conversation_id)
        keywords = drop_unset(label=label, folder=folder, importance_score=importance_score, messages=messages)
        merged = merge_arguments(conversation, keywords, "conversation")
        changes = validate_replacement(self._absolute_folder(merged))
        transport = self._transport.start_deadline()
        warn_of_lost_keys(transport, self._capabilities, changes["messages"])
        export = self._read(transport, MEMORY_EXPORT.request({"conversation_id": id}), folder_of_export, id)
        return replace_conversation(transport, self._capabilities, id, export, changes, drop_images=drop_images)

    @traced(DELETE_MANY)
    def delete_conversations(
        self,
        *,
        folder: Optional[str] = None,
        subfolders: bool = False,
        dry_run: bool = True,
        archive_instead: bool = False,
    ) -> DeletionReport:
        """Delete all conversations of a folder; by default, only count them.

        The list is read, with one request for each thousand conversations that are stored, and then each conversation
        is deleted by a request of its own, archived ones too. The controller 0.1 cannot delete conversations that have
        messages: the first one shows it, the call fails, and nothing is archived instead unless you say so.

        Args:
            folder: Exactly this folder; it has to be given, except in a view of a folder: default there: all of it.
            subfolders: Whether folders below ``folder`` count too; not with ``/``, which would be everything.
            dry_run: Whether to delete nothing, and only report what is there.
            archive_instead: Whether to archive them where the server cannot delete. The controller 0.1 still finds
                archived conversations in searches.

        Returns:
            ``found``, how many there are; the ids of those that were ``deleted`` or ``archived``; ``failed``, each with
            ``id``, ``label`` and ``error``; ``dry_run``; and ``cannot_delete``, True where that is known of the server.

        Raises:
            SekhaValidationError: There is no folder, or it cannot be used.
            SekhaServerError: The server cannot delete, and ``archive_instead`` is False.
            SekhaError: It failed; the message says how many were deleted. The call can be repeated.

        Warns:
            SekhaWarning: The server cannot delete; the conversations are archived.

        Example:
            ```python
            found = client.controller.delete_conversations(folder="/old", subfolders=True)
            if found["found"] < 100:
                client.controller.delete_conversations(folder="/old", subfolders=True, dry_run=False)
            ```
        """
        switches = {"subfolders": subfolders, "dry_run": dry_run, "archive_instead": archive_instead}
        request = validate(DeleteManyRequest, {**drop_unset(folder=self._absolute(folder)), **switches})
        if "folder" not in request and self._view is None:
            raise argument_error("folder", "is missing")
        if request.get("folder") == "/" and subfolders:
            raise argument_error("folder", "must not be / together with subfolders, for that would be everything")
        transport = self._transport.start_deadline()
        inside = list_filter({"folder": request["folder"], "subfolders": subfolders}) if "folder" in request else None
        rows = all_conversations(transport, self._keep(inside))
        report: DeletionReport = {
            "found": len(rows), "deleted": [], "archived": [], "failed": [], "dry_run": dry_run, "cannot_delete": False
        }  # fmt: skip
        if not dry_run:
            delete_all(transport, self._capabilities, rows, report, archive_instead=archive_instead)
        report["cannot_delete"] = self._capabilities.cannot_delete
        return report
