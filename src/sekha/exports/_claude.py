"""Conversations of Claude: a list of messages, which newer exports make a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import BRANCHES, EMPTY, ConversationBuilder, ReadConversation, Unreadable, role_of
from sekha.exports._claude_blocks import read_blocks
from sekha.exports._claude_documents import Piece, presented_files, show_messages
from sekha.exports._times import as_seconds
from sekha.exports._tree import ROOT, Link, latest_branch

_ROOT_ID = "00000000-0000-4000-8000-000000000000"


def parse_claude(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Return a conversation as it is stored: of a tree, the branch with the latest message."""
    listed = as_list(data.get("chat_messages"))
    if listed is None:
        raise Unreadable("chat_messages is no list")
    built = ConversationBuilder(data.get("name"), folder or "/claude")
    messages = [message for message in map(as_object, listed) if message is not None]
    for message in listed:
        if as_object(message) is None:
            built.not_understood(message)
    branch = latest_branch([_link(message) for message in messages], data.get("current_leaf_message_uuid"))
    built.leave_out(BRANCHES, branch.others)
    _add_messages([messages[number] for number in branch.numbers], built)
    return built.finish(
        source_id=data.get("uuid"), created_at=data.get("created_at"), updated_at=data.get("updated_at")
    )


def _link(message: dict[str, Any]) -> Link:
    id, parent = message.get("uuid"), message.get("parent_message_uuid")
    if "parent_message_uuid" in message and (not isinstance(parent, str) or parent == _ROOT_ID):
        parent = ROOT
    return Link(id if isinstance(id, str) and id else None, parent, as_seconds(message.get("created_at")))


def _add_messages(messages: Sequence[dict[str, Any]], built: ConversationBuilder) -> None:
    presented = presented_files(block for message in messages for block in as_list(message.get("content")) or ())
    pieces: list[list[Piece]] = []
    was_left_out: list[bool] = []
    for message in messages:
        before = sum(built.left_out.values())
        pieces.append(read_blocks(message, _role_of(message) != "user", presented, built))
        was_left_out.append(sum(built.left_out.values()) > before)
    for number, (message, texts) in enumerate(zip(messages, show_messages(pieces))):
        if texts and _role_of(message) is None:
            built.not_understood(f"sender {message.get('sender', message.get('role'))}")
        elif texts:
            built.add(_role_of(message), texts, message.get("created_at"))
        elif not was_left_out[number]:
            built.leave_out(EMPTY)


def _role_of(message: dict[str, Any]) -> str | None:
    return role_of(get(message, "sender")) or role_of(get(message, "role"))
