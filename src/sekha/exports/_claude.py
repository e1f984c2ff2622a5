"""Conversations of Claude: a list of messages."""

from __future__ import annotations

from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import ROLES, Unreadable, append_message, make_conversation
from sekha.types import CreateConversationRequest


def parse_claude(data: dict[str, Any], folder: str | None) -> CreateConversationRequest:
    """Return a conversation as it is stored."""
    listed = as_list(data["chat_messages"])
    if listed is None:
        raise Unreadable("chat_messages is no list")
    messages: list[dict[str, Any]] = []
    for number, message in enumerate(listed):
        if as_object(message) is None:
            raise Unreadable(f"chat_messages[{number}] is no JSON object")
        role = ROLES.get(str(get(message, "sender")))
        parts = [get(part, "text") for part in as_list(get(message, "content")) or () if get(part, "type") == "text"]
        texts = [text for text in parts if isinstance(text, str)]
        if as_list(get(message, "content")) is None:  # otherwise it says that something is not supported
            texts = [str(get(message, "text") or "")]
        for attachment in as_list(get(message, "attachments")) or ():
            texts.append(
                f"[{get(attachment, 'file_name') or 'attachment'}]\n{get(attachment, 'extracted_content') or ''}"
            )
        texts += [f"[{get(file, 'file_name') or 'file'}]" for file in as_list(get(message, "files")) or ()]
        append_message(messages, role, texts, get(message, "created_at"))
    return make_conversation(data.get("name"), folder or "/claude", messages)
