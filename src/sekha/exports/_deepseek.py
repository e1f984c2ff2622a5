"""Conversations of DeepSeek: a tree like ChatGPT; messages have fragments; in older exports, a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sekha._utils.json_access import as_object, get
from sekha.exports._building import (
    BRANCHES,
    EMPTY,
    THINKING,
    TOOLS,
    ConversationBuilder,
    ReadConversation,
    Unreadable,
    role_of,
)
from sekha.exports._chatgpt_tree import find_parents
from sekha.exports._file_words import name_in_brackets
from sekha.exports._times import as_seconds
from sekha.exports._tree import ROOT, Link, latest_branch

_THOUGHTS = ("THINK", "THINKING", "REASONING")
_SPEAKERS = {"REQUEST": "user", "RESPONSE": "assistant"}
_TOOLS = ("SEARCH", "TOOL", "READ", "OPEN")
"""Prefixes of the names of tool fragments."""
_FILES = ("FILE", "IMAGE")
_OTHER = {"user": "assistant", "assistant": "user"}


def is_deepseek(data: dict[str, Any]) -> bool:
    """Return whether an object is a conversation of DeepSeek: unlike in ChatGPT, its messages have no author."""
    if "mapping" not in data:
        return False
    if "inserted_at" in data:
        return True
    nodes = as_object(data.get("mapping")) or {}
    messages = (as_object(get(node, "message")) for node in nodes.values())
    message = next(filter(None, messages), None)
    if message is None:
        return False
    is_bare = isinstance(message.get("content"), str) or "inserted_at" in message or "fragments" in message
    return is_bare and "author" not in message


def parse_deepseek(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Parse a conversation: the branch with the latest message."""
    mapping: object = data.get("mapping")
    if "mapping" not in data or (mapping is not None and as_object(mapping) is None):
        raise Unreadable("'mapping' is not a JSON object")
    built = ConversationBuilder(data.get("title"), folder or "/deepseek")
    nodes: dict[str, Any] = {}
    for id, node in (as_object(mapping) or {}).items():
        if as_object(node) is None or (node and "message" not in node):
            built.not_understood(as_object(node))
        else:
            nodes[id] = node
    parents, _ = find_parents(nodes)
    links = [Link(id, parents[id] or ROOT, _time_of(get(node, "message"))) for id, node in nodes.items()]
    branch = latest_branch(links, data.get("current_node"))
    messages = [get(node, "message") for node in nodes.values()]
    shown = [message for number in branch.numbers if (message := messages[number]) is not None]
    built.leave_out(BRANCHES, sum(message is not None for message in messages) - len(shown))
    speaker = "assistant"
    for message in shown:
        speaker = _add_message(message, _OTHER[speaker], built)
    return built.finish(
        source_id=data.get("id"),
        created_at=as_seconds(data.get("inserted_at")),
        updated_at=as_seconds(data.get("updated_at")),
    )


def _time_of(message: object) -> float | None:
    return as_seconds(get(message, "inserted_at"))


def _add_message(message: Any, turn: str, built: ConversationBuilder) -> str:
    """Add a message.

    Args:
        message: The message.
        turn: The expected role, since older exports have none.
        built: The builder.

    Returns:
        The role of the message.
    """
    if as_object(message) is None:
        built.not_understood(None)
        return turn
    before = built.counted
    role = role_of(message.get("role"))
    if role is None and message.get("role") is not None:
        built.not_understood(f"role {message['role']}")
        return turn
    texts: dict[str, list[str]] = {}
    for speaker, text in _pieces(message, role or turn, built):
        texts.setdefault(speaker, []).append(text)
    speaker = role or next(reversed(texts), turn)
    files = list(_files(message, built))
    if files:
        texts.setdefault(speaker, []).extend(files)
    for one, said in texts.items():
        built.add(one, said, _time_of(message))
    if not texts and built.counted == before:
        built.leave_out(EMPTY)
    return speaker if speaker in _OTHER else turn


def _pieces(message: dict[str, Any], role: str, built: ConversationBuilder) -> Iterator[tuple[str, str]]:
    """Yield role and text of each fragment."""
    fragments = built.items_of(message.get("fragments"), "fragments")
    for fragment in fragments:
        yield from _read_fragment(fragment, role, built)
    if not fragments:
        for key in ("reasoning_content", "thinking_content"):
            if message.get(key):
                built.leave_out(THINKING)
        content: object = message.get("content")
        if isinstance(content, str):
            yield role, content
        elif content is not None:
            built.not_understood("content that is no text")
        elif "fragments" not in message:
            built.not_understood(message)


def _read_fragment(fragment: object, role: str, built: ConversationBuilder) -> Iterator[tuple[str, str]]:
    kind, content = get(fragment, "type"), get(fragment, "content")
    name = kind.upper() if isinstance(kind, str) else ""
    if name in _THOUGHTS:
        built.leave_out(THINKING)
    elif name in _SPEAKERS and isinstance(content, str):
        yield _SPEAKERS[name], content
    elif name.startswith(_TOOLS):
        built.leave_out(TOOLS)
    elif name in _FILES:
        yield role, name_in_brackets(fragment)
    elif name in _SPEAKERS and content is None:
        built.leave_out(EMPTY)
    elif as_object(fragment) is None:
        built.not_understood("a fragment that is no JSON object")
    else:
        built.not_understood(f"fragment {kind}")


def _files(message: dict[str, Any], built: ConversationBuilder) -> Iterator[str]:
    """Yield the names of attachments, and their text if the export contains it."""
    for file in built.items_of(message.get("files"), "files"):
        yield name_in_brackets(file)
        text: object = get(file, "content")
        if isinstance(text, str) and text.strip():
            yield text
