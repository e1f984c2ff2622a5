"""Preview an import from its journal, without requests."""

from __future__ import annotations

import os
from collections.abc import Mapping

from sekha._importing.chats import Chat, compare_chat, whole_origin
from sekha._importing.journal import Journal
from sekha._importing.plan import Item, Rejected, iter_items
from sekha.exports._note_files import JOURNAL
from sekha.types import UnreadableConversation

_COUNTED_AS = {"edited": "replaced", "older": "unchanged"}
_COUNTS = ("new", "grown", "renamed", "replaced", "unchanged")


class ImportPreview:
    """Counts new and changed conversations of exports since the last import.

    Args:
        journal: Path of the journal, which is only read.

    Raises:
        SekhaConfigError: The file is not a journal.
        OSError: The file cannot be read.
    """

    def __init__(self, journal: str) -> None:
        self._journal = Journal(journal, None, reads_older=os.path.basename(journal) == JOURNAL)
        self._journal.peek()
        self._is_empty = not self._journal.ids
        self._number = 0

    def count(self, conversation: Mapping[str, object] | UnreadableConversation, counts: dict[str, int]) -> None:
        """Count a conversation as new, grown, renamed, replaced or unchanged, if anything was imported before."""
        if self._is_empty:
            return
        if not counts:
            counts.update(dict.fromkeys(_COUNTS, 0))
        for item in iter_items((conversation,), self._journal):
            if isinstance(item, Rejected) or not item.request["messages"]:
                continue
            if item.chat is not None:
                counts[self._compare(item, item.chat)] += 1
            elif item.part is None or item.part.number == 1:
                counts["new" if item.entry.id is None else "unchanged"] += 1

    def _compare(self, item: Item, chat: Chat) -> str:
        messages = item.request["messages"]
        if item.entry.id is not None and not self._journal.pieces(chat.id):
            origin = whole_origin(chat, messages[: item.entry.size])
            self._journal.suppose(item.entry.key, item.entry.id, origin)
        state = compare_chat(chat, messages, self._journal.pieces(chat.id))
        if state not in ("unchanged", "older"):  # a later version in the same export is compared with this one
            self._number += 1
            self._journal.suppose(f"{self._number}", f"{self._number}", whole_origin(chat, messages))
        return _COUNTED_AS.get(state, state)
