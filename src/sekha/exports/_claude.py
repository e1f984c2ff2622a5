"""Conversations of Claude: a list of messages."""

from __future__ import annotations

from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import ConversationBuilder, ReadConversation, Unreadable, role_of


def parse_claude(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Return a conversation as it is stored."""
    listed = as_list(data.get("chat_messages"))
    if listed is None:
        raise Unreadable("chat_messages is no list")
    built = ConversationBuilder(data.get("name"), folder or "/claude")
    for number, message in enumerate(listed):
        if as_object(message) is None:
            raise Unreadable(f"chat_messages[{number}] is no JSON object")
        parts = [get(part, "text") for part in as_list(get(message, "content")) or () if get(part, "type") == "text"]
        texts = [text for text in parts if isinstance(text, str)]
        if as_list(get(message, "content")) is None:  # otherwise it says that something is not supported
            texts = [str(get(message, "text") or "")]
        for attachment in as_list(get(message, "attachments")) or ():
            texts.append(
                f"[{get(attachment, 'file_name') or 'attachment'}]\n{get(attachment, 'extracted_content') or ''}"
            )
        texts += [f"[{get(file, 'file_name') or 'file'}]" for file in as_list(get(message, "files")) or ()]
        built.add(role_of(get(message, "sender")), texts, get(message, "created_at"))
    return built.finish(
        source_id=data.get("uuid"), created_at=data.get("created_at"), updated_at=data.get("updated_at")
    )
