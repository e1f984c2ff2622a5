"""Which conversations the notes, and the chats that have an id, have become.

A chat is in the memory in one piece, or in several: those of a chat that is too large for one, and what was said later
where the server cannot delete.
"""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from typing import NamedTuple

from sekha._importing.digests import Digests
from sekha.exports._notes import Source

_CHAT = "/"
"""How the file of a source begins that is a chat; files of notes are relative."""


def chat_source(chat: str, start: int = 0) -> Source:
    """Return the source of a piece of a chat, by the chat's id and the number of messages before it."""
    return Source(_CHAT + chat, str(start))


def is_chat(source: Source) -> bool:
    """Return whether a source is a piece of a chat, and no note."""
    return source.file.startswith(_CHAT)


class Extent(NamedTuple):
    """How much of a chat a piece of it is.

    Attributes:
        size: The number of its messages; 0 for a note.
        updated_at: When the chat was changed last; empty if nobody knows.
        suffix: What stands behind the chat's label in its own.
        is_last: Whether it is the last piece, so that all that are neither it nor lead to it are of an earlier version.
    """

    size: int = 0
    updated_at: str = ""
    suffix: str = ""
    is_last: bool = False


class Origin(NamedTuple):
    """Where a conversation is from, and what it was like there."""

    source: Source
    digests: Digests
    extent: Extent = Extent()


class Known(NamedTuple):
    """The conversation that a source became: its id, and what it was like."""

    id: str
    digests: Digests
    extent: Extent = Extent()


class SourceIndex:
    """The conversation of each source, and earlier versions that are still in the memory.

    Attributes:
        stale: The ids of earlier versions, and the source of each.
    """

    def __init__(self) -> None:
        self._known: defaultdict[str, dict[str, Known]] = defaultdict(dict)  # by file, and section
        self._source_of: dict[str, Source] = {}
        self.stale: dict[str, Source] = {}

    def owns(self, id: str) -> bool:
        """Return whether a conversation is what a source became."""
        return id in self._source_of

    def notes(self) -> dict[Source, Known]:
        """Return what is known of each note."""
        return {
            source: known
            for file, sections in self._known.items()
            for section, known in sections.items()
            if not is_chat(source := Source(file, section))
        }

    def pieces(self, chat: str) -> dict[int, Known]:
        """Return the pieces of a chat, each by the number of messages before it, in their order."""
        found = self._known.get(_CHAT + chat)
        if not found:
            return {}
        pieces = {int(start): known for start, known in found.items()}
        return pieces if len(pieces) == 1 else dict(sorted(pieces.items(), key=itemgetter(0)))

    def add(self, source: Source, known: Known) -> bool:
        """Note what a source has become; return whether that conversation was of another source before."""
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
        """Make those pieces of a chat stale that do not follow one on the other."""
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
        """Note that a conversation is not in the memory any more."""
        source = self._source_of.pop(id, None)
        if source is not None:
            del self._known[source.file][source.section]
        self.stale.pop(id, None)
