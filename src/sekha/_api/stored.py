"""Whether a conversation is stored already: the words to search for, and what matches."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from sekha._api.compat.requests import parts_to_text
from sekha._utils.json_access import get
from sekha.errors import SekhaValidationError
from sekha.type_guards import extract_image_urls
from sekha.types import FullTextResponse, MemoryExport
from sekha.types._base import normalize_stored_folder

MAX_FOUND = 100
"""Messages that are requested with the words of one; if there are more, others or the list have to tell."""

MAX_EXPORTS = 10
"""Conversations that are compared at most, by an export each."""

_MAX_WORDS = 64
"""Words of a message to search for."""
_MAX_PADDING = 3
"""Spaces that may have been put in front of a message (D51)."""

Match = Literal["same", "part", "other"]


class Phrase(NamedTuple):
    """A message to search for, and the full-text query that finds it."""

    message: Mapping[str, Any]
    query: str


def search_phrases(messages: Sequence[Mapping[str, Any]]) -> list[Phrase]:
    """Return what to search for: the first message with words as a phrase, then the longest of the others, if any."""
    found = [Phrase(message, query) for message in messages if (query := _phrase(message["content"]))]
    return [*found[:1], *sorted(found[1:], key=lambda phrase: len(phrase.query), reverse=True)[:1]]


def _phrase(content: Any) -> str:
    """Return the first words of a content as a phrase of FTS5; empty if there are none."""
    texts = [content] if isinstance(content, str) else [get(part, "text") for part in content]
    for text in texts:
        words: list[str] = []
        count = 0
        for word in text.split() if isinstance(text, str) else ():
            words.append(word)
            count += _has_token(word)
            if count == _MAX_WORDS:
                break
        if count:
            return '"' + " ".join(words).replace('"', '""') + '"'
    return ""


def _has_token(word: str) -> bool:
    """Return whether any version of FTS5 finds a letter or digit in a word; their tables of characters are old."""
    return any(unicodedata.ucd_3_2_0.category(character)[0] in "LN" for character in word)


def conversations_with(phrase: Phrase, page: FullTextResponse) -> set[str] | None:
    """Return the ids of the conversations that have a message; None if there may be others."""
    ids = [message.get("conversation_id") for message in page["results"] if is_same_message(phrase.message, message)]
    if len(page["results"]) >= MAX_FOUND or None in ids:
        return None
    return {id.lower() for id in ids if id is not None}


def is_stored_as(conversation: Mapping[str, Any], export: MemoryExport) -> bool:
    """Return whether an export is of an active conversation with the same label, folder and messages."""
    stored = export["conversation"]
    return (
        stored["status"] == "active"
        and label_and_folder(conversation) == label_and_folder(stored)
        and compare_messages(conversation["messages"], export["messages"]) == "same"
    )


def complete_replacement(changes: Mapping[str, Any], export: MemoryExport) -> dict[str, Any]:
    """Return what is stored in place of an exported conversation: what is not given is taken over from it.

    Args:
        changes: What `validate_replacement` returned.
        export: The export of the conversation.
    """
    stored = export["conversation"]
    importance = int(stored["importance_score"])  # servers may write 5.0
    return {"label": stored["label"], "folder": stored["folder"], "importance_score": importance, **changes}


def is_unchanged(replacement: Mapping[str, Any], export: MemoryExport) -> bool:
    """Return whether an exported conversation is already as its replacement would be."""
    stored = export["conversation"]
    return (
        label_and_folder(replacement) == label_and_folder(stored)
        and replacement["importance_score"] == stored["importance_score"]
        and compare_messages(replacement["messages"], export["messages"]) == "same"
    )


def label_and_folder(conversation: Mapping[str, Any]) -> tuple[object, object]:
    """Return label and folder of a conversation, as they are compared."""
    folder = conversation["folder"]
    return conversation["label"], normalize_stored_folder(folder) or folder  # older versions stored it as it was given


def compare_messages(sent: Sequence[Mapping[str, Any]], stored: Sequence[Mapping[str, Any]]) -> Match:
    """Return whether stored messages are those that were sent, or their beginning; servers may store text only."""
    if len(stored) > len(sent) or not all(is_same_message(ours, theirs) for ours, theirs in zip(sent, stored)):
        return "other"
    return "same" if len(stored) == len(sent) else "part"


def is_same_message(sent: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Return whether a stored message is one that was sent, perhaps with its parts as text (D4) and padded (D51)."""
    if sent["role"] != stored["role"]:
        return False
    ours, theirs = sent["content"], stored["content"]
    if not isinstance(theirs, str):
        return list(_plain_parts(ours)) == list(_plain_parts(theirs))
    return any(_is_padded(text, theirs) for text in ([ours] if isinstance(ours, str) else _texts_of(sent)))


def _is_padded(text: str, stored: str) -> bool:
    padding = len(stored) - len(text)
    return 0 <= padding <= _MAX_PADDING and stored == " " * padding + text


def _texts_of(message: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts that servers may have stored for content parts: with the images in ``data:``, and without."""
    with suppress(SekhaValidationError):
        yield str(parts_to_text([message], drop_images=True)[0]["content"])
        parts = [extract_image_urls([part]) or [part["text"]] for part in message["content"]]
        yield "\n".join(text for texts in parts for text in texts)


def _plain_parts(content: Any) -> Iterator[object]:
    """Yield the parts of a content without what servers add to them."""
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        yield extract_image_urls([part]) or (get(part, "text") if get(part, "type") == "text" else part)
