"""Message contents in the formats of many applications: a text, or parts with text, images, tools and reasoning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Union

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import ERRORS, HIDDEN, THINKING, TOOLS, ConversationBuilder
from sekha.exports._file_words import IMAGE, word_for

Piece = Union[str, "dict[str, Any]"]
"""A text, or an image part with a URL."""

_MARKS = ("step-start", "step_start", "step-finish", "cache_point", "cachepoint", "agent_update", "summary")
"""Parts without content for the user."""
_THOUGHTS = ("thinking", "redacted_thinking", "reasoning", "reasoning_content", "thought", "think")
_TOOL_BEGINS = ("tool", "dynamic-tool", "function")
_TOOL_ENDS = ("_tool_use", "_result", "_call", "_output")
_IMAGES = ("image_url", "input_image", "image", "image_file", "img")
_WORDS = {
    "input_audio": "audio", "audio": "audio", "audio_url": "audio", "video": "video", "video_url": "video",
    "input_video": "video", "file": "file", "input_file": "file", "document": "file", "media": "file",
}  # fmt: skip
"""Kinds of parts without text, with their placeholders."""


def read_content(content: object, built: ConversationBuilder) -> list[Piece]:
    """Return the texts of a content, and count omitted items.

    Args:
        content: A text, a part, or a list of those.
        built: Where to count.
    """
    if content is None:
        return []
    parts = as_list(content)
    if parts is None and not isinstance(content, str) and as_object(content) is None:
        built.not_understood("content that is no text")
        return []
    return [piece for part in ([content] if parts is None else parts) for piece in _read_part(part, built)]


def read_parts(content: object, built: ConversationBuilder) -> list[str]:
    """Return the texts of a content like `read_content`, with a placeholder for each image."""
    return [piece if isinstance(piece, str) else IMAGE for piece in read_content(content, built)]


def is_as_stored(content: object) -> bool:
    """Return whether a list of parts can be stored unchanged: only texts, and images with a URL."""
    return all(
        get(part, "type") == ("text" if isinstance(get(part, "text"), str) else "image_url")
        and (isinstance(get(part, "text"), str) or _address(get(part, "image_url")) is not None)
        for part in as_list(content) or [None]
    )


def content_of(pieces: Sequence[Piece]) -> str | list[dict[str, Any]]:
    """Return the content for these pieces: a text, or parts if there is an image with a URL."""
    if all(isinstance(piece, str) for piece in pieces):
        return "\n".join(piece for piece in pieces if isinstance(piece, str))
    return [{"type": "text", "text": piece} if isinstance(piece, str) else piece for piece in pieces]


def _read_part(part: object, built: ConversationBuilder) -> Iterator[Piece]:
    if isinstance(part, str):
        yield part
        return
    found = as_object(part)
    if found is None:
        built.not_understood("a part that is no JSON object" if part is not None else "a part that is null")
        return
    given: object = found.get("type")
    kind = given.lower() if isinstance(given, str) else ""
    if kind in _THOUGHTS or found.get("thought") is True:
        built.leave_out(THINKING)
    elif _is_of_tool(kind, found):
        built.leave_out(TOOLS)
    elif kind in _MARKS:
        built.leave_out(HIDDEN)
    elif kind == "error":
        built.leave_out(ERRORS)
    elif kind in _IMAGES or "inlineData" in found or "inline_data" in found:
        yield _image(found)
    elif isinstance(text := _text_of(found), str):
        yield text
    elif kind in _WORDS:
        yield word_for(found, _WORDS[kind])
    else:
        built.not_understood(f"part {given}" if kind else f"a part with {', '.join(map(str, found)) or 'nothing'}")


def _is_of_tool(kind: str, part: dict[str, Any]) -> bool:
    if kind.startswith(_TOOL_BEGINS) or kind.endswith(_TOOL_ENDS):
        return True
    return any(isinstance(part.get(key), dict) for key in ("functionCall", "functionResponse", "function_call"))


def _text_of(part: dict[str, Any]) -> object:
    audio = get(part, "audio", "transcript") or get(part, "input_audio", "transcript")
    texts = (part.get(key) for key in ("text", "refusal", "transcript"))
    more = (get(part, "text", "value"), audio, part.get("content"))
    return next((text for text in (*texts, *more) if isinstance(text, str)), None)


def _image(part: dict[str, Any]) -> Piece:
    for key in ("image_url", "source", "image", "url"):
        address = _address(part.get(key))
        if address is not None:
            return {"type": "image_url", "image_url": {"url": address}}
    return IMAGE


def _address(image: object) -> str | None:
    """Return the URL of an image; None if it has none, or a data URL."""
    url: object = image if isinstance(image, str) else get(image, "url")
    return url if isinstance(url, str) and url.lower().startswith(("http://", "https://")) else None
