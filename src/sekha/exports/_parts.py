"""What messages of several applications consist of: a text, or a list of parts; and the files that came along."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import ERRORS, HIDDEN, THINKING, TOOLS, ConversationBuilder

IMAGE = "[image]"
_WORDS: Mapping[str, str] = {
    "image": IMAGE, "image_url": IMAGE, "image_file": IMAGE, "input_image": IMAGE, "output_image": IMAGE,
    "audio": "[audio]", "audio_url": "[audio]", "input_audio": "[audio]", "output_audio": "[audio]",
    "video": "[video]", "video_url": "[video]", "input_video": "[video]",
}  # fmt: skip
"""What stands for a part without text."""
_FILES = ("file", "input_file", "document")
_LEFT_OUT: Mapping[str, str] = {
    "think": THINKING, "thinking": THINKING, "reasoning": THINKING, "redacted_thinking": THINKING,
    "tool_call": TOOLS, "tool_use": TOOLS, "tool_result": TOOLS, "function_call": TOOLS, "function_call_output": TOOLS,
    "toolcallrequest": TOOLS, "toolcallresult": TOOLS,
    "reasoning_content": THINKING, "thought": THINKING,
    "agent_update": HIDDEN, "summary": HIDDEN, "step-start": HIDDEN, "step-finish": HIDDEN, "cache_point": HIDDEN,
    "error": ERRORS,
}  # fmt: skip
"""Kinds of parts that are left out, in small letters, and what they count as."""
_TOOLS = re.compile(r"(?:tool|dynamic-tool|function)\b.*|.*_(?:tool_use|tool_result|call|call_output)")
"""Further kinds that are left out."""
_CALLS = ("functionCall", "functionResponse", "function_call")
_NAMES = ("name", "filename", "file_name", "originalName", "title", "fileIdentifier")
_KINDS = ("type", "fileType", "content_type", "mime_type", "mimeType")
_FILE_NAME = re.compile(r"(?!data:)[^/\\\n]{1,200}\.\w{1,8}")
_IMAGE_NAME = re.compile(r".+\.(?:png|jpe?g|gif|webp|heic|heif|bmp|tiff?|svg|avif)", re.IGNORECASE | re.DOTALL)


def read_parts(content: object, built: ConversationBuilder) -> list[str]:
    """Return what the content of a message says: a text, a part, or a list of them.

    Args:
        content: The content; a word in brackets stands for what is no text.
        built: Where to count what is left out and what is not understood.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [content]
    parts = as_list(content)
    if parts is None and as_object(content) is None:
        built.not_understood("content that is no text")
        return []
    return [text for part in (parts if parts is not None else [content]) for text in _read_part(part, built)]


def _read_part(part: object, built: ConversationBuilder) -> Iterator[str]:
    if isinstance(part, str):
        yield part
        return
    found = as_object(part)
    if found is None:
        built.not_understood("a part that is no JSON object" if part is not None else "a part that is null")
        return
    given: object = found.get("type")
    kind = given.lower() if isinstance(given, str) else ""
    text = _text_of(found)
    if kind in _LEFT_OUT:
        built.leave_out(_LEFT_OUT[kind])
    elif found.get("thought") is True:
        built.leave_out(THINKING)
    elif _TOOLS.fullmatch(kind) or any(as_object(found.get(key)) is not None for key in _CALLS):
        built.leave_out(TOOLS)
    elif kind in _WORDS:
        spoken: object = found.get("transcript") or get(found, "audio", "transcript")
        yield spoken if isinstance(spoken, str) else _WORDS[kind]
    elif "inlineData" in found or "inline_data" in found:
        yield IMAGE
    elif kind in _FILES:
        yield word_for(found)
    elif text is not None:
        yield text
    else:
        built.not_understood(f"part {given}")


def _text_of(part: dict[str, Any]) -> str | None:
    texts = (part.get("text"), get(part, "text", "value"), part.get("transcript"), part.get("refusal"))
    return next((text for text in texts if isinstance(text, str)), None)


def read_files(files: object, what: str, built: ConversationBuilder) -> list[str]:
    """Return a word in brackets for each file that came along with a message.

    Args:
        files: The list of them; None if there are none.
        what: What they are called where they are no list.
        built: Where to count that.
    """
    listed = as_list(files)
    if listed is None:
        if files is not None:
            built.not_understood(f"{what} that are no list")
        return []
    return [word_for(file) for file in listed if file is not None]


def word_for(file: object) -> str:
    """Return what stands for a file: ``[image]``, or its name."""
    kinds: list[str] = []
    names: list[str] = []
    if isinstance(file, str):
        kinds += [file[5:]] if file.startswith("data:") else []
        names += [file] if _FILE_NAME.fullmatch(file) else []
    else:
        kinds += [kind.lower() for key in _KINDS if isinstance(kind := get(file, key), str)]
        places = (file, get(file, "file"), get(file, "file", "meta"))
        names += [name for place in places for key in _NAMES if isinstance(name := get(place, key), str)]
    name = next((name.strip() for name in names if name.strip()), "")
    if any(kind.startswith("image") for kind in kinds) or _IMAGE_NAME.fullmatch(name):
        return IMAGE
    return f"[{name or 'file'}]"
