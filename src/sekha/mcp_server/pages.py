"""The pages of an export: of a size that clients accept, without losing a character."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sekha._api.validation import argument_error

from .previews import text_of
from .results import Piece

PAGE_SIZE = 16_000
"""Bytes of a page. An answer has them twice, as text and as data; clients refuse more than about 25,000 tokens."""

_OVERHEAD = 150
"""Bytes that a message needs for all but its text."""


def page_of(messages: Sequence[Mapping[str, Any]], page: int, size: int = PAGE_SIZE) -> tuple[list[Piece], int]:
    """Return a page, and how many there are.

    Args:
        messages: The messages of a conversation.
        page: Number of the page, from 1 on.
        size: Bytes of a page.

    Raises:
        SekhaValidationError: There is no such page.
    """
    pages = list(split(messages, size))
    if page > len(pages):
        raise argument_error("page", f"must be at most {len(pages)}, the number of pages of this conversation")
    return pages[page - 1], len(pages)


def split(messages: Sequence[Mapping[str, Any]], size: int) -> Iterator[list[Piece]]:
    """Yield the pages, at least one; a message that is too long for a page goes on in the next one."""
    page: list[Piece] = []
    left = size
    for number, message in enumerate(messages, start=1):
        text = text_of(message["content"])
        while True:
            head = take(text, left - _OVERHEAD)
            fits = len(head) == len(text)
            if fits or (head and len(text.encode()) + _OVERHEAD > size):
                page.append(Piece(number=number, role=message["role"], date=message.get("timestamp"), content=head))
                text = text[len(head) :]
            if fits:
                left -= len(head.encode()) + _OVERHEAD
                break
            yield page
            page, left = [], size
    yield page


def take(text: str, size: int) -> str:
    """Return the beginning of a text in at most so many bytes of UTF-8."""
    return text.encode()[: max(size, 0)].decode(errors="ignore")
