"""Documents that ChatGPT wrote next to a conversation ("canvas"): replay tool calls to get the last version of each.

The model creates a document with its complete text, and changes it with patterns and replacements. The export contains
these calls, and the tool results with ID and title of the document, but not the documents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._chatgpt_message import Message
from sekha.exports._documents import UNTITLED

_CREATE = "canmore.create_textdoc"
_UPDATE = "canmore.update_textdoc"
_CALLS = frozenset({_CREATE, _UPDATE})
_ID = re.compile(r"""textdoc_id\W{1,6}([\w-]+)""")
_ENDS = ("", "}", "]}", "}]}", '"}', '"}]}')
"""Possible ends of truncated calls, which occur in exports."""

_WHOLE = frozenset({
    ".*", ".+", "(.*)", "(.+)", r"[\s\S]*", r"[\s\S]+", r"[\S\s]*", r"[\S\s]+", r"(.|\n)*", r"(?:.|\n)*", "(?s:.*)",
})  # fmt: skip
_FLAGS = re.compile(r"\(\?[a-z]+\)")
_ANCHORS = re.compile(r"^(?:\^|\\A)|(?<!\\)\$$|\\Z$")
_TOKEN = re.compile(r"(?:\.|\[\\s\\S\]|\[\\S\\s\])[*+](\??)|\\(.)|(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_REFERENCE = re.compile(r"\\(?:\d|g<)")


class Document(NamedTuple):
    """The visible part of a document.

    Attributes:
        name: Its title, or the name given by the model.
        text: The complete text.
    """

    name: str
    text: str


@dataclass
class _Draft:
    """A document during the replay; `loose` has replacements whose patterns were not found."""

    id: str | None
    name: str
    text: str
    at: int
    loose: list[str] = field(default_factory=lambda: [])


class Canvas:
    """Replays the calls of a branch, and finds the message with the last version of each document.

    Args:
        messages: The messages of the branch.

    Attributes:
        calls: The numbers of the messages with such calls.
        documents: The documents, by the number of the message with their last version.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        self.calls: set[int] = set()
        self.documents: dict[int, list[Document]] = {}
        self._drafts: list[_Draft] = []
        for number, message in enumerate(messages):
            recipient = message.recipient
            if recipient not in _CALLS:
                continue
            reply = _reply_to(number, messages)
            if reply is not None and reply.kind == "system_error":
                continue
            self.calls.add(number)
            payload, text = _parse_call(message)
            name = None if reply is None else _text(get(reply.metadata, "canvas", "title"))
            id = _id_of(reply) or _text(get(payload, "textdoc_id"))
            if recipient == _CREATE:
                self._create(number, id, name or _text(get(payload, "name")), payload, text)
            else:
                self._update(number, id, name, payload, text)
        if not any(draft.text or draft.loose for draft in self._drafts):
            self.calls.clear()  # treated like calls of other tools
        for draft in self._drafts:
            text = "\n".join(text for text in (draft.text, *draft.loose) if text.strip())
            if text:
                self.documents.setdefault(draft.at, []).append(Document(draft.name, text))

    def _create(self, number: int, id: str | None, name: str | None, payload: dict[str, Any] | None, text: str) -> None:
        content: object = text if payload is None else payload.get("content")
        draft = self._find(id, name)
        if draft is None:
            draft = _Draft(id, name or UNTITLED, "", number)
            self._drafts.append(draft)
        draft.id, draft.name, draft.at = id or draft.id, name or draft.name, number
        draft.text, draft.loose = content if isinstance(content, str) else "", []
        self._touch(draft)

    def _update(self, number: int, id: str | None, name: str | None, payload: dict[str, Any] | None, text: str) -> None:
        draft = self._find(id, None)
        if draft is None:
            draft = next((draft for draft in reversed(self._drafts) if id is None or draft.id is None), None)
        if draft is None:  # created by the user, or on another branch
            draft = _Draft(id, UNTITLED, "", number)
            self._drafts.append(draft)
        draft.id, draft.name, draft.at = id or draft.id, name or draft.name, number
        updates = as_list(get(payload, "updates"))
        for update in [{"replacement": text}] if updates is None else updates:
            _change(draft, update)
        self._touch(draft)

    def _find(self, id: str | None, name: str | None) -> _Draft | None:
        for draft in reversed(self._drafts):
            if id is not None and draft.id == id:
                return draft
            if name is not None and draft.name == name and (id is None or draft.id is None):
                return draft
        return None

    def _touch(self, draft: _Draft) -> None:
        """Move the draft that was changed last to the end."""
        self._drafts.remove(draft)
        self._drafts.append(draft)


