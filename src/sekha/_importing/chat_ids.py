"""The ids by which an import knows chats: of two chats with one id, the later would take the place of the earlier."""

from __future__ import annotations

import re

from sekha._importing.digests import digest
from sekha.exports._building import ReadConversation

_UNIQUE = re.compile(
    r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|[0-9a-f]{24,}|(?<!\d)[1-9]\d{12,}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
    re.IGNORECASE,
)
"""What an id has that no other chat has: a UUID, another long number, or a time."""
_MIN_CHARACTERS = 6
"""How many different ones it has at least; a counter with many zeros has fewer."""


def chat_id(conversation: ReadConversation, id: str) -> str:
    """Return an id that no other chat has: one that may be a counter holds together with how the chat begins.

    Args:
        conversation: The chat.
        id: What its application calls it.
    """
    known = f"{conversation.application}/{id}"
    return known if _is_unique(id) else f"{known}/{digest(_beginning(conversation))}"


def _is_unique(id: str) -> bool:
    found = _UNIQUE.search(id)
    return found is not None and len(set(found[0].lower())) >= _MIN_CHARACTERS


def _beginning(conversation: ReadConversation) -> list[object]:
    """Return when a chat was begun, and what the user said first; many have the same message of the system."""
    messages = conversation["messages"]
    first = next((message for message in messages if message["role"] == "user"), None)
    return [conversation.created_at, first and first["content"]]
