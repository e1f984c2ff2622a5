"""Convert HTML to plain text, with its lines, lists and code."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Optional

_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "figcaption", "figure", "footer", "form",
    "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "nav", "ol", "p", "pre", "section", "table", "ul",
))  # fmt: skip
_SKIPPED = ("script", "style", "template")
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_TAGS = re.compile(r"<[^>]*>?")


def html_to_text(source: str) -> str:
    """Return the plain text of HTML."""
    reader = _Reader()
    try:
        reader.feed(source)
        reader.close()
    except (AssertionError, NotImplementedError):  # for invalid declarations, in older versions of Python
        return _BLANKS.sub(" ", html.unescape(_TAGS.sub(" ", source))).strip()
    return reader.text()


class _Reader(HTMLParser):
    """Collects the text of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._lists: list[Optional[int]] = []  # the number of the next item; None for unordered lists
        self._skipped = 0
        self._in_pre = 0
        self._in_code = 0
        self._is_item_begin = False

    def text(self) -> str:
        text = "".join(self._parts).replace("\xa0", " ")
        text = re.sub(r"[ \t]+\n", "\n", text)
        return re.sub(r"\n{3,}", "\n\n", text).strip("\n ")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        if tag in _SKIPPED:
            self._skipped += 1
        elif tag == "br":
            self._parts.append("\n")
        elif tag == "li":
            self._begin_item()
        elif tag == "tr":
            self._begin_line()
        elif tag in ("td", "th"):
            if self._parts and not self._is_line_begin():
                self._parts.append(" | ")
        elif tag == "img":
            alt = (dict(attrs).get("alt") or "").strip()
            self._parts.append(f"[{alt or 'image'}]")
        elif tag == "code" and not self._in_pre:
            self._in_code += 1
            self._parts.append("`")
        elif tag in _BLOCKS:
            self._begin_block()
        if tag in ("ol", "ul"):
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "pre":
            self._in_pre += 1
            self._parts.append("```\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag in _SKIPPED or tag in ("pre", "ol", "ul", "code"):
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _SKIPPED:
            self._skipped = max(self._skipped - 1, 0)
        elif tag == "pre" and self._in_pre:
            self._in_pre -= 1
            self._begin_line()
            self._parts.append("```\n\n")
        elif tag == "code" and not self._in_pre and self._in_code:
            self._in_code -= 1
            self._parts.append("`")
        elif tag in _BLOCKS:
            if tag in ("ol", "ul") and self._lists:
                self._lists.pop()
            self._begin_block()

    def handle_data(self, data: str) -> None:
        if self._skipped:
            return
        if self._in_pre:
            self._parts.append(data)
            return
        data = _BLANKS.sub(" ", data)
        if self._is_line_begin():
            data = data.lstrip(" ")
        if data:
            self._parts.append(data)
            self._is_item_begin = self._is_item_begin and data == " "

    def _is_line_begin(self) -> bool:
        return not self._parts or self._parts[-1].endswith("\n")

    def _begin_line(self) -> None:
        if not self._is_line_begin():
            self._parts.append("\n")

    def _begin_block(self) -> None:
        """Start a paragraph after a blank line; in a list, on a new line."""
        if self._is_item_begin:
            return
        self._begin_line()
        if self._parts and not self._lists:
            self._parts.append("\n")

    def _begin_item(self) -> None:
        self._begin_line()
        self._is_item_begin = True
        number = self._lists[-1] if self._lists else None
        indent = "  " * (len(self._lists) - 1)
        self._parts.append(f"{indent}- " if number is None else f"{indent}{number}. ")
        if number is not None:
            self._lists[-1] = number + 1
