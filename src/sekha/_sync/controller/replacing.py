# Generated from src/sekha/_async/controller/replacing.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Replacement of a conversation, and deletion of all conversations in a folder."""

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
    """Mixin of `MemoryController` that replaces a conversation, and deletes many."""

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
        """Replace a conversation: store a new one, then delete the old one.

        The old conversation is read first (MCP tool ``memory_export``); if nothing would change, nothing is stored. The
        new one is stored as by `create_conversation`, then the old one is deleted. Controller 0.1 cannot delete a
        conversation that has messages; the library archives it instead and issues a `SekhaWarning` once per client.
        Searches still find it unless they filter by ``archived``.

        Args:
            conversation_id: UUID of the conversation to replace.
            conversation: The keyword arguments below except ``drop_images`` as one dictionary; keyword arguments take
                precedence.
            label: Name, not empty; default: unchanged.
            folder: Path, not empty; default: unchanged.
            importance_score: 1 to 10; default: unchanged.
            messages: All messages of the new conversation: dictionaries with ``role`` and ``content``.
            drop_images: Whether to drop ``data:`` images if the server stores text only; otherwise such messages raise
                an error.

        Returns:
            The new conversation, or the old one if nothing would change. ``replaced`` has the old ``id``, and as
            ``how`` one of ``deleted``, ``archived`` and ``unchanged``.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaNotFoundError: There is no conversation with this ID; nothing was stored.
            SekhaError: Any other failure. If ``conversation`` of the error is set, the new conversation is stored, and
                the old one still exists or its outcome is unknown.

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

        The list is read with one request per thousand stored conversations; then each conversation is deleted with a
        request of its own, including archived ones. Controller 0.1 cannot delete conversations that have messages: the
        call fails at the first one, and archives nothing unless ``archive_instead`` is True.

        Args:
            folder: Only conversations in exactly this folder. Required, except in the view of a folder, where the
                default is the whole view.
            subfolders: Whether to include folders below ``folder``; default False. Not allowed with ``/``, which would
                be everything.
            dry_run: Whether to only count the conversations and delete nothing; default True.
            archive_instead: Whether to archive conversations if the server cannot delete them. Searches of controller
                0.1 still find archived conversations.

        Returns:
            The report, with ``found`` (number of conversations), the IDs of those that were ``deleted`` or
            ``archived``, ``failed`` (each with ``id``, ``label`` and ``error``), ``dry_run``, and ``cannot_delete``,
            True if the server is known not to support deletion.

        Raises:
            SekhaValidationError: ``folder`` is missing or invalid.
            SekhaServerError: The server cannot delete, and ``archive_instead`` is False.
            SekhaError: Any other failure; the message has the number of deleted conversations. The call can be retried.

        Warns:
            SekhaWarning: The server cannot delete; the conversations are archived.

        Example:
            ```python
            found = client.controller.delete_conversations(folder="/old", subfolders=True)
            if found["found"] < 100:
                client.controller.delete_conversations(
                    folder="/old", subfolders=True, dry_run=False
                )
            ```
        """
        switches = {"subfolders": subfolders, "dry_run": dry_run, "archive_instead": archive_instead}
        request = validate(DeleteManyRequest, {**drop_unset(folder=self._absolute(folder)), **switches})
        if "folder" not in request and self._view is None:
            raise argument_error("folder", "is required")
        if request.get("folder") == "/" and subfolders:
            raise argument_error("folder", "must not be / with subfolders, which would delete everything")
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
