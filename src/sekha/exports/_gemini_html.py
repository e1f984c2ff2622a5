"""Gemini activity as HTML, the default format of Google Takeout."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from sekha.exports._building import ConversationBuilder, ReadConversation
from sekha.exports._gemini import NOTES, OTHERS, Activity, Entry, activity, days_of, is_gemini_name, is_known_activity
from sekha.exports._html_text import html_to_text
from sekha.exports._takeout_dates import is_takeout_date, takeout_seconds

_CARD = re.compile(r"""<div[^>]{0,40}class=["'][^"'>]*\bouter-cell\b""", re.IGNORECASE)
_MAX_TAG = 200
_HEADER = re.compile(
    r"""<div[^>]*class=["'][^"'>]*\bheader-cell\b[^>]*>(.{0,500}?)(?:</div>|\Z)""", re.IGNORECASE | re.DOTALL
)
_CELL = re.compile(r"""<div[^>]*class=["'][^"'>]*\bcontent-cell\b([^>]*)>""", re.IGNORECASE)
_BLOCK = re.compile(r"<(?:p|div|h[1-6]|ul|ol|pre|table|blockquote|hr)\b", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_LINK = re.compile(r"""<a\b[^>]*href=["']([^"']*)["']""", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_GEM = re.compile(r"https?://gemini\.google\.com/gems?\b")
_VERB = re.compile(r"[^\xa0\n]{1,40}\xa0+")
"""A verb, in any language, which a non-breaking space separates from the prompt."""
_KNOWN = "Prompted "


def is_gemini_html(head: str) -> bool:
    """Return whether a file is Gemini's activity, by its first entries."""
    if head.lstrip()[:1] != "<" or not _CARD.search(head):
        return False
    return any(is_gemini_name(html_to_text(header[1])) for header in _HEADER.finditer(head))


def parse_gemini_html(pieces: Iterable[str], folder: str | None) -> Iterator[ReadConversation]:
    """Yield a conversation for each day."""
    return days_of(map(_entry, _cards(pieces)), folder)


def _cards(pieces: Iterable[str]) -> Iterator[str]:
    """Yield the HTML of one entry after another."""
    text, begin, searched = "", -1, 0  # beginning of the current entry
    for piece in pieces:
        text += piece
        while found := _CARD.search(text, searched):
            if begin >= 0:
                yield text[begin : found.start()]
            begin, searched = found.start(), found.end()
        keep = begin if begin >= 0 else max(len(text) - _MAX_TAG, 0)
        text, begin = text[keep:], begin - keep if begin >= 0 else -1
        searched = max(len(text) - _MAX_TAG, 1 if begin == 0 else 0)
    if begin >= 0:
        yield text[begin:]


def _entry(card: str) -> Entry:
    header = _HEADER.search(card)
    if header is None:
        return None, _nothing
    if not is_gemini_name(html_to_text(header[1])):
        return None, _other
    cells = list(_CELL.finditer(card))
    number = next((number for number, cell in enumerate(cells) if "text-right" not in cell[0]), None)
    if number is None:
        return None, _nothing
    end = cells[number + 1].start() if number + 1 < len(cells) else len(card)
    content = card[cells[number].end() : end]
    block = _BLOCK.search(content)
    lines = _BREAK.split(content[: block.start() if block else len(content)])
    rest = content[block.start() :] if block else ""
    dates = [number for number, line in enumerate(lines) if is_takeout_date(html_to_text(line))]
    if not dates:
        return None, lambda built: _read(lines, rest, None, built)
    time = takeout_seconds(html_to_text(lines[dates[-1]]))
    said, answered = lines[: dates[-1]], "<br>".join(lines[dates[-1] + 1 :]) + rest
    return time, lambda built: _read(said, answered, time, built)


def _other(built: ConversationBuilder) -> None:
    built.leave_out(OTHERS)


def _nothing(built: ConversationBuilder) -> None:
    built.not_understood("an entry without its cells")


def _read(lines: list[str], answer: str, time: float | None, built: ConversationBuilder) -> Activity | None:
    files: list[str] = []
    while lines and not html_to_text(lines[-1]):
        lines = lines[:-1]
    while lines and _LINK.search(lines[-1]):  # below the prompt
        link, text = _LINK.search(lines[-1]), html_to_text(lines[-1])
        if link and _GEM.match(link[1]):
            built.leave_out(NOTES)
        elif text.startswith("-"):
            files.insert(0, text.lstrip("- "))
        else:
            break
        lines = lines[:-1]
    if files and len(lines) > 1 and re.search(rf"(?<!\d){len(files)}(?!\d)", html_to_text(lines[-1])):
        lines = lines[:-1]  # "Attached 1 file.", in any language
    title = "\n".join(html.unescape(_TAG.sub("", line)) for line in lines).strip(" \t\r\n")
    verb = _VERB.match(title)
    if verb and not is_known_activity(title):
        title = _KNOWN + title[verb.end() :]
    return activity(time, title, files, [html_to_text(answer)], built)
