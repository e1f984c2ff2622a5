"""What a message says in the forms of many applications: a text, or parts of text, images, tools and thoughts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Union

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import ERRORS, HIDDEN, THINKING, TOOLS, ConversationBuilder
from sekha.exports._file_words import IMAGE, word_for

Piece = Union[str, "dict[str, Any]"]
"""A text, or the part of an image that has an address."""

_MARKS = ("step-start", "step_start", "step-finish", "cache_point", "cachepoint", "agent_update", "summary")
"""Parts that stand between others and say nothing to the user."""
_THOUGHTS = ("thinking", "redacted_thinking", "reasoning", "reasoning_content", "thought", "think")
_TOOL_BEGINS = ("tool", "dynamic-tool", "function")
_TOOL_ENDS = ("_tool_use", "_result", "_call", "_output")
_IMAGES = ("image_url", "input_image", "image", "image_file", "img")
_WORDS = {
    "input_audio": "audio", "audio": "audio", "audio_url": "audio", "video": "video", "video_url": "video",
    "input_video": "video", "file": "file", "input_file": "file", "document": "file", "media": "file",
}  # fmt: skip
"""Kinds of parts that are no text, and what stands for them."""


def read_content(content: object, built: ConversationBuilder) -> list[Piece]:
    """Return what a content says, piece by piece, and count what is left out.

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
    """Return what a content says as `read_content`, with a word in brackets for each image."""
    return [piece if isinstance(piece, str) else IMAGE for piece in read_content(content, built)]


def is_as_stored(content: object) -> bool:
    """Return whether a list of parts can be stored as it is: texts, and images that have an address."""
    return all(
        get(part, "type") == ("text" if isinstance(get(part, "text"), str) else "image_url")
        and (isinstance(get(part, "text"), str) or _address(get(part, "image_url")) is not None)
        for part in as_list(content) or [None]
    )


def content_of(pieces: Sequence[Piece]) -> str | list[dict[str, Any]]:
    """Return the content that has these pieces: a text, or parts where there is an image with an address."""
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
    """Return the address of an image; None if there is none, or the image itself in its place."""
    url: object = image if isinstance(image, str) else get(image, "url")
    return url if isinstance(url, str) and url.lower().startswith(("http://", "https://")) else None
