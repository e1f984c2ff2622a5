"""JSON lines with arguments of `create_conversation`, as `sekha export` writes them; also OpenAI training data."""

from __future__ import annotations

from typing import Any

from sekha._utils.json_access import as_list, as_object
from sekha.exports._building import ConversationBuilder, ReadConversation, Unreadable
from sekha.exports._message_forms import add_message, time_of, title_of, updated_at


def parse_plain(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Parse a conversation."""
    data = {**data, **(as_object(data.get("conversation")) or {})}
    messages = as_list(data.get("messages"))
    if messages is None:
        raise Unreadable("'messages' is not a list")
    built = ConversationBuilder(title_of(data), None)
    for message in messages:
        add_message(message, built, keep=True)
    found = built.finish(created_at=time_of(data), updated_at=updated_at(data))
    known = {key: data[key] for key in ("label", "folder", "importance_score") if data.get(key) not in (None, "")}
    found.update({**known, "folder": folder} if folder is not None else known)
    return found
