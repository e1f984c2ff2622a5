"""Reports of ChatGPT's deep research, which are in the state of a widget, not in the conversation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sekha._utils.json_access import as_object, get
from sekha.exports._chatgpt_message import Message, read_message
from sekha.exports._chatgpt_text import Note, texts_of

_PREFIX = "The latest state of the widget is:"
_PLACES = (
    ("chatgpt_sdk", "widget_state"),
    ("chatgpt_sdk", "tool_response_metadata", "venus_widget_state"),
    ("venus_widget_state",),
)


def find_reports(messages: Sequence[Message], note: Note) -> dict[int, list[str]]:
    """Return the last version of each report.

    Args:
        messages: The messages of a branch.
        note: Called with the name of an unrecognized item.

    Returns:
        The reports, by the number of the message with the last version.
    """
    found: dict[str, tuple[int, str]] = {}
    for number, message in enumerate(messages):
        for state in _states_of(message):
            report = get(state, "report_message")
            if as_object(report) is None:
                continue
            text = "\n".join(texts_of(read_message(report), note, is_answer=True)).strip()
            names = (get(report, "id"), get(message.metadata, "chatgpt_sdk", "widget_session_id"), text)
            key = next(name for name in names if isinstance(name, str) and (name or name is text))
            if text:
                found[key] = number, text
    by_text = {text: number for number, text in found.values()}  # count a report at two positions once
    reports: dict[int, list[str]] = {}
    for text, number in by_text.items():
        reports.setdefault(number, []).append(text)
    return reports


def _states_of(message: Message) -> Iterator[dict[str, Any]]:
    """Yield the widget states of a message."""
    for place in _PLACES:
        if place[0] in message.metadata:
            yield from _unwrap(get(message.metadata, *place))
    for part in message.parts:
        if isinstance(part, str) and part.lstrip().startswith(_PREFIX):
            yield from _unwrap(part.lstrip()[len(_PREFIX) :])


def _unwrap(state: object) -> Iterator[dict[str, Any]]:
    if isinstance(state, str):
        try:
            state = json.loads(state, strict=False)
        except (ValueError, RecursionError):
            return
    found = as_object(state)
    if found is not None:
        yield found
        inner = as_object(found.get("widget_state"))
        if inner is not None:
            yield inner
