"""A parsed message of ChatGPT, for the other modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from sekha._utils.json_access import as_list, as_object, as_text
from sekha.exports._building import role_of

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Message(NamedTuple):
    """The relevant fields of a message, independent of their types in the export.

    Attributes:
        data: The message as in the export.
        role: The role of its author; None if unknown.
        author: The name of its author, usually of a tool; empty if it has none.
        recipient: The recipient, such as a tool; empty if it has none.
        channel: The channel, such as the one of final answers; empty if it has none.
        time: Its timestamp.
        has_content: Whether it has the key of the content.
        content: The content.
        kind: The kind of the content; empty if it has none.
        parts: The parts of the content; empty if it has none.
        metadata: The metadata.
    """

    data: object
    role: str | None = None
    author: str = ""
    recipient: str = ""
    channel: str = ""
    time: object = None
    has_content: bool = False
    content: object = None
    kind: str = ""
    parts: Sequence[Any] = ()
    metadata: Mapping[str, Any] = _NOTHING


def read_message(data: object) -> Message:
    """Parse a message."""
    found = as_object(data)
    if found is None:
        return Message(data)
    author, content = as_object(found.get("author")) or _NOTHING, found.get("content")
    inner = as_object(content) or _NOTHING
    return Message(
        found,
        role_of(author.get("role")),
        as_text(author.get("name")),
        as_text(found.get("recipient")),
        as_text(found.get("channel")),
        found.get("create_time"),
        "content" in found,
        content,
        as_text(inner.get("content_type")),
        as_list(inner.get("parts")) or (),
        as_object(found.get("metadata")) or _NOTHING,
    )
