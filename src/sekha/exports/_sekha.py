"""Conversations of a Sekha memory with all fields, as `sekha export --format full` writes them."""

from __future__ import annotations

from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import ConversationBuilder, ReadConversation, Unreadable
from sekha.type_guards import extract_image_urls, extract_text, is_multi_modal_content, is_string_content, is_valid_role

_MIN_IMPORTANCE, _MAX_IMPORTANCE = 1, 10


def is_sekha(data: dict[str, Any]) -> bool:
    """Return whether an object is a conversation of a memory, with its ID."""
    about = as_object(data.get("conversation")) or {}
    return isinstance(about.get("id"), str) and "status" in about and "messages" in data


def parse_sekha(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Return a conversation of a memory; its `memory_id` prevents duplicates in the same memory."""
    about, messages = as_object(data.get("conversation")) or {}, as_list(data.get("messages"))
    if messages is None:
        raise Unreadable("'messages' is not a list")
    built = ConversationBuilder(about.get("label"), None)
    for message in messages:
        _add(message, built)
    found = built.finish(
        source_id=about.get("id"), created_at=about.get("created_at"), updated_at=about.get("updated_at")
    )
    found.is_built = False  # contents are unchanged, and not validated yet
    found.memory_id, found.is_archived = found.source_id, about.get("status") == "archived"
    target = about.get("folder") if folder is None else folder
    if isinstance(target, str) and target:
        found["folder"] = target
    importance = about.get("importance_score")
    if isinstance(importance, (int, float)) and _MIN_IMPORTANCE <= importance <= _MAX_IMPORTANCE:
        found["importance_score"] = round(importance)
    return found


def _add(message: object, built: ConversationBuilder) -> None:
    """Add a message unchanged, but without the IDs of its memory."""
    role, content = get(message, "role"), get(message, "content")
    if not is_valid_role(role) or not (is_string_content(content) or (content and is_multi_modal_content(content))):
        built.not_understood(message)
        return
    is_plain = is_string_content(content) and content == content.strip("\n")
    texts = [extract_text(content), *extract_image_urls(content)]
    more: dict[str, Any] = {} if is_plain else {"content": content}
    metadata = as_object(get(message, "metadata"))
    if metadata:
        more["metadata"] = metadata
    built.add(role, texts, get(message, "timestamp"), more=more)
