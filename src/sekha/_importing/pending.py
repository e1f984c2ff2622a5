"""Conversations with an unknown outcome after an interruption, and matching stored conversations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sekha._api.stored import Match, compare_messages
from sekha._importing.digests import Address, address_of, digest_messages
from sekha._importing.journal import Journal
from sekha._importing.plan import Item
from sekha._importing.sources import Origin, chat_source


class Sought(NamedTuple):
    """A conversation that may be in the memory, completely or partially.

    Attributes:
        item: The item of the import.
        key: Its key in the journal.
        address: Label and folder of the request.
        messages: Its messages.
        start: Number of messages of the chat before it.
        origin: Its source, if recorded.
        digest: Hash of the sent messages, if recorded; the chat may have changed since.
    """

    item: Item
    key: str
    address: Address
    messages: Sequence[Mapping[str, Any]]
    start: int = 0
    origin: Origin | None = None
    digest: str = ""


class PartialMatch(NamedTuple):
    """A stored conversation that has only the first of the sent messages.

    Attributes:
        id: Its ID.
        size: Number of its messages.
        is_ours: Whether it was certainly stored by an interrupted import.
    """

    id: str
    size: int
    is_ours: bool


def find_sought(item: Item, journal: Journal) -> Iterator[Sought]:
    """Yield the conversations of an item with an unknown outcome."""
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
        # Versions that did not record IDs did not add a month to folders.
        address = address_of(item.request) if item.chat is None else (item.chat.label, item.chat.folder)
        yield Sought(item, item.entry.key, address, messages)


def match_sought(sought: Sought, address: Address, messages: Sequence[Mapping[str, Any]]) -> Match:
    """Compare messages stored at an address with the pending ones: all of them, the first ones, or no match."""
    if address != sought.address:
        return "other"
    if sought.digest and digest_messages(messages) == sought.digest:
        return "same"
    return compare_messages(sought.messages, messages)
