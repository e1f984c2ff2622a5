"""Conversations of ChatGPT: a tree of messages, which grows a branch with each edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import ROLES, Unreadable, append_message, make_conversation
from sekha.types import CreateConversationRequest

_PARTS: Mapping[str, str] = {
    "image_asset_pointer": "[image]",
    "audio_asset_pointer": "[audio]",
    "video_container_asset_pointer": "[video]",
    "real_time_user_audio_video_asset_pointer": "[audio]",
}


def parse_chatgpt(data: dict[str, Any], folder: str | None) -> CreateConversationRequest:
    """Return a conversation as it is stored."""
    nodes = as_object(data["mapping"])
    if nodes is None:
        raise Unreadable("mapping is no JSON object")
    messages: list[dict[str, Any]] = []
    for node in _current_branch(nodes, data.get("current_node")):
        message = get(node, "message")
        recipient = get(message, "recipient") or "all"
        if get(message, "metadata", "is_visually_hidden_from_conversation") or recipient != "all":
            continue
        role = ROLES.get(str(get(message, "author", "role")))
        content = get(message, "content")
        if get(content, "content_type") in ("thoughts", "reasoning_recap", "user_editable_context"):
            continue
        parts = as_list(get(content, "parts"))
        texts = [_part_text(part) for part in parts] if parts is not None else [get(content, "text") or ""]
        texts += [f"[{get(one, 'name') or 'file'}]" for one in as_list(get(message, "metadata", "attachments")) or ()]
        append_message(messages, role, texts, get(message, "create_time"))
    return make_conversation(data.get("title"), folder or "/chatgpt", messages)


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
