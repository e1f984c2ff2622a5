"""The decisions of an import about chats that have an id: what is new in them, and what is stored of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sekha._importing.digests import Digests, address_of, digest, digest_messages
from sekha._importing.sources import Extent, Known, Origin, chat_source

CONTINUED = " (continued)"
"""What stands behind the label of what was said later, where the server cannot delete what is stored."""

OLDER = "earlier versions"
"""How those are counted that are left out because a later one is stored."""

ChatState = Literal["new", "unchanged", "older", "renamed", "grown", "edited"]
ChatAction = Literal["grown", "continued", "renamed", "replaced", "mended", "restored", "gone"]

_SUPPOSED = "="
"""How the id begins of a conversation without one, of which only a part was stored."""


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

    @property
    def is_supposed(self) -> bool:
        """Whether it has no id, and is known by the name of its conversation in the journal."""
        return self.id.startswith(_SUPPOSED)


def supposed_id(key: str) -> str:
    """Return what stands for the id of a conversation without one, by its name in the journal."""
    return _SUPPOSED + key


def make_supposed(key: str, request: Mapping[str, Any]) -> Chat:
    """Return what a conversation without an id is, of which a part is stored."""
    return Chat(supposed_id(key), *address_of(request))


class Piece(NamedTuple):
    """What is stored of a chat.

    Attributes:
        request: What is sent.
        sent: The hashes of that.
        origin: Where it is from, and what it was like there.
        start: The number of messages before it.
    """

    request: dict[str, Any]
    sent: Digests
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


def make_pieces(
    chat: Chat, parts: Sequence[dict[str, Any]], label: str, messages: Sequence[Mapping[str, Any]], start: int = 0
) -> list[Piece]:
    """Return the pieces as which the rest of a chat is stored.

    Args:
        chat: The chat.
        parts: The requests, of which each has the messages that follow those of the one before.
        label: The label of the whole chat.
        messages: The same messages as they are in the application; images may have been left out of the requests.
        start: The number of messages before them.
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
    """Return the origin of a conversation that is all of a chat, or was when it had these messages."""
    digests = Digests(chat.label, chat.folder, digest_messages(messages))
    return Origin(chat_source(chat.id), digests, Extent(len(messages), chat.updated_at, "", True))


def part_origin(chat: Chat, messages: Sequence[Mapping[str, Any]], start: int, begun: Origin | None) -> Origin:
    """Return the origin of a piece of which only the first messages are stored, since storing it was interrupted.

    Args:
        chat: The chat.
        messages: The messages that are stored.
        start: The number of messages before them.
        begun: The origin of the whole piece, if that was noted.
    """
    size, source, said = len(messages), chat_source(chat.id, start), digest_messages(messages)
    if begun is None:
        return Origin(source, Digests(chat.label, chat.folder, said), Extent(size, chat.updated_at))
    extent = begun.extent._replace(size=size, is_last=False)
    return Origin(source, begun.digests._replace(messages=said), extent)


def moved_origin(chat: Chat, start: int, piece: Known) -> Origin:
    """Return the origin of a piece that has the label and folder now that the chat has."""
    digests = piece.digests._replace(label=chat.label, folder=chat.folder)
    extent = piece.extent._replace(updated_at=max(chat.updated_at, piece.extent.updated_at))
    return Origin(chat_source(chat.id, start), digests, extent)


def is_same_piece(piece: Piece, known: Known | None) -> bool:
    """Return whether a piece is stored already."""
    if known is None:
        return False
    now = piece.origin
    return known.digests == now.digests and known.extent[::2] == now.extent[::2]
