"""Conversations of ChatGPT: select the visible messages of the tree, and count omitted ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import (
    BRANCHES,
    HIDDEN,
    SYSTEM,
    THINKING,
    TOOLS,
    ConversationBuilder,
    ReadConversation,
    Unreadable,
)
from sekha.exports._chatgpt_canvas import Canvas
from sekha.exports._chatgpt_message import Message, read_message
from sekha.exports._chatgpt_research import find_reports
from sekha.exports._chatgpt_text import images_in, texts_of
from sekha.exports._chatgpt_tree import current_branch
from sekha.exports._documents import titled
from sekha.exports._file_words import IMAGE

GAPS = "missing in the export"
NOT_REMEMBERED = "not to be remembered"
"""Kinds of omitted items."""

_CONTEXT = frozenset({"user_editable_context", "model_editable_context", "app_pairing_content"})
_THOUGHTS = frozenset({"thoughts", "reasoning_recap"})
_RESULTS = frozenset({
    "execution_output", "tether_browsing_display", "tether_browsing_code", "tether_quote", "sonic_webpage",
    "computer_output", "system_error",
})  # fmt: skip
"""Content types of tool results, independent of the author."""
_READING = ("file_search", "myfiles_browser", "browser", "web", "computer", "container")
"""Tools whose images are viewed pages, not generated images."""
_PEOPLE = frozenset({"", "all", "user"})
"""Recipients that are not tools."""
_NAMES = ("title", "id", "conversation_id")
_SHELL = frozenset({"title", "create_time", "update_time"})


def is_chatgpt(data: dict[str, Any]) -> bool:
    """Return whether an object is a conversation of ChatGPT, including an empty one without a tree."""
    return "mapping" in data or (data.keys() >= _SHELL and _is_shell(data))


def _is_shell(data: dict[str, Any]) -> bool:
    """Return whether an object is an empty conversation: with a name, but without any key that may contain text."""
    return any(key in data for key in _NAMES) and not any(map(_has_objects, data.values()))


def _has_objects(value: object) -> bool:
    return bool(as_object(value)) or any(as_object(one) for one in as_list(value) or ())


def parse_chatgpt(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Parse a conversation."""
    mapping: object = data.get("mapping")
    if mapping is not None and as_object(mapping) is None:
        raise Unreadable("'mapping' is not a JSON object")
    if mapping is None and not _is_shell(data):
        raise Unreadable(f"no 'mapping'; found: {', '.join(list(data)[:6]) or 'nothing'}")
    built = ConversationBuilder(data.get("title"), folder or "/chatgpt")
    branch = current_branch(as_object(mapping) or {}, data.get("current_node"))
    if data.get("is_do_not_remember") is True or get(data, "metadata", "is_do_not_remember") is True:
        built.leave_out(NOT_REMEMBERED)
    else:
        _add_messages([read_message(message) for message in branch.messages], built)
        built.leave_out(GAPS, branch.gaps)
        built.leave_out(BRANCHES, branch.others)
    return built.finish(
        source_id=data.get("conversation_id") or data.get("id"),
        created_at=data.get("create_time"),
        updated_at=data.get("update_time"),
    )


def _add_messages(messages: Sequence[Message], built: ConversationBuilder) -> None:
    canvas, reports = Canvas(messages), find_reports(messages, built.not_understood)
    answers = set(map(_plain_answer, messages)) if reports else set[str]()
    for number, message in enumerate(messages):
        for document in canvas.documents.get(number, ()):
            built.add("assistant", [titled(document.name, document.text)], message.time)
        for report in reports.get(number, ()):
            if report not in answers:
                built.add("assistant", [report], message.time)
        if number not in canvas.calls and number not in reports:
            _add_message(message, built)


def _add_message(message: Message, built: ConversationBuilder) -> None:
    role = message.role
    if role == "tool" and message.metadata.get("is_async_task_result_message") is True:
        role = "assistant"  # a report that was finished later
    kind = _kind_left_out(message, role)
    if role == "tool" and kind == TOOLS:
        images = images_in(message)
        if images and not message.author.startswith(_READING):
            built.add("assistant", [IMAGE] * images, message.time)
            return
    if kind is not None:
        built.leave_out(kind)
    elif role is None or not message.has_content:
        author: object = get(message.data, "author", "role")
        is_other = role is None and isinstance(author, str) and author
        built.not_understood(f"role {author}" if is_other else message.data)
    else:
        unknown: list[str] = []
        texts = texts_of(message, unknown.append, is_answer=role == "assistant")
        for name in unknown:
            built.not_understood(name)
        if texts or not unknown:
            built.add(role, texts, message.time)


def _kind_left_out(message: Message, role: str | None) -> str | None:
    """Return the reason to omit a message; None if it is visible."""
    metadata, kind = message.metadata, message.kind
    if metadata.get("is_visually_hidden_from_conversation") or kind in _CONTEXT:
        return HIDDEN
    if role == "system" or metadata.get("is_user_system_message"):
        return SYSTEM
    if kind in _THOUGHTS or message.channel == "analysis" or metadata.get("is_visually_hidden_reasoning_group"):
        return THINKING
    return TOOLS if role == "tool" or kind in _RESULTS or message.recipient not in _PEOPLE else None


def _plain_answer(message: Message) -> str:
    if message.role != "assistant":
        return ""
    return "\n".join(part for part in message.parts if isinstance(part, str)).strip()
