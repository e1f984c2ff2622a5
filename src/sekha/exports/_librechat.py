"""Conversations of LibreChat: messages with the ID of the previous one, in a list or nested."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sekha._utils.json_access import as_list, as_object, first_text, get
from sekha.exports._building import (
    BRANCHES,
    ERRORS,
    ConversationBuilder,
    ReadConversation,
    Unreadable,
    role_of,
)
from sekha.exports._chatgpt_marks import remove_citations
from sekha.exports._content import read_parts
from sekha.exports._documents import UNTITLED, titled
from sekha.exports._file_words import read_files
from sekha.exports._thoughts import without_thoughts
from sekha.exports._times import as_seconds, period_of
from sekha.exports._tree import ROOT, Link, latest_branch

_ROOT_ID = "00000000-0000-0000-0000-000000000000"
_MARKERS = ("recursive", "exportAt", "branches")
_ARTIFACT = re.compile(r"^:::artifact\{(?P<about>[^\n]*)\}[ \t]*\n(?P<content>.*?)(?:^:::[ \t]*$|\Z)", re.DOTALL | re.M)
_TITLE = re.compile(r"""\btitle\s*=\s*["']([^"']+)["']""")


def is_librechat(data: dict[str, Any]) -> bool:
    """Return whether an object is an export of LibreChat, which has one conversation."""
    if "conversationId" not in data or not data.keys() & {"messages", "messagesTree"}:
        return False
    first = next(iter(as_list(data.get("messages")) or ()), None)
    return "messagesTree" in data or any(key in data for key in _MARKERS) or get(first, "isCreatedByUser") is not None


def parse_librechat(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Parse a conversation: the branch with the latest message."""
    listed = as_list(_messages_of(data))
    if listed is None:
        raise Unreadable("'messages' is not a list")
    built = ConversationBuilder(data.get("title"), folder or "/librechat")
    links: list[Link] = []
    messages: list[dict[str, Any]] = []
    for link, message in _flatten(listed, built):
        links.append(link)
        messages.append(message)
    branch = latest_branch(links)
    built.leave_out(BRANCHES, branch.others)
    for number in branch.numbers:
        _add_message(messages[number], built)
    first, last = period_of(links[number].time for number in branch.numbers)
    return built.finish(source_id=data.get("conversationId"), created_at=first, updated_at=last)


def _messages_of(data: dict[str, Any]) -> object:
    given = [data[key] for key in ("messagesTree", "messages") if data.get(key) is not None]
    found: object = next((one for one in given if one), next(iter(given), None))
    root = as_object(found)
    if root is None:
        return found
    return [root] if "messageId" in root else root.get("children")


def _flatten(listed: list[Any], built: ConversationBuilder) -> Iterator[tuple[Link, dict[str, Any]]]:
    """Yield all messages, each before its nested messages."""
    waiting: list[tuple[object, str | None]] = [(message, None) for message in reversed(listed)]
    number = 0
    while waiting:
        item, above = waiting.pop()
        message = as_object(item)
        if not message:
            built.not_understood(item)
            continue
        number += 1
        below = built.items_of(message.get("children"), "children")
        id = first_text(message, "messageId") or (f"message {number}" if below else None)
        waiting += [(child, id) for child in reversed(below)]
        yield Link(id, above or _parent_of(message), as_seconds(message.get("createdAt"))), message


def _parent_of(message: dict[str, Any]) -> str | None:
    parent: object = message.get("parentMessageId")
    if isinstance(parent, str):
        return ROOT if parent == _ROOT_ID else parent
    return ROOT if "parentMessageId" in message else None


def _add_message(message: dict[str, Any], built: ConversationBuilder) -> None:
    role = _role_of(message)
    if role is None:
        built.not_understood(f"sender {message['sender']}" if "sender" in message else message)
        return
    if message.get("error") is True:
        built.leave_out(ERRORS)
        return
    before = built.counted
    content: object = message.get("content")
    parts = as_list(content)  # parts out of order leave empty positions
    texts = read_parts(content if parts is None else [part for part in parts if part is not None], built)
    if not any(map(str.strip, texts)):
        texts += read_parts(message.get("text"), built)
    if role == "assistant":
        texts = [_ARTIFACT.sub(_titled, remove_citations(without_thoughts(text, built))) for text in texts]
    for key in ("files", "attachments"):
        texts += read_files(message.get(key), key, built)
    if texts or built.counted == before:
        built.add(role, texts, as_seconds(message.get("createdAt")))


def _role_of(message: dict[str, Any]) -> str | None:
    is_user, sender = message.get("isCreatedByUser"), message.get("sender")
    if isinstance(is_user, bool):
        return "user" if is_user else "assistant"
    return role_of(sender) or ("assistant" if isinstance(sender, str) and message.get("model") else None)


def _titled(artifact: re.Match[str]) -> str:
    """Return a document in an answer, with its title."""
    title = _TITLE.search(artifact["about"])
    return titled(title[1] if title else UNTITLED, artifact["content"])
