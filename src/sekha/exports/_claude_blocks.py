"""Contents of messages of Claude: blocks, or else the text, and attachments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import HIDDEN, THINKING, TOOLS, ConversationBuilder
from sekha.exports._claude_documents import change_of, split_tags
from sekha.exports._documents import Piece
from sekha.exports._file_words import IMAGE, name_in_brackets

_THINKING = ("thinking", "redacted_thinking")
_INTERNAL = ("token_budget", "flag", "compaction")
_TOOL_USES = ("tool_use", "server_tool_use", "mcp_tool_use")
_NOT_SUPPORTED = re.compile(
    r"^[`~]{3,}[^\n]*\n(?:This block is not supported|Viewing artifacts created via)[^\n]*\n[`~]{3,}[ ]*$"
    r"|^(?:This block is not supported|Viewing artifacts created via)[^\n]*$",
    re.MULTILINE,
)
"""Placeholders in the text of a message for blocks that old applications cannot show."""


def read_blocks(message: object, is_answer: bool, presented: set[str], built: ConversationBuilder) -> Iterator[Piece]:
    """Return the contents of a message, and count omitted items.

    Args:
        message: The message.
        is_answer: Whether the model wrote it; only answers contain documents in their text.
        presented: The names of files that are shown to the user.
        built: The builder that counts omitted items.

    Yields:
        The pieces.
    """
    pieces: list[Piece] = []
    content = get(message, "content")
    blocks = as_list(content)
    if blocks is None:
        blocks = [] if content is None else [content]
    for block in blocks:
        pieces += _read_block(block, is_answer, presented, built)
    if not any(not isinstance(piece, str) or piece.strip() for piece in pieces):
        pieces = _read_text(message, blocks, is_answer, built)
    yield from pieces
    yield from _read_attachments(message, built)


def _read_block(block: object, is_answer: bool, presented: set[str], built: ConversationBuilder) -> list[Piece]:
    if isinstance(block, str):
        return _read_tags(block, is_answer, built)
    found = as_object(block)
    kind: object = get(block, "type")
    if found is None:
        built.not_understood("a block that is no JSON object")
    elif kind in _THINKING:
        built.leave_out(THINKING)
    elif kind in _INTERNAL:
        built.leave_out(HIDDEN)
    elif kind in _TOOL_USES:
        change = change_of(found, presented)
        if isinstance(change, str):
            built.not_understood(change)
        elif change is not None:
            return [change]
        else:
            built.leave_out(TOOLS)
    elif isinstance(kind, str) and kind.endswith("_result"):
        built.leave_out(TOOLS)
    elif kind == "image":
        return [IMAGE]
    elif isinstance(text := found.get("text"), str) and (text.strip() or kind == "text"):
        return _read_tags(text, is_answer and kind == "text", built)
    elif isinstance(text := found.get("transcript"), str) and text.strip():
        return [text]
    elif kind == "voice_note":
        return ["[voice note]"]
    elif kind in ("document", "file"):
        return [name_in_brackets(found)]
    else:
        built.not_understood(f"block {kind}")
    return []


def _read_text(message: object, blocks: list[Any], is_answer: bool, built: ConversationBuilder) -> list[Piece]:
    """Return the text of a message without the reasoning in it."""
    text: object = get(message, "text")
    if not isinstance(text, str):
        if text is not None:
            built.not_understood("text that is no text")
        return []
    for block in blocks:
        if get(block, "type") in _THINKING:
            summaries = as_list(get(block, "summaries")) or ()
            for thought in (get(block, "thinking"), *(get(summary, "summary") for summary in summaries)):
                if isinstance(thought, str) and thought.strip():
                    text = text.replace(thought.strip(), "")
    text, unsupported = _NOT_SUPPORTED.subn("", text)
    if not blocks:
        built.leave_out(TOOLS, unsupported)
    return _read_tags(text, is_answer, built)


def _read_tags(text: str, is_answer: bool, built: ConversationBuilder) -> list[Piece]:
    if not is_answer:
        return [text]
    pieces, thoughts = split_tags(text)
    built.leave_out(THINKING, thoughts)
    return pieces


def _read_attachments(message: object, built: ConversationBuilder) -> Iterator[str]:
    for attachment in built.items_of(get(message, "attachments"), "attachments"):
        yield name_in_brackets(attachment, "attachment")
        text: object = get(attachment, "extracted_content")
        if isinstance(text, str):
            yield text
    seen: set[str] = set()
    for key in ("files", "files_v2"):  # some exports list each file in both
        for file in built.items_of(get(message, key), key):
            id: object = get(file, "file_uuid") or get(file, "uuid") or get(file, "file_name")
            if not isinstance(id, str) or id not in seen:
                yield name_in_brackets(file)
            if isinstance(id, str):
                seen.add(id)
