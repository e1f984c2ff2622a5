"""Chats of Open WebUI: a tree of messages by ID, with the current one; in old versions, a list of messages.

Chats of Qwen have the same format, except for answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional, Tuple

from sekha._utils.json_access import as_list, as_object, as_text, first_text, get
from sekha.exports._building import (
    BRANCHES,
    EMPTY,
    ERRORS,
    SYSTEM,
    THINKING,
    TOOLS,
    ConversationBuilder,
    ReadConversation,
    Unreadable,
)
from sekha.exports._content import read_parts
from sekha.exports._file_words import IMAGE, read_files
from sekha.exports._thoughts import without_thoughts
from sekha.exports._times import as_seconds
from sekha.exports._tree import ROOT, Link, latest_branch

_Entry = Tuple[Optional[str], object]
"""The key of a message, if it has one, and the message."""


def is_open_webui(data: dict[str, Any]) -> bool:
    """Return whether an object is a chat of Open WebUI, with or without the record of the server around it."""
    chat = as_object(data.get("chat"))
    return _has_tree(data) or (chat is not None and (_has_tree(chat) or as_list(chat.get("messages")) is not None))


def _has_tree(chat: dict[str, Any]) -> bool:
    history = as_object(chat.get("history"))
    return history is not None and ("messages" in history or "currentId" in history)


def parse_open_webui(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Parse a conversation: the current branch."""
    chat = as_object(data.get("chat")) or data
    title = data.get("title") or chat.get("title")
    built = ConversationBuilder(title, folder)
    entries: list[tuple[str | None, dict[str, Any]]] = []
    for key, message in _entries(chat):
        found = as_object(message)
        if found:
            entries.append((key, found))
        else:
            built.not_understood(message)
    branch = latest_branch([_link(key, message) for key, message in entries], get(chat, "history", "currentId"))
    built.leave_out(BRANCHES, branch.others)
    prompts = (chat.get("system"), get(chat, "params", "system"))
    built.leave_out(SYSTEM, any(as_text(prompt).strip() for prompt in prompts))
    for number in branch.numbers:
        message = entries[number][1]
        role = built.speaker_of(message)
        if role is not None:
            if_blank = ERRORS if message.get("error") else EMPTY
            time = as_seconds(message.get("timestamp"))
            built.add(role, _texts(message, role, built), time, if_blank=if_blank)
    return built.finish(
        source_id=data.get("id") or chat.get("id"),
        created_at=as_seconds(data.get("created_at") or chat.get("timestamp")),
        updated_at=as_seconds(data.get("updated_at")),
    )


def _entries(chat: dict[str, Any]) -> list[_Entry]:
    listed = as_list(chat.get("messages"))
    history = as_object(chat.get("history"))
    found: object = get(history, "messages")
    tree = as_object(found)
    if tree or (tree is not None and not listed):
        return list(tree.items())
    given = as_list(found) or listed
    if given is None or (not given and ("history" in chat and as_list(found) is None and history != {})):
        raise Unreadable("'history' has no messages")
    return [(None, message) for message in given]


def _link(key: str | None, message: dict[str, Any]) -> Link:
    parent = first_text(message, "parentId") or (ROOT if "parentId" in message else None)
    return Link(key or first_text(message, "id"), parent, as_seconds(message.get("timestamp")))


def _texts(message: dict[str, Any], role: str, built: ConversationBuilder) -> Iterator[str]:
    """Yield the texts of a message, and count omitted items."""
    texts = read_parts(message.get("content"), built)
    if role == "assistant":
        texts = [without_thoughts(text, built) for text in texts]
        if not any(map(str.strip, texts)):
            texts = _output(message, built) or list(_phases(message, built))
        texts += read_parts(get(message, "merged", "content"), built)  # several answers, merged
    yield from texts
    yield from [IMAGE for _ in read_files(message.get("images"), "images", built)]
    yield from read_files(message.get("files"), "files", built)


def _output(message: dict[str, Any], built: ConversationBuilder) -> list[str]:
    """Return the text of an answer that has none elsewhere."""
    items = as_list(message.get("output")) or ()
    return [
        text for item in items if get(item, "type") == "message" for text in read_parts(get(item, "content"), built)
    ]


def _phases(message: dict[str, Any], built: ConversationBuilder) -> Iterator[str]:
    """Yield the texts of an answer of Qwen, without its reasoning and tool results."""
    phases = as_list(message.get("content_list"))
    if phases is None and message.get("content_list") is not None:
        built.not_understood("content_list that is no list")
    for item in phases or ():
        phase: object = get(item, "phase")
        if as_object(item) is None:
            built.not_understood("an item of content_list that is no JSON object")
        elif phase in (None, "", "answer"):
            yield from read_parts(get(item, "content"), built)
        else:
            built.leave_out(THINKING if str(phase).startswith("think") else TOOLS)
