"""Marks in answers of ChatGPT: keep the visible text of names, links and products, and remove citations.

A mark is U+E200, its kind, U+E202 between its parts, and U+E201. Until 2024 citations were ``【11†source】`` or
``:contentReference[oaicite:0]{index=0}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from sekha._utils.json_access import as_list, as_object, get

_MARK = re.compile("\ue200([A-Za-z_]\\w*)((?:\ue202[^\ue200\ue201]*)?)\ue201")
_UNENDED = re.compile("\ue200([A-Za-z_]\\w*)((?:\ue202[^\\s\ue200-\ue206]*)+)")
_LOOSE = re.compile("\ue202turn\\d+[a-z_]+\\d+")
_CONTROLS = "\ue200\ue201\ue202\ue203\ue204\ue205\ue206"
_WITHOUT_CONTROLS = str.maketrans("", "", _CONTROLS)
_OLD = re.compile(
    r"【[^【】\n]{0,200}?†[^【】\n]{0,500}?】"
    r"|【oaicite:\d+】"
    r"|:contentReference\[oaicite:\d+\](?:\{index=\d+\})?"
    r"|:chatgpt-content-reference\{[^{}\n]{0,200}\}"
)
_TURN = re.compile(r"turn\d+[a-z_]+\d+\Z")
_LOST = re.compile(r"(?:file)?cite(?:turn\d+[a-z_]+\d+)+\Z|\w*entity\[")
"""A mark without its control characters; only recognized if it is in the references of the message."""

_WITHOUT_WORDS = frozenset({
    "cite", "filecite", "memcite", "i", "image", "image_group", "image_inline", "navlist", "map", "finance", "forecast",
    "schedule", "standing", "sources", "businesses_map", "video_group",
})  # fmt: skip
"""Kinds of marks for a picture, a card or a list of sources."""
_SOURCES = frozenset({
    "grouped_webpages", "grouped_webpages_v2", "webpage", "webpage_extended", "sources_footnote", "file", "hidden",
    "image_group", "image_inline", "image_v2", "nav_list", "navigation", "attribution", "invalid", "not_found",
})  # fmt: skip
"""Kinds of `content_references` whose text is not part of the sentence."""


def replace_marks(text: str, references: object = None, note: Callable[[str], None] = lambda what: None) -> str:
    """Replace marks by their visible text, and remove citations.

    Args:
        text: A part of a message.
        references: The `content_references` of the message, with the texts of marks.
        note: Called with the name of an unrecognized item.

    Returns:
        The text.
    """
    if not references and "\ue200" not in text:
        return text
    known = {
        matched: reference
        for reference in as_list(references) or ()
        if isinstance(matched := get(reference, "matched_text"), str)
    }
    text = _cut(_MARK, text, lambda mark: _words_of(mark, known.get(mark.group()), note))
    for matched in known:
        if _LOST.match(matched) and matched in text:
            text = _cut(re.compile(re.escape(matched)), text, lambda mark: _referred(known[mark.group()]))
    return text


def remove_citations(text: str) -> str:
    """Remove citations in older formats, and rests of damaged marks, from an answer.

    Questions are not changed, since they may contain such characters: terminal fonts use them for icons.
    """
    if "†" in text or "oaicite:" in text or ":chatgpt-content-reference" in text:
        text = _cut(_OLD, text, lambda mark: "")
    if text.isascii() or not any(control in text for control in _CONTROLS):
        return text
    text = _cut(_UNENDED, text, lambda mark: _words_of(mark, None, lambda what: None))
    text = _cut(_LOOSE, text, lambda mark: "")
    return text.translate(_WITHOUT_CONTROLS)


def _cut(pattern: re.Pattern[str], text: str, words: Callable[[re.Match[str]], str]) -> str:
    """Replace matches; for an empty replacement, also remove the space before the match."""
    pieces: list[str] = []
    begin = 0
    for found in pattern.finditer(text):
        before, shown = text[begin : found.start()], words(found)
        pieces.append(before)
        begin = found.end()
        if not shown and (not before or before[-1] in " \t"):
            following = text[begin : begin + 1]
            if not following or following in " \t\n.,;:!?)]":
                _strip_end(pieces)
        pieces.append(shown)
    return "".join([*pieces, text[begin:]])


def _strip_end(pieces: list[str]) -> None:
    for number in reversed(range(len(pieces))):
        pieces[number] = pieces[number].rstrip(" \t")
        if pieces[number]:
            return


def _words_of(mark: re.Match[str], reference: object, note: Callable[[str], None]) -> str:
    """Return the visible text of a mark."""
    kind, parts = mark[1], mark[2].split("\ue202")[1:]
    first = parts[0] if parts else ""
    if kind in _WITHOUT_WORDS:
        return ""
    data = _parse(first)
    if kind == "genui":
        return _formula(data)
    if kind == "products":
        names = (_second(one) for one in as_list(get(data, "selections")) or ())
        return ", ".join(name for name in names if name)
    if kind in ("url", "link_title", "video"):
        return "" if _TURN.match(first) else first or _referred(reference)
    if kind.endswith("entity"):
        found = _second(data) or _referred(reference)
        is_broken = data is None and first.startswith(("[", "{"))
        return found or (_quoted(first) if is_broken else first if data is None else "")
    if get(reference, "type") in _SOURCES:
        return ""
    is_plain = bool(first) and not first.startswith(("[", "{")) and not _TURN.match(first)
    words = _referred(reference) or _second(data) or (first if is_plain else "")
    if not words:
        note(f"mark {kind}")
    return words


def _parse(text: str) -> object:
    if not text.startswith(("[", "{")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _second(data: object) -> str:
    """Return the name in ``["city", "Lisbon", "capital"]``: the second entry, or the only one."""
    listed = as_list(data) or []
    names = [name for name in listed[1:2] or listed[:1] if isinstance(name, str) and not _TURN.match(name)]
    return names[0] if names else _named(data)


def _named(data: object) -> str:
    found: Any = next((name for key in ("name", "title", "label") if isinstance(name := get(data, key), str)), "")
    return str(found)


def _quoted(text: str) -> str:
    """Return the second quoted text of truncated JSON."""
    quoted = re.findall(r'"((?:[^"\\]|\\.)*)"?', text)
    return next((str(name) for name in quoted[1:2] or quoted[:1]), "")


def _formula(data: object) -> str:
    """Return the formula of a math block; other widgets contain no text of the answer."""
    for kind, block in (as_object(data) or {}).items():
        content = get(block, "content")
        if kind.startswith("math_block") and isinstance(content, str):
            return f"\\({content}\\)"
    return ""


def _referred(reference: object) -> str:
    """Return the text of a mark in the references of the message."""
    if get(reference, "type") in _SOURCES:
        return ""
    found: Any = next(
        (words for key in ("name", "title", "alt") if isinstance(words := get(reference, key), str) and words), ""
    )
    return str(found)
