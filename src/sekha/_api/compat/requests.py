"""Conversion of requests to a format that every server accepts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sekha._api.validation import argument_error
from sekha._utils.json_access import get
from sekha.errors import SekhaAPIError
from sekha.type_guards import extract_image_urls, extract_text

log = logging.getLogger("sekha")

_PREVIEW_SIZE = 100
"""Bytes of the preview that controller 0.1 creates of a message; it fails inside a multi-byte character (D51)."""

MAX_BODY_BYTES = 1_900_000
"""Maximum bytes of a stored conversation; servers accept requests up to 2 MiB."""

IMAGE = "[image]"
"""Placeholder for an omitted image."""

_BRIDGE_ROLES = ("system", "user", "assistant", "function")
"""The roles that bridge 0.2 accepts."""


def default_label(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the default label: the first line of the first user message, at most 60 characters (D2)."""
    for message in messages:
        if message["role"] == "user":
            for line in extract_text(message["content"]).splitlines():
                if line.strip():
                    return line.strip()[:60].rstrip()
    return "Conversation"


def pad_for_preview_bug(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return messages without a character across byte 100, at which controller 0.1 fails (D51)."""
    return [
        {
            **message,
            "content": _pad(message["content"]) if isinstance(message["content"], str) else message["content"],
        }
        for message in messages
    ]


def pad_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a conversation with padded messages; log it if there are any."""
    messages = pad_for_preview_bug(body["messages"])
    padded = sum(new["content"] != old["content"] for new, old in zip(messages, body["messages"]))
    if padded:
        log.info("added leading spaces to %d messages that controller 0.1 cannot store otherwise", padded)
    return {**body, "messages": messages}


def _pad(text: str) -> str:
    if text.isascii():
        return text
    data = text.encode()
    for spaces in range(4):
        at = _PREVIEW_SIZE - spaces
        if len(data) <= at or data[at] & 0xC0 != 0x80:
            return " " * spaces + text
    raise AssertionError("a character of UTF-8 has at most four bytes")


def extra_keys(messages: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys of messages other than ``role`` and ``content`` whose values are not empty."""
    return list(
        {
            key: None
            for message in messages
            for key, value in message.items()
            if key not in ("role", "content") and value not in (None, "", [], {})
        }
    )


def has_content_parts(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a message has content parts, which the controller 0.1 does not support (D4)."""
    return any(not isinstance(message["content"], str) for message in messages)


def is_text_only_error(error: SekhaAPIError) -> bool:
    """Return whether an error means that the server supports text only (D4)."""
    return error.status_code == 422 and "content" in error.message


def parts_to_text(messages: Sequence[Mapping[str, Any]], *, drop_images: bool) -> list[dict[str, Any]]:
    """Return messages with content parts as text: texts and URLs of images, a line each (D4).

    Raises:
        SekhaValidationError: A part would be lost, which is not allowed.
    """
    return [
        {**message, "content": _part_text(message["content"], f"messages[{i}].content", drop_images)}
        for i, message in enumerate(messages)
    ]


def _part_text(content: Any, field: str, drop_images: bool) -> str:
    if isinstance(content, str):
        return content
    lines: list[str] = []
    for j, part in enumerate(content):
        images = extract_image_urls([part])
        if _is_image_itself(part):
            if not drop_images:
                raise argument_error(
                    f"{field}[{j}]",
                    "this server stores text only, so the image would be lost; pass the URL of an image, or "
                    "drop_images=True to store the message without it",
                )
            continue
        if not images and not isinstance(get(part, "text"), str):
            raise argument_error(
                f"{field}[{j}]", "this server stores text only, and this part cannot be converted to text"
            )
        lines.extend(images or [part["text"]])
    return "\n".join(lines)


def without_images(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return messages with a placeholder for each embedded image; other images keep their URL."""
    return [
        message
        if isinstance(message["content"], str)
        else {
            **message,
            "content": [
                {"type": "text", "text": IMAGE} if _is_image_itself(part) else part for part in message["content"]
            ],
        }
        for message in messages
    ]


def _is_image_itself(part: Any) -> bool:
    return any(url.lower().startswith("data:") for url in extract_image_urls([part]))


def to_chat_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return messages with only the keys that models support: messages of a context have more (D8)."""
    return [{key: message[key] for key in ("role", "content", "name") if key in message} for message in messages]


def check_roles(messages: Sequence[Mapping[str, Any]]) -> None:
    """Raise an error for a role that bridge 0.2 rejects with a 5xx status."""
    for i, message in enumerate(messages):
        if message["role"] not in _BRIDGE_ROLES:
            known = ", ".join(_BRIDGE_ROLES)
            raise argument_error(f"messages[{i}].role", f"the bridge accepts {known}, not {message['role']!r}")


def nonzero_temperature(value: float) -> float:
    """Return a temperature above 0: the bridge replaces 0 by 0.7, and a millionth has the same effect (D61)."""
    return value if value > 0 else 1e-6


def quote_full_text_query(query: str) -> str:
    """Return words as an FTS5 query that matches them literally, including ``C++`` and ``it's`` (D53)."""
    return " ".join('"' + word.replace('"', '""') + '"' for word in query.split())
