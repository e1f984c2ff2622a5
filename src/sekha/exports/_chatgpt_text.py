"""The text of a message of ChatGPT: its parts, with placeholders for parts without text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sekha._utils.json_access import as_list, as_object, as_text, get
from sekha.exports._chatgpt_marks import remove_citations, replace_marks
from sekha.exports._chatgpt_message import Message
from sekha.exports._file_words import IMAGE, is_image_name, name_in_brackets

_AUDIO = "[audio]"
_ASSETS: Mapping[str, str] = {
    "image_asset_pointer": IMAGE,
    "image": IMAGE,
    "audio_asset_pointer": _AUDIO,
    "real_time_user_audio_video_asset_pointer": _AUDIO,
    "video_container_asset_pointer": "[video]",
    "video_asset_pointer": "[video]",
    "file_asset_pointer": "[file]",
}
_SPEECH = "audio_transcription"
_KNOWN_KEYS = frozenset({"content_type", "parts", "text", "language", "response_format_name"})

Note = Callable[[str], None]
"""Called with the name of an unrecognized item."""


def texts_of(message: Message, note: Note, *, is_answer: bool) -> list[str]:
    """Return the texts of a message, with a placeholder for each attached file.

    Args:
        message: The message.
        note: Called with the name of an unrecognized item.
        is_answer: Whether the model wrote it.

    Returns:
        The texts.
    """
    parts = message.parts or _parts_of(message.content, note)
    references = message.metadata.get("content_references")
    texts: list[str] = []
    for part in parts:
        text = _part_text(part, note)
        if text is not None:
            text = replace_marks(text, references, note)
            text = remove_citations(text) if is_answer else text
            if text.strip():
                texts.append(text)
    if _AUDIO in texts:
        texts = _without_recordings(texts, any(get(part, "content_type") == _SPEECH for part in parts))
    attachments = as_list(message.metadata.get("attachments"))
    return texts + _names_of_files(parts, attachments) if attachments else texts


def images_in(message: Message) -> int:
    """Return the number of images in a message of a tool."""
    results = as_list(get(message.metadata, "aggregate_result", "messages")) or []
    drawn = [result for result in results if get(result, "message_type") == "image"]
    return len(drawn) + len([part for part in message.parts if _asset(part) == IMAGE])


def _parts_of(content: object, note: Note) -> list[Any]:
    if isinstance(content, str):
        return [content]
    if content is None:
        return []
    content = as_object(content)
    if content is None:
        note("content that is no JSON object")
        return []
    parts: object = content.get("parts")
    listed = as_list(parts)
    if listed is not None:
        return listed
    if isinstance(parts, str):
        return [parts]
    for key in ("text", "result", "content"):
        text: object = get(content, key)
        if isinstance(text, str):
            return [text]
    if _asset(content) is not None:
        return [content]
    others = [key for key, value in content.items() if key not in _KNOWN_KEYS and value]
    if parts is not None or content.get("content_type") not in (None, "text", "multimodal_text", "code"):
        note(f"content_type {content.get('content_type')}")
    elif others:
        note(f"content with {', '.join(map(str, others))}")
    return []


def _part_text(part: object, note: Note) -> str | None:
    if part is None:
        return None
    if isinstance(part, str):
        return part
    text: object = get(part, "text")
    if isinstance(text, str):
        return text
    asset = _asset(part)
    if asset is not None:
        return asset
    kind: object = get(part, "content_type")
    if isinstance(kind, str) and kind == _SPEECH:
        return None
    if isinstance(kind, str) and kind:
        note(f"part {kind}")
        return f"[{kind}]"
    note("part without a kind" if as_object(part) is not None else f"part that is {type(part).__name__}")
    return None


def _asset(part: object) -> str | None:
    kind: object = get(part, "content_type")
    return _ASSETS.get(kind) if isinstance(kind, str) else None


def _without_recordings(texts: list[str], has_speech: bool) -> list[str]:
    """Omit recordings with a transcript; without one, keep one placeholder."""
    spoken = [text for text in texts if text != _AUDIO]
    if has_speech and spoken:
        return spoken
    first = texts.index(_AUDIO)
    return [text for number, text in enumerate(texts) if text != _AUDIO or number == first]


def _names_of_files(parts: Sequence[Any], attachments: Sequence[Any]) -> list[str]:
    """Return the names of attachments, without images that are also parts."""
    pointers = [_pointer(part) for part in parts if _asset(part) is not None]
    images = [_pointer(part) for part in parts if _asset(part) == IMAGE]
    ids = [as_text(get(one, "id")) for one in attachments]
    unnamed = sum(not any(id and pointer.endswith(id) for id in ids) for pointer in images)
    names: list[str] = []
    for id, one in zip(ids, attachments):
        if one is None or (id and any(pointer.endswith(id) for pointer in pointers)):
            continue
        if unnamed and _is_image(one):
            unnamed -= 1
        else:
            names.append(name_in_brackets(one))
    return names


def _pointer(part: object) -> str:
    return as_text(get(part, "asset_pointer"))


def _is_image(attachment: object) -> bool:
    kind = str(get(attachment, "mime_type") or get(attachment, "mimeType") or "")
    return kind.startswith("image/") or is_image_name(as_text(get(attachment, "name")))
