"""What is sent, so that every server takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sekha._api.validation import argument_error
from sekha._utils.json_access import get
from sekha.errors import SekhaAPIError
from sekha.type_guards import extract_image_urls, extract_text

_BYTE = 100  # the controller 0.1 cuts a preview of a message here, inside a character if it must (D51)


def label_for(messages: Sequence[Mapping[str, Any]]) -> str:
    """A label where none was given: the first line of the first user message, at most 60 characters (D2)."""
    for message in messages:
        if message["role"] == "user":
            for line in extract_text(message["content"]).splitlines():
                if line.strip():
                    return line.strip()[:60].rstrip()
    return "Conversation"


def padded(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages that the controller 0.1 survives: none has a character across its byte 100 (D51)."""
    return [
        {
            **message,
            "content": _padded(message["content"]) if isinstance(message["content"], str) else message["content"],
        }
        for message in messages
    ]


def _padded(text: str) -> str:
    data = text.encode()
    for spaces in range(4):
        at = _BYTE - spaces
        if len(data) <= at or data[at] & 0xC0 != 0x80:
            return " " * spaces + text
    return text  # cannot happen: a character has at most four bytes


def has_parts(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a message has content parts, which the controller 0.1 does not take (D4)."""
    return any(not isinstance(message["content"], str) for message in messages)


def refuses_parts(error: SekhaAPIError) -> bool:
    """Whether an error says that the server takes text only (D4)."""
    return error.status_code == 422 and "content" in error.message


def as_text(messages: Sequence[Mapping[str, Any]], *, drop_images: bool) -> list[dict[str, Any]]:
    """Content parts as text: texts and the addresses of images, a line each (D4).

    Raises:
        SekhaValidationError: A part would be lost and may not be.
    """
    return [
        {**message, "content": _flat(message["content"], f"messages[{i}].content", drop_images)}
        for i, message in enumerate(messages)
    ]


def _flat(content: Any, field: str, drop_images: bool) -> str:
    if isinstance(content, str):
        return content
    lines: list[str] = []
    for j, part in enumerate(content):
        images = extract_image_urls([part])
        if any(url.lower().startswith("data:") for url in images):
            if not drop_images:
                raise argument_error(
                    f"{field}[{j}]",
                    "this server stores text only and the image itself would be lost; "
                    "store it elsewhere and pass its address, or pass drop_images=True",
                )
            continue
        if not images and not isinstance(get(part, "text"), str):
            raise argument_error(f"{field}[{j}]", "this server stores text only, and no text can stand for this part")
        lines.extend(images or [part["text"]])
    return "\n".join(lines)


def chat_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages with the keys that a model knows, and no others: a remembered message has more (D8)."""
    return [{key: message[key] for key in ("role", "content", "name") if key in message} for message in messages]


def temperature(value: float) -> float:
    """The bridge makes 0.7 of a 0; a millionth is as cold (D61)."""
    return value if value > 0 else 1e-6


def full_text_query(words: str) -> str:
    """Words as an FTS5 query that finds them as they are written, ``C++`` and ``it's`` included (D53)."""
    return " ".join('"' + word.replace('"', '""') + '"' for word in words.split())
