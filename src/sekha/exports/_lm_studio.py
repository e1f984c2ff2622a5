"""Conversations of LM Studio (``*.conversation.json``): messages in several versions, of which one is selected."""

from __future__ import annotations

import re
from typing import Any

from sekha._utils.json_access import as_list, as_object, as_text, get
from sekha.exports._building import (
    BRANCHES,
    EMPTY,
    HIDDEN,
    SYSTEM,
    THINKING,
    ConversationBuilder,
    ReadConversation,
    Unreadable,
)
from sekha.exports._content import read_parts
from sekha.exports._thoughts import without_thoughts
from sekha.exports._times import as_seconds, period_of
from sekha.types._base import CONTROL_CHARACTER

_MARKERS = ("perChatPredictionConfig", "usePerChatPredictionConfig", "userLastMessagedAt")
_INTERNAL = ("debugInfoBlock", "status", "toolStatus", "citationBlock")
"""Kinds of steps with information about the generation of an answer."""
_STARTED = re.compile(r"\d{13}(?=-)")
"""Prefix of the identifier of a step: its start time in milliseconds."""
_PROMPT = "llm.prediction.systemPrompt"
_FOLDER = "/lm-studio"
_PLACE = re.compile(r"(?:(?:.*/)?conversations/)?(?P<folders>(?:[^/]+/)*)(?P<id>\d{13})\.conversation\.json(?:,|\Z)")
"""The path of a file, below ``conversations/`` or the import folder; its name is the ID."""


def is_lm_studio(data: dict[str, Any]) -> bool:
    """Return whether an object is a conversation of LM Studio."""
    if "messages" not in data:
        return False
    messages = as_list(data.get("messages")) or ()
    return any(key in data for key in _MARKERS) or any("versions" in (as_object(one) or ()) for one in messages)


def parse_lm_studio(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Parse a conversation: the selected version of each message."""
    messages = as_list(data.get("messages"))
    if messages is None:
        raise Unreadable("'messages' is not a list")
    built = ConversationBuilder(data.get("name"), folder or _FOLDER)
    for message in messages:
        version = _selected(message, built)
        if version is not None:
            _add_version(version, built)
    built.leave_out(SYSTEM, any(as_text(prompt).strip() for prompt in _prompts(data)))
    _, last = period_of(as_seconds(data.get(key)) for key in ("userLastMessagedAt", "assistantLastMessagedAt"))
    return built.finish(created_at=as_seconds(data.get("createdAt")), updated_at=last)


def locate_lm_studio(found: ReadConversation, place: str, folder: str | None) -> None:
    """Add ID and folder of the conversation from the path of its file."""
    at = _PLACE.match(place)
    if at is None:
        return
    found.source_id = at["id"]
    names = [CONTROL_CHARACTER.sub(" ", name).strip() for name in at["folders"].split("/")]
    if folder is None:
        found["folder"] = "/".join([_FOLDER, *(name for name in names if name not in ("", ".", ".."))])


def _prompts(data: dict[str, Any]) -> list[object]:
    fields = as_list(get(data, "perChatPredictionConfig", "fields")) or ()
    return [data.get("systemPrompt"), *(get(field, "value") for field in fields if get(field, "key") == _PROMPT)]


def _selected(message: object, built: ConversationBuilder) -> dict[str, Any] | None:
    """Return the selected version of a message, and count the others."""
    versions = as_list(get(message, "versions"))
    if versions is None:
        built.not_understood(message)
        return None
    if not versions:
        built.leave_out(EMPTY)
        return None
    number: object = get(message, "currentlySelected")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(versions):
        number = len(versions) - 1
    version = as_object(versions[number])
    built.leave_out(BRANCHES, len(versions) - 1)
    if version is None:
        built.not_understood("a version that is no JSON object")
    return version


def _add_version(version: dict[str, Any], built: ConversationBuilder) -> None:
    role = built.speaker_of(version)
    if role is None:
        return
    before = built.counted
    steps = built.items_of(version.get("steps"), "steps")
    texts = _texts(version.get("content"), built)
    texts += [text for step in steps for text in _read_step(step, built)]
    if role == "assistant":
        texts = [without_thoughts(text, built) for text in texts]
    if texts or built.counted == before:
        built.add(role, texts, next(filter(None, map(_time_of, steps)), None))


def _read_step(step: object, built: ConversationBuilder) -> list[str]:
    kind: object = get(step, "type")
    if as_object(step) is None:
        built.not_understood("a step that is no JSON object")
    elif kind in _INTERNAL:
        built.leave_out(HIDDEN)
    elif get(step, "style", "type") == "thinking" or "<|channel|>analysis" in str(get(step, "prefix")):
        built.leave_out(THINKING)
    elif get(step, "content") is None:
        built.not_understood(f"step {kind}" if kind != "contentBlock" else "a step without content")
    else:
        return _texts(get(step, "content"), built)
    return []


def _texts(content: object, built: ConversationBuilder) -> list[str]:
    """Return the texts of a content without the marks of the chat template."""
    parts = as_list(content)
    if parts is not None:
        content = [part for part in parts if get(part, "isStructural") is not True]
    return read_parts(content, built)


def _time_of(step: object) -> float | None:
    identifier: object = get(step, "stepIdentifier")
    found = _STARTED.match(identifier) if isinstance(identifier, str) else None
    return as_seconds(found[0]) if found else None
