"""Import of chats that have an ID: find new messages, and decide what to store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sekha._importing.digests import Digests, address_of, digest, digest_messages
from sekha._importing.sources import Extent, Known, Origin, chat_source

CONTINUED = " (continued)"
"""Suffix of the label of later messages, which are stored separately if the server cannot delete."""

OLDER = "earlier versions"
"""Kind of omitted conversations of which a later version is stored."""

ChatState = Literal["new", "unchanged", "older", "renamed", "grown", "edited"]
ChatAction = Literal["grown", "continued", "renamed", "replaced", "mended", "restored", "gone"]

_SUPPOSED = "="
"""Prefix of the generated ID of a partially stored conversation without an ID."""


class Chat(NamedTuple):
    """Metadata of a chat in its application.

    Attributes:
        id: ID of the application.
        label: Hash of the label.
        folder: Hash of the folder, without the month.
        updated_at: Time of the last update; empty if unknown.
    """

    id: str
    label: str
    folder: str
    updated_at: str = ""

    @property
    def is_supposed(self) -> bool:
        """Whether the ID was generated from the key of the conversation in the journal."""
        return self.id.startswith(_SUPPOSED)


def supposed_id(key: str) -> str:
    """Return a generated ID for a conversation without one, by its key in the journal."""
    return _SUPPOSED + key


def make_supposed(key: str, request: Mapping[str, Any]) -> Chat:
    """Return the metadata of a partially stored conversation without an ID."""
    return Chat(supposed_id(key), *address_of(request))


class Piece(NamedTuple):
    """A piece of a chat to store.

    Attributes:
        request: The request.
        sent: Hashes of the request.
        origin: Source of the piece, with its metadata.
        start: Number of messages before it.
    """

    request: dict[str, Any]
    sent: Digests
    origin: Origin
    start: int


def compare_chat(chat: Chat, messages: Sequence[Mapping[str, Any]], known: Mapping[int, Known]) -> ChatState:
    """Compare a chat with its stored pieces.

    Of two versions, the one that was updated later is newer; if that is unknown, the longer one.

    Args:
        chat: The current chat.
        messages: Its messages.
        known: Its stored pieces, by the number of messages before them, in order.

    Returns:
        The state of the chat.
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
    """Return label and folder if they have changed in the application; the memory keeps the others."""
    now = (("label", chat.label), ("folder", chat.folder))
    return [key for key, value in now if any(getattr(piece.digests, key) != value for piece in known.values())]


def cut_suffix(label: str, suffix: str) -> str:
    """Return a label without its suffix."""
    return label[: -len(suffix)] if suffix and label.endswith(suffix) else label


def make_pieces(
    chat: Chat, parts: Sequence[dict[str, Any]], label: str, messages: Sequence[Mapping[str, Any]], start: int = 0
) -> list[Piece]:
    """Return the pieces to store for the rest of a chat.

    Args:
        chat: The chat.
        parts: The requests, with consecutive messages.
        label: Label of the complete chat.
        messages: The same messages as in the application; the requests may omit images.
        start: Number of messages before them.

    Returns:
        The pieces, in order.
    """
    found: list[Piece] = []
    begin = start
    for number, request in enumerate(parts, start=1):
        size, suffix = len(request["messages"]), request["label"][len(label) :]
        extent = Extent(size, chat.updated_at, suffix, number == len(parts))
        said = messages[start - begin : start - begin + size]
        now = digest_messages(said)
        sent_messages = now if _is_same(said, request["messages"]) else digest_messages(request["messages"])
        sent = Digests(digest(request["label"]), digest(request["folder"]), sent_messages)
        origin = Origin(chat_source(chat.id, start), Digests(chat.label, chat.folder, now), extent)
        found.append(Piece(request, sent, origin, start))
        start += size
    return found


def _is_same(said: Sequence[object], sent: Sequence[object]) -> bool:
    return len(said) == len(sent) and all(one is other for one, other in zip(said, sent))


def whole_origin(chat: Chat, messages: Sequence[Mapping[str, Any]]) -> Origin:
    """Return the origin of a conversation that contains, or contained, a complete chat."""
    digests = Digests(chat.label, chat.folder, digest_messages(messages))
    return Origin(chat_source(chat.id), digests, Extent(len(messages), chat.updated_at, "", True))


def part_origin(chat: Chat, messages: Sequence[Mapping[str, Any]], start: int, begun: Origin | None) -> Origin:
    """Return the origin of an interrupted piece, of which only the first messages are stored.

    Args:
        chat: The chat.
        messages: The stored messages.
        start: Number of messages before them.
        begun: Origin of the complete piece, if recorded.

    Returns:
        The origin.
    """
    size, source, said = len(messages), chat_source(chat.id, start), digest_messages(messages)
    if begun is None:
        return Origin(source, Digests(chat.label, chat.folder, said), Extent(size, chat.updated_at))
    extent = begun.extent._replace(size=size, is_last=False)
    return Origin(source, begun.digests._replace(messages=said), extent)


def moved_origin(chat: Chat, start: int, piece: Known) -> Origin:
    """Return the origin of a piece, updated to the current label and folder of the chat."""
    digests = piece.digests._replace(label=chat.label, folder=chat.folder)
    extent = piece.extent._replace(updated_at=max(chat.updated_at, piece.extent.updated_at))
    return Origin(chat_source(chat.id, start), digests, extent)


def is_same_piece(piece: Piece, known: Known | None) -> bool:
    """Return whether a piece is already stored."""
    if known is None:
        return False
    now = piece.origin
    return known.digests == now.digests and known.extent[::2] == now.extent[::2]
