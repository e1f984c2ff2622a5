"""The decisions of an import about chats that have an id: what is new in them, and what is stored of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sekha._importing.digests import Digests, digest_messages
from sekha._importing.sources import Extent, Known, Origin, chat_source

CONTINUED = " (continued)"
"""What stands behind the label of what was said later, where the server cannot delete what is stored."""

ChatState = Literal["new", "unchanged", "older", "renamed", "grown", "edited"]


class Chat(NamedTuple):
    """What an application says of a chat, beside its messages.

    Attributes:
        id: The id that the application gave it.
        label: The hash of its label.
        folder: The hash of its folder, without the month.
        updated_at: When it was changed last; empty if nobody knows.
    """

    id: str
    label: str
    folder: str
    updated_at: str = ""


class Piece(NamedTuple):
    """What is stored of a chat: a request, where it is from, and the number of messages before it."""

    request: dict[str, Any]
    origin: Origin
    start: int


def compare_chat(chat: Chat, messages: Sequence[Mapping[str, Any]], known: Mapping[int, Known]) -> ChatState:
    """Return what a chat is, compared with its pieces that are stored.

    Of two versions the one that was changed later is the newer one, or where nobody knows that the longer one.

    Args:
        chat: The chat as it is now.
        messages: Its messages.
        known: Its pieces, by the number of messages before them, in their order.
    """
    if not known:
        return "new"
    if is_older(chat, len(messages), known):
        return "older"
    end = 0
    for start, piece in known.items():
        size = piece.extent.size
        if start != end or end + size > len(messages):
            return "edited"
        if piece.digests.messages != digest_messages(messages[start : start + size]):
            return "edited"
        end += size
    if end < len(messages):
        return "grown"
    return "renamed" if changed_keys(chat, known) else "unchanged"


def is_older(chat: Chat, size: int, known: Mapping[int, Known]) -> bool:
    """Return whether a later version of a chat is stored."""
    updated_at = max(piece.extent.updated_at for piece in known.values())
    if chat.updated_at and updated_at:
        return chat.updated_at < updated_at
    return size < sum(piece.extent.size for piece in known.values())


def changed_keys(chat: Chat, known: Mapping[int, Known]) -> list[str]:
    """Return which of label and folder have changed in the application; the others stay as they are in the memory."""
    now = (("label", chat.label), ("folder", chat.folder))
    return [key for key, value in now if any(getattr(piece.digests, key) != value for piece in known.values())]


def cut_suffix(label: str, suffix: str) -> str:
    """Return a label without what was put behind it."""
    return label[: -len(suffix)] if suffix and label.endswith(suffix) else label


def make_pieces(chat: Chat, parts: Sequence[dict[str, Any]], label: str, start: int = 0) -> list[Piece]:
    """Return the pieces as which the rest of a chat is stored.

    Args:
        chat: The chat.
        parts: The requests, of which each has the messages that follow those of the one before.
        label: The label of the whole chat.
        start: The number of messages before them.
    """
    found: list[Piece] = []
    for number, request in enumerate(parts, start=1):
        size, suffix = len(request["messages"]), request["label"][len(label) :]
        extent = Extent(size, chat.updated_at, suffix, number == len(parts))
        digests = Digests(chat.label, chat.folder, digest_messages(request["messages"]))
        found.append(Piece(request, Origin(chat_source(chat.id, start), digests, extent), start))
        start += size
    return found


def part_origin(chat: Chat, messages: Sequence[Mapping[str, Any]], start: int, suffix: str) -> Origin:
    """Return the origin of a piece of which only the first messages are stored, since the server was interrupted."""
    digests = Digests(chat.label, chat.folder, digest_messages(messages))
    return Origin(chat_source(chat.id, start), digests, Extent(len(messages), chat.updated_at, suffix))


def is_same_piece(piece: Piece, known: Known | None) -> bool:
    """Return whether a piece is stored already."""
    if known is None:
        return False
    now = piece.origin
    return known.digests == now.digests and known.extent[::2] == now.extent[::2]
