"""The text of a note: its characters, its front matter, and the sections below its headings."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from typing import NamedTuple

from sekha.exports._building import Unreadable

_ENCODINGS = ((BOM_UTF8, "utf-8"), (BOM_UTF16_LE, "utf-16-le"), (BOM_UTF16_BE, "utf-16-be"))
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


class Decoded(NamedTuple):
    """A text, with a warning about replaced bytes; None if there are none."""

    text: str
    problem: str | None


def decode(data: bytes) -> Decoded:
    """Return the text of a file: UTF-8, or UTF-16 with a byte order mark; its lines end with a line feed.

    Each byte that is not UTF-8 is replaced.

    Raises:
        Unreadable: The file is not a text file.
    """
    encoding, data = next(
        ((encoding, data[len(mark) :]) for mark, encoding in _ENCODINGS if data.startswith(mark)), ("utf-8", data)
    )
    problem = None
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        text = data.decode(encoding, "replace")
        bad = text.count(_REPLACEMENT) - data.decode(encoding, "ignore").count(_REPLACEMENT)
        line = _count_lines(data[: error.start].decode(encoding, "ignore"))
        if bad > max(len(text) / 10, 1):
            raise Unreadable(f"not UTF-8 text (line {line}: {error.reason})") from None
        problem = f"bytes that are not UTF-8 are replaced by {_REPLACEMENT} ({bad}, the first in line {line})"
    if "\0" in text:
        line = _count_lines(text[: text.index("\0")])
        raise Unreadable(f"not a text file: NUL character in line {line}")
    return Decoded(text.replace("\r\n", "\n").replace("\r", "\n"), problem)


def _count_lines(text: str) -> int:
    return len(re.split("\r\n|\r|\n", text))


class Section(NamedTuple):
    """A part of a note.

    Attributes:
        path: Its headings, from the outermost to its own; empty before the first heading.
        level: The level of the first heading of the path; 0 without one.
        line: Its first line, from 1.
        text: The complete text, with its heading.
    """

    path: tuple[str, ...]
    level: int
    line: int
    text: str


def split_sections(text: str) -> Iterator[Section]:
    """Yield a section for each heading (``#`` to ``######``) outside code blocks.

    A heading without text is included in the following section below it, so that nothing is lost.
    """
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    begin, has_text, fence = 1, False, ""

    def section() -> Section:
        return Section(tuple(name for _, name in path), path[0][0] if path else 0, begin, "\n".join(lines).strip("\n"))

    for number, line in enumerate(text.split("\n"), start=1):
        fence, was_fenced = _next_fence(line, fence), bool(fence)
        heading = None if was_fenced or fence else _HEADING.fullmatch(line)
        if heading is None:
            has_text = has_text or bool(line.strip())
            lines.append(line)
            continue
        level = len(heading[1])
        is_deeper = bool(path) and level > path[-1][0]
        if has_text or (path and not is_deeper):
            yield section()
            lines, begin = [], number
        while path and path[-1][0] >= level:
            path.pop()
        path.append((level, " ".join((heading[2] or "").split())))
        lines.append(line)
        has_text = False
    if has_text or path:
        yield section()


def _next_fence(line: str, fence: str) -> str:
    """Return the fence of the code block after a line; empty outside code blocks."""
    found = _FENCE.fullmatch(line)
    if found is None:
        return fence
    if not fence:
        return "" if found[1][0] == "`" and "`" in found[2] else found[1]
    return "" if found[1].startswith(fence) and not found[2].strip() else fence
