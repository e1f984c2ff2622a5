"""IDs that identify chats in an import. They must be unique: a chat would replace another one with the same ID."""

from __future__ import annotations

import re

from sekha._importing.digests import digest
from sekha.exports._building import ReadConversation

_UNIQUE = re.compile(
    r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|[0-9a-f]{24,}|(?<!\d)[1-9]\d{12,}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
    re.IGNORECASE,
)
"""The unique part of an ID: a UUID, another long number, or a timestamp."""
_MIN_CHARACTERS = 6
"""Minimum number of different digits in it; a counter with many zeros has fewer."""


def chat_id(conversation: ReadConversation, id: str) -> str:
    """Return a unique ID of a chat; an ID that may be a counter is combined with the beginning of the chat.

    Args:
        conversation: The chat.
        id: The ID of its application.

    Returns:
        The ID.
    """
    known = f"{conversation.application}/{id}"
    return known if _is_unique(id) else f"{known}/{digest(_beginning(conversation))}"


def _is_unique(id: str) -> bool:
    found = _UNIQUE.search(id)
    return found is not None and len(set(found[0].lower())) >= _MIN_CHARACTERS


def _beginning(conversation: ReadConversation) -> list[object]:
    """Return creation time and first user message of a chat; many chats have the same system message."""
    messages = conversation["messages"]
    first = next((message for message in messages if message["role"] == "user"), None)
    return [conversation.created_at, first and first["content"]]