def apply_update(text: str, pattern: str, replacement: str, *, is_repeated: bool) -> str | None:
    """Replace a pattern in a text.

    Patterns are regular expressions, of which models use few kinds: the whole text, a literal text, and literal texts
    with wildcards between them. Others are not supported, since a pattern of a file could take unlimited time.

    Args:
        text: The text.
        pattern: The pattern.
        replacement: The replacement.
        is_repeated: Whether to replace all matches.

    Returns:
        The new text; None if the pattern is not found or not supported.
    """
    bare = _ANCHORS.sub("", _FLAGS.sub("", pattern).strip())
    if bare in _WHOLE:
        return replacement
    if not bare:
        return None
    if pattern in text:
        return text.replace(pattern, replacement, -1 if is_repeated else 1)
    if _REFERENCE.search(replacement):
        return None
    pieces, is_greedy = _split_pattern(bare)
    expanded = re.sub(r"\\([nt\\])", lambda found: _ESCAPES.get(found[1], found[1]), replacement)
    done: list[str] = []
    begin, found = 0, _find_pieces(text, 0, pieces, is_greedy)
    while found is not None:
        done += [text[begin : found[0]], expanded]
        begin = found[1]
        if not is_repeated or found[0] == found[1]:
            break
        found = _find_pieces(text, begin, pieces, is_greedy)
    return "".join([*done, text[begin:]]) if done else None


def _split_pattern(pattern: str) -> tuple[list[str], bool]:
    """Return the literal texts of a pattern with wildcards, and whether the wildcards are greedy."""
    pieces, is_greedy = [""], False
    for token in _TOKEN.finditer(pattern):
        if token[1] is not None:
            is_greedy = is_greedy or not token[1]
            pieces.append("")
        elif token[2] is not None:
            pieces[-1] += _ESCAPES.get(token[2], token[2])
        else:
            pieces[-1] += token[3]
    return pieces, is_greedy


def _find_pieces(text: str, begin: int, pieces: list[str], is_greedy: bool) -> tuple[int, int] | None:
    """Return the positions of consecutive texts, in linear time."""
    start = text.find(pieces[0], begin)
    if start < 0 or not any(pieces):
        return None
    at = start + len(pieces[0])
    if not is_greedy or len(pieces) == 1:
        for piece in pieces[1:]:
            found = text.find(piece, at)
            if found < 0:
                return None
            at = found + len(piece)
        return start, at
    end = limit = -1
    for piece in reversed(pieces[1:]):
        found = text.rfind(piece, at, len(text) if limit < 0 else limit)
        if found < 0:
            return None
        end = found + len(piece) if end < 0 else end
        limit = found
    return start, end


def _change(draft: _Draft, update: object) -> None:
    pattern: object = get(update, "pattern")
    replacement: object = get(update, "replacement")
    if not isinstance(replacement, str):
        return
    changed = None
    if isinstance(pattern, str):
        changed = apply_update(draft.text, pattern, replacement, is_repeated=get(update, "multiple") is True)
        if changed is not None and changed == replacement:
            draft.loose = []  # the complete text was rewritten
    if changed is None:
        draft.loose.append(replacement)
    else:
        draft.text = changed


def _parse_call(message: Message) -> tuple[dict[str, Any] | None, str]:
    """Return the arguments of a call (None if they are not a JSON object), and their text."""
    parts = message.parts or [get(message.content, "text")]
    text = "".join(part for part in parts if isinstance(part, str))
    for end in _ENDS:
        try:
            return as_object(json.loads(text + end, strict=False)), text
        except (ValueError, RecursionError):
            continue
    return None, text


def _reply_to(number: int, messages: Sequence[Message]) -> Message | None:
    """Return the result of a call, if there is one before the next call."""
    for message in messages[number + 1 :]:
        is_canvas = message.metadata.get("canvas") is not None or message.author.startswith("canmore")
        if message.role == "tool" and is_canvas:
            return message
        if message.recipient in _CALLS or message.role == "user":
            return None
    return None


def _id_of(reply: Message | None) -> str | None:
    if reply is None:
        return None
    known = _text(get(reply.metadata, "canvas", "textdoc_id"))
    if known is not None:
        return known
    for part in reply.parts:
        found = _ID.search(part) if isinstance(part, str) else None
        if found is not None:
            return found[1]
    return None


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
