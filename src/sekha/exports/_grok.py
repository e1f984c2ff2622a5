"""Conversations of Grok (``prod-grok-backend.json``): a list of responses, each with the ID of the previous one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import (
    BRANCHES,
    EMPTY,
    ERRORS,
    THINKING,
    TOOLS,
    ConversationBuilder,
    ReadConversation,
    Unreadable,
    role_of,
)
from sekha.exports._claude_documents import split_tags
from sekha.exports._documents import Piece, Reply, add_with_documents
from sekha.exports._file_words import IMAGE, read_files
from sekha.exports._times import as_seconds
from sekha.exports._tree import ROOT, Link, latest_branch

_CARD = re.compile(
    r"(?<!`)<grok:render\b(?P<attributes>[^<>]{0,500})(?:/>|>(?:(?!<grok:render\b).)*?</grok:render>)", re.DOTALL
)
"""Placeholders in an answer for citations, images and other elements."""
_CARD_KIND = re.compile(r"""\btype\s*=\s*["']([^"']*)["']""")
_FILE_KEYS = ("image_attachments", "generated_image_urls")
_THOUGHTS = ("thinking_trace", "agent_thinking_traces")
_TOOL_KEYS = ("steps", "web_search_results")


def parse_grok(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Parse a conversation: the current branch, or else the branch with the latest message."""
    listed = as_list(data.get("responses"))
    if listed is None:
        raise Unreadable("'responses' is not a list")
    about = as_object(data.get("conversation")) or {}
    built = ConversationBuilder(about.get("title"), folder or "/grok")
    messages: list[dict[str, Any]] = []
    for item in listed:
        message = as_object(get(item, "response") if "response" in (as_object(item) or ()) else item)
        if message is None or not message.keys() & {"message", "sender"}:
            built.not_understood(item if message is None else message)
        else:
            messages.append(message)
    branch = latest_branch(_links(messages), about.get("leaf_response_id"))
    built.leave_out(BRANCHES, branch.others)
    add_with_documents(_replies((messages[number] for number in branch.numbers), built), built)
    return built.finish(
        source_id=_id_of(about, "id", "conversation_id"),
        created_at=as_seconds(about.get("create_time")),
        updated_at=as_seconds(about.get("modify_time")),
    )


def _links(messages: Sequence[dict[str, Any]]) -> list[Link]:
    parents = [_id_of(message, "parent_response_id") for message in messages]
    is_tree = all(parent or _role_of(message) == "user" for message, parent in zip(messages, parents))
    begins = ROOT if is_tree else None  # the position of answers without a parent is unknown
    ids = [_id_of(message, "_id", "response_id") for message in messages]
    times = [as_seconds(message.get("create_time")) for message in messages]
    return [Link(id, parent or begins, time) for id, parent, time in zip(ids, parents, times)]


def _id_of(data: dict[str, Any], *keys: str) -> str | None:
    ids = (id for key in keys for id in (data.get(key), get(data, key, "$oid")))
    return next((id for id in ids if isinstance(id, str) and id), None)


def _role_of(message: dict[str, Any]) -> str | None:
    """Return the role of a message; some answers have the name of the model as the sender."""
    sender: object = message.get("sender")
    role = role_of(sender)
    if (
        role is None
        and isinstance(sender, str)
        and (sender.lower().startswith("grok") or sender == message.get("model"))
    ):
        return "assistant"
    return role


def _replies(messages: Iterable[dict[str, Any]], built: ConversationBuilder) -> Iterator[Reply]:
    for message in messages:
        role = _role_of(message)
        time = as_seconds(message.get("create_time"))
        if_blank = ERRORS if message.get("error") else EMPTY
        yield Reply(role or message.get("sender"), _pieces(message, role, built), time, if_blank)


def _pieces(message: dict[str, Any], role: str | None, built: ConversationBuilder) -> Iterator[Piece]:
    """Yield the texts of a message, and count omitted items."""
    text: object = message.get("message")
    if text is not None and not isinstance(text, str):
        built.not_understood("a message that is no text")
    text = text if isinstance(text, str) else ""
    if role != "user":
        built.leave_out(THINKING, any(message.get(key) for key in _THOUGHTS))
        built.leave_out(TOOLS, any(message.get(key) for key in _TOOL_KEYS))
        yield from _split(text, built)
    elif not text.strip() and isinstance(query := message.get("query"), str):
        yield query
    else:
        yield text
    for key in _FILE_KEYS:
        yield from [IMAGE for _ in read_files(message.get(key), key, built)]
    yield from read_files(message.get("file_attachments"), "file_attachments", built)


def _split(text: str, built: ConversationBuilder) -> list[Piece]:
    """Return an answer as text and documents."""

    def shown(card: re.Match[str]) -> str:
        found = _CARD_KIND.search(card["attributes"])
        kind = found[1] if found else ""
        if "image" in kind:
            return IMAGE
        if "citation" not in kind:
            built.not_understood(f"card {kind}")
        return ""

    pieces, thoughts = split_tags(_CARD.sub(shown, text) if "<grok:render" in text else text)
    built.leave_out(THINKING, thoughts)
    return pieces
