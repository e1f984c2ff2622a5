"""A message of ChatGPT, as the other modules look at it: taken apart once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from sekha._utils.json_access import as_list, as_object, as_text
from sekha.exports._building import role_of

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Message(NamedTuple):
    """What is looked at of a message, whatever types that has in the export.

    Attributes:
        data: The message as it stands in the export.
        role: The role of its author; None if that is not known.
        author: The name of its author, most often of a tool; empty if there is none.
        recipient: Who it is for, such as a tool; empty if it does not say.
        channel: Whether it is an answer, or only on the way to one; empty if it does not say.
        time: When it was written.
        has_content: Whether it has the key of its content.
        content: What it says.
        kind: The kind of its content; empty if it has none.
        parts: The parts of its content; empty if it has none.
        metadata: What else is said about it.
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
    """Take a message apart."""
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
