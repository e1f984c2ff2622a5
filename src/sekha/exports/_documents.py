"""Documents that a model wrote next to a conversation: each is included once, after its last change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional, Union

from sekha.exports._building import ConversationBuilder

UNTITLED = "document"


class Change(NamedTuple):
    """A change of a document.

    Attributes:
        id: ID of the document.
        title: Its title; empty if not given.
        text: The complete text, or the replacement of `old`.
        old: The replaced text; None if `text` is the complete text.
    """

    id: str
    title: str
    text: str
    old: str | None = None


Piece = Union[str, Change]
"""A piece of a message: text, or a document."""


class Reply(NamedTuple):
    """A message with documents, which are known only after all messages were read.

    Attributes:
        role: The role, as the application names it.
        pieces: Its pieces; a generator may count omitted items.
        time: Its timestamp.
        if_blank: As in `ConversationBuilder.add`.
    """

    role: object
    pieces: Iterable[Piece]
    time: object
    if_blank: Optional[str] = None


def add_with_documents(replies: Iterable[Reply], built: ConversationBuilder) -> None:
    """Add messages; a document that is changed later is only a title, in messages without other text."""
    read: list[tuple[Reply, list[Piece], bool]] = []
    for reply in replies:
        before = built.counted
        pieces = list(reply.pieces)
        read.append((reply, pieces, built.counted > before))
    shown = iter(_show([piece for _, pieces, _ in read for piece in pieces]))
    for reply, pieces, is_counted in read:
        texts = [text for _, text in zip(pieces, shown) if text.strip()] or _titles(pieces)
        if texts or reply.if_blank or not is_counted:
            built.add(reply.role, texts, reply.time, if_blank=reply.if_blank)


def titled(title: str, text: str = "") -> str:
    """Return a document with its title, or only the title."""
    return f"[{title}]\n{text}" if text else f"[{title}]"


def _titles(pieces: Iterable[Piece]) -> list[str]:
    return [*dict.fromkeys(titled(piece.title or UNTITLED) for piece in pieces if isinstance(piece, Change))]


def _show(pieces: Sequence[Piece]) -> list[str]:
    """Return a text for each piece; the full text of a document is only at its last change."""
    titles: dict[str, str] = {}
    contents: dict[str, str] = {}
    last: dict[str, int] = {}
    for number, piece in enumerate(pieces):
        if isinstance(piece, str):
            continue
        content = contents.get(piece.id, "")
        if piece.old is None or not content:
            content = piece.text
        elif piece.old and piece.old in content:
            content = content.replace(piece.old, piece.text, 1)
        elif piece.text not in content:
            content = f"{content}\n{piece.text}"  # its position is unknown: keep it, so that it is not lost
        contents[piece.id], last[piece.id] = content, number
        titles[piece.id] = piece.title or titles.get(piece.id, "")
    return [
        piece if isinstance(piece, str)
        else titled(titles[piece.id] or piece.id or UNTITLED, contents[piece.id]) if last[piece.id] == number
        else ""
        for number, piece in enumerate(pieces)
    ]  # fmt: skip
