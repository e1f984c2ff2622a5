"""Storage of a conversation only if it does not exist yet."""

from __future__ import annotations

from typing import Any, cast

from sekha._api.compat.capabilities import Capabilities
from sekha._api.endpoints import FULL_TEXT_SEARCH, GET_CONVERSATION, MEMORY_EXPORT
from sekha._api.stored import (
    MAX_EXPORTS,
    MAX_FOUND,
    conversations_with,
    is_stored_as,
    label_and_folder,
    search_phrases,
)
from sekha.errors import SekhaDecodeError, SekhaError, SekhaNotFoundError
from sekha.types import Conversation, MemoryExport

from ..transport import AsyncTransport
from .lost_keys import warn_of_lost_keys
from .pagination import all_conversations
from .store import create_conversation


async def create_if_missing(
    transport: AsyncTransport, capabilities: Capabilities, conversation: dict[str, Any], *, drop_images: bool
) -> Conversation:
    """Store a conversation unless it exists; after an unknown outcome, check once whether it was stored.

    Args:
        transport: The transport of the controller.
        capabilities: The known capabilities of the controller.
        conversation: The result of `complete_conversation`.
        drop_images: Whether to drop images that are part of a message (D4).

    Raises:
        SekhaError: A request failed; nothing is stored twice.
    """
    transport = transport.start_deadline()
    await warn_of_lost_keys(transport, capabilities, conversation["messages"])
    found = await find_existing(transport, conversation)
    if found is not None:
        found["already_stored"] = True
        return found
    try:
        stored = await create_conversation(transport, capabilities, conversation, drop_images=drop_images)
    except SekhaError as error:
        if not error.may_have_been_applied:
            raise
        found = await _find_or_none(transport, conversation)
        if found is None:
            raise
        stored = found
    stored["already_stored"] = False
    return stored


async def find_existing(transport: AsyncTransport, conversation: dict[str, Any]) -> Conversation | None:
    """Return the active conversation with the same label, folder and messages, if there is one.

    Makes one or two full-text searches; if the messages have no words or only frequent ones, one more request per
    thousand conversations; and an export of each candidate, at most ten.
    """
    for id in (await _find_candidates(transport, conversation))[:MAX_EXPORTS]:
        try:
            export = await transport.send(MEMORY_EXPORT.request({"conversation_id": id}))
        except SekhaNotFoundError:  # it was deleted in the meantime
            continue
        except SekhaDecodeError as error:
            if error.is_too_long and await _is_elsewhere(transport, id, conversation):
                continue
            raise
        if is_stored_as(conversation, export):
            return exported_conversation(export)
    return None


async def _is_elsewhere(transport: AsyncTransport, id: str, conversation: dict[str, Any]) -> bool:
    """Return whether a conversation that is too long to compare has another label or folder, or was deleted."""
    try:
        found = await transport.send(GET_CONVERSATION.request(id=id))
    except SekhaNotFoundError:
        return True
    return label_and_folder(found) != label_and_folder(conversation)


async def _find_candidates(transport: AsyncTransport, conversation: dict[str, Any]) -> list[str]:
    candidates: set[str] | None = None
    for phrase in search_phrases(conversation["messages"]):
        request = FULL_TEXT_SEARCH.request({"query": phrase.query, "limit": MAX_FOUND})
        found = conversations_with(phrase, await transport.send(request))
        if found is not None:
            candidates = found if candidates is None else candidates & found
        if candidates is not None and len(candidates) <= MAX_EXPORTS:
            return sorted(candidates)
    rows = await all_conversations(
        transport,
        lambda row: (
            label_and_folder(row) == label_and_folder(conversation) and row["metadata"].get("status") != "archived"
        ),
    )
    return [row["id"] for row in rows if candidates is None or row["id"].lower() in candidates]


async def _find_or_none(transport: AsyncTransport, conversation: dict[str, Any]) -> Conversation | None:
    try:
        return await find_existing(transport, conversation)
    except SekhaError:
        return None


def exported_conversation(export: MemoryExport) -> Conversation:
    """Return the conversation of an export in the format of the other calls."""
    return cast(Conversation, {**export["conversation"], "message_count": len(export["messages"])})
