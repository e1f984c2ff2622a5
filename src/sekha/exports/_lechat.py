"""Chats of Le Chat (Mistral): a file is one chat, an unordered list of messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from sekha._utils.json_access import as_list, as_object, first_text, get
from sekha.exports._building import BRANCHES, THINKING, TOOLS, ConversationBuilder, ReadConversation
from sekha.exports._conversations import read_each
from sekha.exports._documents import UNTITLED, titled
from sekha.exports._file_words import name_in_brackets
from sekha.exports._times import as_seconds, period_of
from sekha.exports._tree import Link, latest_branch

REFERENCES = "references"
_LEFT_OUT: Mapping[object, str] = {
    "tool_call": TOOLS, "reference": REFERENCES, "custom_element": "custom elements",
    "thinking": THINKING, "reasoning": THINKING,
}  # fmt: skip
"""Types of message parts that are not text."""


def parse_lechat(messages: Iterable[object], folder: str | None) -> Iterator[ReadConversation]:
    """Return the chats of messages, usually one."""
    chats: dict[str, list[object]] = {}
    strays: list[object] = []
    for message in messages:
        id: object = get(message, "chatId")
        if isinstance(id, str) and id:
            chats.setdefault(id, []).append(message)
        else:
            strays.append(message)
    chats = chats or {"": []}
    next(iter(chats.values())).extend(strays)
    return read_each(partial(_parse_chat, id, chat, folder) for id, chat in chats.items())


def _parse_chat(id: str, listed: Sequence[object], folder: str | None) -> ReadConversation:
    built = ConversationBuilder(None, folder or "/le-chat")
    messages = _latest_versions(listed, built)
    times = [as_seconds(message.get("createdAt")) for message in messages]
    branch = latest_branch([Link(first_text(message, "id"), None, time) for message, time in zip(messages, times)])
    built.leave_out(BRANCHES, branch.others)
    ordered = [messages[number] for number in branch.numbers]
    last_seen = {_document_id(item): number for number, one in enumerate(ordered) for item in _canvas(one)}
    for number, message in enumerate(ordered):
        shown = {id for id, at in last_seen.items() if at == number}
        texts = chain(_words(message, built), _documents(message, shown, built))
        built.add(message.get("role"), texts, as_seconds(message.get("createdAt")))
    built.take_title_from_words()
    first, last = period_of(times)
    return built.finish(source_id=id, created_at=first, updated_at=last)


def _latest_versions(listed: Sequence[object], built: ConversationBuilder) -> list[dict[str, Any]]:
    """Return the messages, each in its latest version, in the order of the file."""
    found: dict[object, dict[str, Any]] = {}
    for number, one in enumerate(listed):
        message = as_object(one)
        if message is None:
            built.not_understood(one)
            continue
        key = first_text(message, "id") or number
        if key in found:
            built.leave_out(BRANCHES)
        if key not in found or _version_of(message) >= _version_of(found[key]):
            found[key] = message
    return list(found.values())


def _version_of(message: Mapping[str, Any]) -> float:
    version = message.get("version")
    return version if isinstance(version, (int, float)) else 0


def _words(message: Mapping[str, Any], built: ConversationBuilder) -> Iterator[str]:
    """Yield the texts of a message, and the names of its files."""
    content = message.get("content")
    chunks = message.get("contentChunks") or (None if isinstance(content, str) else content)
    text = _join(built.items_of(chunks, "contentChunks"), bool(_canvas(message)), built)
    if not text.strip() and isinstance(content, str):
        text = content
    files = built.items_of(message.get("files"), "files")
    built.leave_out("quotes", len(built.items_of(message.get("quotes"), "quotes")))
    built.items_of(message.get("canvas"), "canvas")
    yield text
    yield from [name_in_brackets(file, get(file, "type")) for file in files]


def _join(chunks: Sequence[object], has_canvas: bool, built: ConversationBuilder) -> str:
    text, is_behind_gap = "", False
    for chunk in chunks:
        kind = get(chunk, "type")
        left_out = _LEFT_OUT.get(kind) if isinstance(kind, str) else None
        words: object = get(chunk, "text")
        if left_out is not None:
            built.leave_out(left_out)
            is_behind_gap = is_behind_gap or left_out != REFERENCES
        elif kind == "image_url" or kind == "file_reference":
            name: object = get(chunk, "fileReference") or get(chunk, "fileAlt") or "image"
            text, is_behind_gap = _on_new_line(text) + f"[{name}]", True
        elif kind == "canva" and has_canvas:
            is_behind_gap = True  # the document is included below
        elif isinstance(words, str):
            text, is_behind_gap = (_on_new_line(text) if is_behind_gap else text) + words, False
        else:
            built.not_understood(f"part of a message: {kind}" if isinstance(kind, str) else "part of a message")
    return text


def _on_new_line(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _canvas(message: Mapping[str, Any]) -> list[Any]:
    return as_list(message.get("canvas")) or []


def _document_id(item: object) -> str:
    return first_text(item, "id", "title", "content") or ""


def _documents(message: Mapping[str, Any], last: Collection[str], built: ConversationBuilder) -> Iterator[str]:
    """Yield the documents of a message: the full text for these IDs, otherwise the title."""
    for item in _canvas(message):
        title, content = get(item, "title"), get(item, "content")
        title = title if isinstance(title, str) and title else UNTITLED
        if isinstance(content, str):
            yield titled(title, content if _document_id(item) in last else "")
        else:
            built.not_understood("canvas")
