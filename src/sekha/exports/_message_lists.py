"""Conversations that are lists of messages: plain lists, and objects with such a list, as in datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from sekha._utils.json_access import as_list, first_text
from sekha.exports._building import ConversationBuilder, ReadConversation, Unreadable
from sekha.exports._conversations import read_each
from sekha.exports._message_forms import add_message, is_message, time_of, title_of, updated_at

OTHER_ANSWERS = "other answers"
_LISTS = (
    "conversations",
    "conversation",
    "items",
    "dialog",
    "dialogue",
    "turns",
    "history",
    "chat_history",
    "contents",
)
_CHATS = ("conversation_id", "conversationId", "session_id", "sessionId", "thread_id", "threadId", "chat_id", "chatId")
"""Keys of messages with the ID of their conversation."""
_MAX_LOOK = 3


def is_chat(data: dict[str, Any]) -> bool:
    """Return whether an object has a list of messages."""
    return _list_of(data) is not None


def parse_chat(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Parse a conversation."""
    messages = _list_of(data)
    if messages is None:
        raise Unreadable("no list of messages")
    built = ConversationBuilder(title_of(data), folder)
    system: object = data.get("system") or data.get("system_prompt")
    if isinstance(system, str):
        built.add("system", [system])
    elif system is not None:
        built.not_understood("system that is no text")
    for message in messages:
        add_message(message, built)
    built.leave_out(OTHER_ANSWERS, sum(bool(data.get(key)) for key in ("chosen", "rejected")))
    return built.finish(created_at=time_of(data), updated_at=updated_at(data))


def parse_messages(records: Iterable[Any], folder: str | None) -> Iterator[ReadConversation]:
    """Return the conversation of a list of messages; several, if the messages have conversation IDs."""
    chats: dict[str | None, list[Any]] = {}
    for record in records:
        chats.setdefault(_chat_of(record), []).append(record)
    unknown = chats.pop(None, [])
    if not chats or not any(map(is_message, unknown)):  # other values are counted in the first conversation
        first = next(iter(chats), None)
        chats[first] = [*chats.get(first, ()), *unknown]
        unknown = []
    if unknown:
        chats[None] = unknown
    return read_each(partial(_conversation, messages, folder) for messages in chats.values())


def _conversation(messages: list[Any], folder: str | None) -> ReadConversation:
    built = ConversationBuilder(None, folder)
    for message in messages:
        add_message(message, built)
    return built.finish()  # without an ID: the next file of a log may contain the rest of the same chat


def _chat_of(record: object) -> str | None:
    return first_text(record, *_CHATS)


def _list_of(data: dict[str, Any]) -> list[Any] | None:
    for key in _LISTS:
        listed = as_list(data.get(key))
        if listed and any(map(is_message, listed[:_MAX_LOOK])):
            return listed
    return None
