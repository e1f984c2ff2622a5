"""Conversations of ChatGPT: a tree of messages, which grows a branch with each edit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import (
    HIDDEN,
    SYSTEM,
    THINKING,
    TOOLS,
    ConversationBuilder,
    ReadConversation,
    Unreadable,
    role_of,
)

_MARKS = re.compile("\ue200[^\ue201]*\ue201")
"""Where ChatGPT shows a source of the web."""
_PARTS: Mapping[str, str] = {
    "image_asset_pointer": "[image]",
    "audio_asset_pointer": "[audio]",
    "video_container_asset_pointer": "[video]",
    "real_time_user_audio_video_asset_pointer": "[audio]",
}


def parse_chatgpt(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Return a conversation as it is stored."""
    nodes = as_object(data.get("mapping"))
    if nodes is None:
        raise Unreadable("mapping is no JSON object")
    built = ConversationBuilder(data.get("title"), folder or "/chatgpt")
    for node in _current_branch(nodes, data.get("current_node")):
        message = get(node, "message")
        if message is not None:
            _read_message(message, built)
    return built.finish(
        source_id=data.get("conversation_id") or data.get("id"),
        created_at=data.get("create_time"),
        updated_at=data.get("update_time"),
    )


def _read_message(message: object, built: ConversationBuilder) -> None:
    role, content = role_of(get(message, "author", "role")), get(message, "content")
    if get(message, "metadata", "is_visually_hidden_from_conversation"):
        built.leave_out(HIDDEN)
    elif role == "system":
        built.leave_out(SYSTEM)
    elif role == "tool" or (get(message, "recipient") or "all") != "all":
        built.leave_out(TOOLS)
    elif get(content, "content_type") in ("thoughts", "reasoning_recap"):
        built.leave_out(THINKING)
    elif get(content, "content_type") == "user_editable_context":
        built.leave_out(HIDDEN)
    elif role is None:
        built.not_understood(message)
    else:
        parts = as_list(get(content, "parts"))
        texts = [_part_text(part) for part in parts] if parts is not None else [get(content, "text") or ""]
        texts += [f"[{get(one, 'name') or 'file'}]" for one in as_list(get(message, "metadata", "attachments")) or ()]
        cleaned = [text for text in (_MARKS.sub("", str(text)) for text in texts) if text.strip()]
        shown = [text for text in cleaned if text != "[audio]" or len(cleaned) == 1]
        built.add(role, shown, get(message, "create_time"))


def _current_branch(nodes: Mapping[str, Any], last: object) -> list[object]:
    """From the root to the message that was texts last; where that is not said, along the latest edits."""
    if not isinstance(last, str) or last not in nodes:
        last = next((id for id, node in nodes.items() if _as_id(get(node, "parent")) not in nodes), None)
        visited: set[object] = set()
        while last not in visited:
            visited.add(last)
            last = next(
                (id for id in reversed(as_list(get(nodes.get(str(last)), "children")) or []) if _as_id(id) in nodes),
                last,
            )
    found: list[object] = []
    visited = set()
    while isinstance(last, str) and last in nodes and last not in visited:
        visited.add(last)
        found.append(nodes[last])
        last = get(nodes[last], "parent")
    return found[::-1]


def _as_id(id: object) -> str:
    return id if isinstance(id, str) else ""


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    kind, text = get(part, "content_type"), get(part, "text")
    if isinstance(text, str):
        return text
    return _PARTS.get(str(kind), f"[{kind or 'something'}]")
