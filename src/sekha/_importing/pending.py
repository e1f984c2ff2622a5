"""What was on its way when an import was interrupted, and what of it is in the memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sekha._api.stored import Match, compare_messages
from sekha._importing.digests import Address, address_of, digest_messages
from sekha._importing.journal import Journal
from sekha._importing.plan import Item
from sekha._importing.sources import Origin, chat_source


class Sought(NamedTuple):
    """A conversation that may be in the memory, whole or in part.

    Attributes:
        item: What it is of.
        key: Its name in the journal.
        address: Under which label and folder it was sent.
        messages: What it has.
        start: The number of messages of a chat before it.
        origin: Where it is from, if that was noted.
        digest: The hash of the messages that were sent, if that was noted; the chat may be another one since.
    """

    item: Item
    key: str
    address: Address
    messages: Sequence[Mapping[str, Any]]
    start: int = 0
    origin: Origin | None = None
    digest: str = ""


class PartialMatch(NamedTuple):
    """A stored conversation with only the first messages of what was sent.

    Attributes:
        id: Its id.
        size: The number of its messages.
        is_ours: Whether it was certainly stored by an import that was interrupted.
    """

    id: str
    size: int
    is_ours: bool


def find_sought(item: Item, journal: Journal) -> Iterator[Sought]:
    """Yield what was begun of an item, and has an unknown outcome."""
    messages = item.request["messages"]
    has_pieces = False
    if item.chat is not None:
        has_pieces = bool(journal.pieces(item.chat.id))
        for begun in journal.begun(chat_source(item.chat.id)):
            start = int(begun.origin.source.section)
            address, sent = (begun.sent.label, begun.sent.folder), begun.sent.messages
            said = messages[start : start + begun.origin.extent.size]
            yield Sought(item, begun.key, address, said, start, begun.origin, sent)
    if item.entry.is_open and not has_pieces:
        # Versions that noted no ids put no month into folders.
        address = address_of(item.request) if item.chat is None else (item.chat.label, item.chat.folder)
        yield Sought(item, item.entry.key, address, messages)


def match_sought(sought: Sought, address: Address, messages: Sequence[Mapping[str, Any]]) -> Match:
    """Return whether messages that are stored at an address are what is sought, or its beginning."""
    if address != sought.address:
        return "other"
    if sought.digest and digest_messages(messages) == sought.digest:
        return "same"
    return compare_messages(sought.messages, messages)
