"""The stored conversations of notes, and of chats that have an ID.

A chat is stored in one piece or in several: a chat that is too large for one conversation is split, and later messages
are separate if the server cannot delete.
"""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from typing import NamedTuple

from sekha._importing.digests import Digests
from sekha.exports._notes import Source

_CHAT = "/"
"""Prefix of the file of a source that is a chat; files of notes have relative paths."""


def chat_source(chat: str, start: int = 0) -> Source:
    """Return the source of a piece of a chat, by the ID of the chat and the number of messages before the piece."""
    return Source(_CHAT + chat, str(start))


def is_chat(source: Source) -> bool:
    """Return whether a source is a piece of a chat, not a note."""
    return source.file.startswith(_CHAT)


class Extent(NamedTuple):
    """The extent of a piece of a chat.

    Attributes:
        size: Number of its messages; 0 for a note.
        updated_at: Update time of the chat; empty if unknown.
        suffix: Suffix of its label, after the label of the chat.
        is_last: Whether it is the last piece; pieces that do not precede it are from an earlier version.
    """

    size: int = 0
    updated_at: str = ""
    suffix: str = ""
    is_last: bool = False


class Origin(NamedTuple):
    """The source of a conversation, with the hashes of its contents."""

    source: Source
    digests: Digests
    extent: Extent = Extent()


class Known(NamedTuple):
    """The stored conversation of a source: its ID, and the hashes of its contents."""

    id: str
    digests: Digests
    extent: Extent = Extent()


class SourceIndex:
    """The conversation of each source, and earlier versions that are still in the memory.

    Attributes:
        stale: The source of each earlier version, by ID.
    """

    def __init__(self) -> None:
        self._known: defaultdict[str, dict[str, Known]] = defaultdict(dict)  # by file, and section
        self._source_of: dict[str, Source] = {}
        self.stale: dict[str, Source] = {}

    def owns(self, id: str) -> bool:
        """Return whether a conversation is the current one of a source."""
        return id in self._source_of

    def notes(self) -> dict[Source, Known]:
        """Return the stored conversation of each note."""
        return {
            source: known
            for file, sections in self._known.items()
            for section, known in sections.items()
            if not is_chat(source := Source(file, section))
        }

    def pieces(self, chat: str) -> dict[int, Known]:
        """Return the pieces of a chat, by the number of messages before each, in order."""
        found = self._known.get(_CHAT + chat)
        if not found:
            return {}
        pieces = {int(start): known for start, known in found.items()}
        return pieces if len(pieces) == 1 else dict(sorted(pieces.items(), key=itemgetter(0)))

    def add(self, source: Source, known: Known) -> bool:
        """Record the conversation of a source; return whether it belonged to another source before."""
        before = self._known[source.file].get(source.section)
        if before is not None and before.id != known.id:
            self._make_stale(source, before)
        moved_from = self._source_of.get(known.id)
        has_moved = moved_from is not None and moved_from != source
        if moved_from is not None and has_moved:
            del self._known[moved_from.file][moved_from.section]
        self.stale.pop(known.id, None)
        self._known[source.file][source.section], self._source_of[known.id] = known, source
        if known.extent.is_last:
            self._drop_others(source.file)
        return has_moved

    def _drop_others(self, file: str) -> None:
        """Mark pieces of a chat as stale that are not consecutive."""
        end = 0
        for start, known in self.pieces(file[len(_CHAT) :]).items():
            if start == end:
                end += known.extent.size
            else:
                source = Source(file, str(start))
                del self._known[file][source.section]
                self._make_stale(source, known)

    def _make_stale(self, source: Source, known: Known) -> None:
        self.stale[known.id] = source
        del self._source_of[known.id]

    def remove(self, id: str) -> None:
        """Record that a conversation is no longer in the memory."""
        source = self._source_of.pop(id, None)
        if source is not None:
            del self._known[source.file][source.section]
        self.stale.pop(id, None)
