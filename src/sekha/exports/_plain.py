"""The plain form: what `create_conversation` takes, and what `sekha export` writes."""

from __future__ import annotations

from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import ReadConversation, Unreadable, format_time


def parse_plain(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Return a conversation as it is stored."""
    data = {**data, **(as_object(data.get("conversation")) or {})}
    messages = as_list(data.get("messages"))
    if messages is None:
        raise Unreadable("messages is no list")
    for number, message in enumerate(messages):
        if not isinstance(get(message, "role"), str) or get(message, "content") is None:
            raise Unreadable(f"messages[{number}] has no role or no content")
    known = {key: data[key] for key in ("label", "folder", "importance_score") if data.get(key) is not None}
    if folder is not None:
        known["folder"] = folder
    found = ReadConversation({**known, "messages": messages})
    found.left_out = {}
    found.created_at, found.updated_at = format_time(data.get("created_at")), format_time(data.get("updated_at"))
    return found
