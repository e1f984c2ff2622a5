"""Removing conversations from servers that may not be able to delete, and replacing them."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from sekha._api.compat.capabilities import Capabilities
from sekha._api.compat.error_overrides import is_unable_to_delete
from sekha._api.endpoints import ARCHIVE_CONVERSATION, DELETE_CONVERSATION
from sekha._api.stored import complete_replacement, is_unchanged
from sekha._utils.frames import user_stacklevel
from sekha.errors import SekhaError, SekhaNotFoundError, SekhaServerError, SekhaWarning
from sekha.types import Conversation, MemoryExport

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
    """Store a conversation in place of another one, which is deleted, or archived where the server cannot delete.

    Args:
        transport: The transport of the controller.
        capabilities: What is known of the controller.
        id: The conversation to replace.
        export: That conversation with its messages.
        changes: Messages, and what else is not taken over from it; validated.
        drop_images: Whether an image that is part of a message may be lost (D4).

    Raises:
        SekhaError: It failed; ``conversation`` is the new one if that is stored.
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


async def delete_or_archive(
    transport: AsyncTransport, capabilities: Capabilities, id: str
) -> Literal["deleted", "archived"]:
    """Delete a conversation; archive it if the server cannot delete, which is warned of once for a client.

    Raises:
        SekhaError: It failed; the conversation is still there, or its outcome is unknown.
    """
    if not capabilities.cannot_delete:
        try:
            await transport.send(DELETE_CONVERSATION.request(id=id))
            return "deleted"
        except SekhaNotFoundError:  # somebody else has deleted it
            return "deleted"
        except SekhaServerError as error:
            if not is_unable_to_delete(error):
                raise
        capabilities.cannot_delete = True
    await transport.send(ARCHIVE_CONVERSATION.request(id=id))
    if not capabilities.warned_of_archiving:
        capabilities.warned_of_archiving = True
        warnings.warn(
            "this server cannot delete: what was to be deleted is archived, and searches of the controller 0.1 still "
            'find it (filters={"archived": False} leaves it out)',
            SekhaWarning,
            stacklevel=user_stacklevel(),
        )
    return "archived"
