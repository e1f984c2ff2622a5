"""Deletion and replacement of conversations, also on servers that cannot delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sekha._api.compat.capabilities import Capabilities
from sekha._api.compat.error_overrides import is_unable_to_delete
from sekha._api.endpoints import ARCHIVE_CONVERSATION, DELETE_CONVERSATION
from sekha._api.stored import complete_replacement, is_unchanged
from sekha._importing.failures import judge_failure
from sekha._transport.operations import DELETE
from sekha._transport.spans import async_traced
from sekha._utils.frames import warn_user
from sekha.errors import SekhaError, SekhaNotFoundError, SekhaServerError
from sekha.types import Conversation, ConversationListItem, DeletionReport, MemoryExport

from ..transport import AsyncTransport
from .existing import exported_conversation
from .store import create_conversation


async def replace_conversation(
    transport: AsyncTransport,
    capabilities: Capabilities,
    id: str,
    export: MemoryExport,
    changes: dict[str, Any],
    *,
    drop_images: bool,
) -> Conversation:
    """Store a conversation in place of another one, which is deleted, or archived if the server cannot delete.

    Args:
        transport: The transport of the controller.
        capabilities: The known capabilities of the controller.
        id: The conversation to replace.
        export: That conversation with its messages.
        changes: Messages and other changed fields; validated.
        drop_images: Whether to drop images that are part of a message (D4).

    Raises:
        SekhaError: A request failed; ``conversation`` is the new one if it is stored.
    """
    replacement = complete_replacement(changes, export)
    if is_unchanged(replacement, export):
        unchanged = exported_conversation(export)
        unchanged["replaced"] = {"id": id, "how": "unchanged"}
        return unchanged
    stored = await create_conversation(transport, capabilities, replacement, drop_images=drop_images)
    try:
        how = await delete_or_archive(transport, capabilities, id)
    except SekhaError as error:
        error.conversation = stored
        error.message += f"; conversation {stored['id']}, which replaces it, is stored"
        error.sent = error.may_have_been_applied = True
        raise
    stored["replaced"] = {"id": id, "how": how}
    return stored


@async_traced(DELETE)
async def delete(transport: AsyncTransport, capabilities: Capabilities, id: str) -> Literal["deleted"]:
    """Delete a conversation that may already be deleted.

    Raises:
        SekhaError: The request failed; the conversation still exists, or the outcome is unknown.
    """
    try:
        await transport.send(DELETE_CONVERSATION.request(id=id))
    except SekhaNotFoundError:  # it was deleted elsewhere
        pass
    except SekhaServerError as error:
        capabilities.cannot_delete = capabilities.cannot_delete or is_unable_to_delete(error)
        raise
    return "deleted"


@async_traced(DELETE)
async def delete_or_archive(
    transport: AsyncTransport, capabilities: Capabilities, id: str
) -> Literal["deleted", "archived"]:
    """Delete a conversation; if the server cannot delete, archive it and warn once per client.

    Raises:
        SekhaError: The request failed; the conversation still exists, or the outcome is unknown.
    """
    if not capabilities.cannot_delete:
        try:
            return await delete(transport, capabilities, id)
        except SekhaServerError as error:
            if not is_unable_to_delete(error):
                raise
    await transport.send(ARCHIVE_CONVERSATION.request(id=id))
    if capabilities.note_warning("archived instead of deleted"):
        warn_user(
            "this server cannot delete: conversations are archived instead, and searches of controller 0.1 still find "
            'them (filters={"archived": False} excludes them)'
        )
    return "archived"


async def delete_all(
    transport: AsyncTransport,
    capabilities: Capabilities,
    rows: Sequence[ConversationListItem],
    report: DeletionReport,
    *,
    archive_instead: bool,
) -> None:
    """Delete conversations one after the other, and record each outcome in a report.

    The first delete shows whether the server can delete.

    Args:
        transport: The transport of the controller.
        capabilities: The known capabilities of the controller.
        rows: The conversations.
        report: The report.
        archive_instead: Whether to archive them if the server cannot delete.

    Raises:
        SekhaError: The server cannot delete, cannot be reached, or rejects the key; ``failed`` has all other failures.
    """
    remove = delete_or_archive if archive_instead else delete
    streak = 0
    for row in rows:
        try:
            report[await remove(transport, capabilities, row["id"])].append(row["id"])
            streak = 0
        except SekhaError as error:
            verdict = judge_failure(error, streak)
            streak = verdict.streak
            done = len(report["deleted"]) + len(report["archived"])
            cannot_delete = is_unable_to_delete(error)
            if verdict.ends_import or cannot_delete:
                hint = "; pass archive_instead=True to archive the rest" if cannot_delete else ""
                error.message += f" ({done} of {len(rows)} conversations were deleted or archived{hint})"
                error.may_have_been_applied = error.may_have_been_applied or done > 0
                raise
            report["failed"].append(
                {
                    "id": row["id"],
                    "label": row["label"],
                    "error": str(error),
                    "may_have_been_applied": error.may_have_been_applied,
                }
            )
