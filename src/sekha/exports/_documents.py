"""Documents that a model wrote beside the conversation: each is shown once, as it was after its last change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional, Union

from sekha.exports._building import ConversationBuilder

UNTITLED = "document"


class Change(NamedTuple):
    """What happens to a document.

    Attributes:
        id: Which document it is.
        title: Its title; empty if it is not said.
        text: The whole of it, or what takes the place of `old`.
        old: What is replaced; None if `text` is all of it.
    """

    id: str
    title: str
    text: str
    old: str | None = None


Piece = Union[str, Change]
"""What a message consists of: text, and documents."""


class Reply(NamedTuple):
    """A message whose documents are not known before all messages are read.

    Attributes:
        role: Who says it, in the words of the application.
        pieces: What it says; a generator may count what it leaves out.
        time: When it was written.
        if_blank: As in `ConversationBuilder.add`.
    """

    role: object
    pieces: Iterable[Piece]
    time: object
    if_blank: Optional[str] = None


def add_with_documents(replies: Iterable[Reply], built: ConversationBuilder) -> None:
    """Add messages; what was changed again later has only its title where nothing else is said."""
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
    """Return a document with its title, or the title alone."""
    return f"[{title}]\n{text}" if text else f"[{title}]"


def _titles(pieces: Iterable[Piece]) -> list[str]:
    return [*dict.fromkeys(titled(piece.title or UNTITLED) for piece in pieces if isinstance(piece, Change))]


def _show(pieces: Sequence[Piece]) -> list[str]:
    """Return a text for each piece: a document stands with all of it where it was changed last, and only there."""
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
            content = f"{content}\n{piece.text}"  # it is not known where it goes, and must not be lost
        contents[piece.id], last[piece.id] = content, number
        titles[piece.id] = piece.title or titles.get(piece.id, "")
    return [
        piece if isinstance(piece, str)
        else titled(titles[piece.id] or piece.id or UNTITLED, contents[piece.id]) if last[piece.id] == number
        else ""
        for number, piece in enumerate(pieces)
    ]  # fmt: skip
