"""Messages in common formats: OpenAI API, ShareGPT, LangChain, and similar ones."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import HIDDEN, THINKING, TOOLS, ConversationBuilder, role_of, stored_role
from sekha.exports._content import content_of, is_as_stored, read_content
from sekha.exports._times import as_seconds, format_time

_CONTENTS = ("content", "value", "text", "message", "parts")
"""Keys of the content of a message."""
_SPEAKERS = ("role", "from", "sender", "author", "speaker")
_LANGCHAIN = frozenset({"human", "ai", "system", "tool", "function", "chat", "remove"})
"""LangChain's types of messages; classes are called ``HumanMessage`` and ``AIMessageChunk``."""
_CALLS = frozenset({"function_call", "tool_call", "tool_use"})
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
_CALL_KEYS = ("tool_calls", "function_call", "functionCall", "toolInvocations")
_CREATED = ("timestamp", "created_at", "createdAt", "create_time", "inserted_at", "time", "date", "created")
_UPDATED = ("updated_at", "updatedAt", "update_time", "last_updated", "modified")
_OWN_KEYS = frozenset({*_CALL_KEYS, *_THOUGHTS, "role", "content", "timestamp", "refusal", "audio"})

_DAY = re.compile(r"\d{4}-\d\d-\d\d")  # has no time of day


class _Message(NamedTuple):
    """A message as its application has it.

    Attributes:
        speaker: The role, as the application names it; None if it has none.
        body: The object with the content.
    """

    speaker: object
    body: dict[str, Any]


def is_message(data: object) -> bool:
    """Return whether an object is a message of a chat."""
    found = as_object(data)
    if found is None:
        return False
    speaker, body = _open(found)
    if not isinstance(speaker, str) or not any(key in body for key in (*_CONTENTS, *_CALL_KEYS)):
        return False
    return body is not found or "role" in found or "value" in found or stored_role(speaker) is not None


def add_message(data: object, built: ConversationBuilder, *, keep: bool = False) -> None:
    """Add a message to a conversation, or count it as omitted.

    Args:
        data: The message.
        built: The conversation.
        keep: Whether to keep additional keys of the message.
    """
    found = as_object(data)
    if found is None:
        built.not_understood(None)
        return
    speaker, body = _open(found)
    if speaker is None and isinstance(kind := found.get("type"), str):  # an item of OpenAI's Responses API
        if kind == "reasoning":
            built.leave_out(THINKING)
            return
        speaker = "function_call" if kind.endswith(("_call", "_output", "_result")) else None
    before = built.counted
    if isinstance(speaker, str) and speaker.lower() in _CALLS:
        built.leave_out(TOOLS)
        return
    if speaker == "remove":
        built.leave_out(HIDDEN)
        return
    role = stored_role(speaker)
    if role is None:
        built.not_understood(f"role {speaker}" if isinstance(speaker, str) else found)
        return
    kwargs = as_object(body.get("additional_kwargs")) or {}
    if any(body.get(key) or kwargs.get(key) for key in _CALL_KEYS):
        built.leave_out(TOOLS)
    if any(isinstance(body.get(key), (str, list)) and body[key] for key in _THOUGHTS):
        built.leave_out(THINKING)
    content = _content_of(body)
    pieces = read_content(content, built)
    texts = [piece if isinstance(piece, str) else str(get(piece, "image_url", "url")) for piece in pieces]
    is_counted = built.counted > before
    if not any(key in body for key in _CONTENTS):
        if not is_counted:
            built.not_understood(found)
        return
    if is_counted and not any(map(str.strip, texts)):
        return
    more = {key: value for key, value in body.items() if key not in _OWN_KEYS} if keep else {}
    if as_list(content) is not None and is_as_stored(content):
        more["content"] = content
    elif not isinstance(shown := content_of(pieces), str):
        more["content"] = shown
    built.add(role, texts, time_of(body) or time_of(found), more=more)


def time_of(data: dict[str, Any]) -> object:
    """Return the timestamp, or creation time, of an object; None if it has none."""
    return _time(data, _CREATED)


def updated_at(data: dict[str, Any]) -> object:
    """Return the update time of a conversation; None if it has none."""
    return _time(data, _UPDATED)


def title_of(data: dict[str, Any]) -> str | None:
    """Return the title of a conversation; None if it has none."""
    titles = (data.get(key) for key in ("label", "title", "name"))
    return next((title for title in titles if isinstance(title, str) and title.strip()), None)


def _time(data: dict[str, Any], keys: Collection[str]) -> object:
    for key in keys:
        time: object = data.get(key)
        if time is None:
            continue  # most objects have few of these keys
        if isinstance(time, str) and format_time(time):
            return time
        seconds = None if isinstance(time, str) and _DAY.fullmatch(time.strip()) else as_seconds(time)
        if seconds is not None:
            return seconds
    return None


def _open(data: dict[str, Any]) -> _Message:
    """Return the role, and the object with the content."""
    kind: object = data.get("type")
    kwargs = as_object(data.get("kwargs"))
    if kwargs is not None and "lc" in data:  # the serialized format of LangChain, with the class name
        path = as_list(data.get("id"))
        return _Message(_langchain_role(kwargs.get("type") or (path[-1] if path else None), kwargs), kwargs)
    inner = as_object(data.get("data"))
    if inner is not None and isinstance(kind, str) and "role" not in data:
        return _Message(_langchain_role(kind, inner), inner)
    for key in _SPEAKERS:
        speaker: object = data.get(key)
        speaker = get(speaker, "role") or get(speaker, "name") or speaker
        if isinstance(speaker, str):
            return _Message(speaker, data)
    name = _langchain_role(kind, data)
    is_role = name in _LANGCHAIN if "additional_kwargs" in data else role_of(name) in ("user", "assistant", "system")
    return _Message(name if is_role else None, data)


def _langchain_role(kind: object, body: dict[str, Any]) -> str | None:
    if not isinstance(kind, str):
        return None
    name = kind[: -len("Chunk")] if kind.endswith("Chunk") else kind
    name = name[: -len("Message")] if name.endswith("Message") else name
    name = name.lower()
    role: object = body.get("role")
    return role if name == "chat" and isinstance(role, str) else name


def _content_of(body: dict[str, Any]) -> object:
    contents = [body[key] for key in _CONTENTS if body.get(key) is not None]
    return next((content for content in contents if content not in ("", [], {})), next(iter(contents), None))
