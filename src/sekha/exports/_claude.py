"""Conversations of Claude: a list of messages; in newer exports, a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sekha._utils.json_access import as_list, as_object, first_text
from sekha.exports._building import BRANCHES, ConversationBuilder, ReadConversation, Unreadable, role_of
from sekha.exports._claude_blocks import read_blocks
from sekha.exports._claude_documents import presented_files
from sekha.exports._documents import Reply, add_with_documents
from sekha.exports._times import as_seconds
from sekha.exports._tree import ROOT, Link, latest_branch

_ROOT_ID = "00000000-0000-4000-8000-000000000000"


def parse_claude(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Parse a conversation; of a tree, the branch with the latest message."""
    listed = as_list(data.get("chat_messages"))
    if listed is None:
        raise Unreadable("'chat_messages' is not a list")
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
    parent = first_text(message, "parent_message_uuid")
    if "parent_message_uuid" in message and parent in (None, _ROOT_ID):
        parent = ROOT
    return Link(first_text(message, "uuid"), parent, as_seconds(message.get("created_at")))


def _add_messages(messages: Sequence[dict[str, Any]], built: ConversationBuilder) -> None:
    presented = presented_files(block for message in messages for block in as_list(message.get("content")) or ())
    replies: list[Reply] = []
    for message in messages:
        names = (message.get("sender"), message.get("role"))
        role = next(filter(None, map(role_of, names)), None)
        pieces = read_blocks(message, role != "user", presented, built)
        replies.append(Reply(role or names[0] or names[1], pieces, message.get("created_at")))
    add_with_documents(replies, built)
