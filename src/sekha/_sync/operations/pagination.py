# Generated from src/sekha/_async/operations/pagination.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Walks through all conversations of a controller; lists, statistics and filters stand on it."""

from __future__ import annotations

from collections.abc import Iterator, Callable, Iterable

from sekha._api.endpoints import LIST_CONVERSATIONS, MEMORY_EXPORT
from sekha._concurrency.misuse import IterationGuard
from sekha._concurrency.tasks import Call, gather
from sekha.types import ConversationListItem

from ..transport import Transport

PAGE_SIZE = 1000
PATIENCE = 3
"""Pages in a row without a new conversation that a growing list may give."""
SIDE_BY_SIDE = 4
"""Requests at a time where one call needs many."""


class ConversationIterator(IterationGuard):
    """Conversations one by one; the next page is asked for when the last one is used up.

    A list that changes meanwhile gives no conversation twice, and a server that repeats itself ends the walk.

    Args:
        transport: Where to ask.
        page_size: Conversations in one request.
        keep: Which conversations to give; None for all.
    """

    def __init__(
        self,
        transport: Transport,
        page_size: int = PAGE_SIZE,
        keep: Callable[[ConversationListItem], bool] | None = None,
    ) -> None:
        self._transport = transport
        self._page_size = page_size
        self._keep = keep
        self._page = 0
        self._total = 0
        self._stale = 0  # pages in a row that had nothing new
        self._seen: set[str] = set()
        self._rows: list[ConversationListItem] = []  # of the last page, in reverse
        self._last = False

    def __iter__(self) -> Iterator[ConversationListItem]:
        return self

    def __next__(self) -> ConversationListItem:
        while not self._rows:
            if self._last:
                raise StopIteration
            self._next_page()
        return self._rows.pop()

    def _next_page(self) -> None:
        query = {"page": self._page + 1, "page_size": self._page_size}
        answer = self._transport.send(LIST_CONVERSATIONS.request(query=query))
        self._page += 1
        fresh = {row["conversation_id"]: row for row in answer["results"] if row["conversation_id"] not in self._seen}
        self._seen.update(fresh)
        rows = [row for row in fresh.values() if self._keep is None or self._keep(row)]
        self._rows = rows[::-1]
        # What is stored meanwhile pushes rows a page further: a page of known rows only is the end if nothing was.
        self._stale = 0 if fresh else self._stale + 1
        repeats_itself = not fresh and (answer["total"] <= self._total or self._stale >= PATIENCE)
        self._total = answer["total"]
        full = min(self._page_size, answer["page_size"])  # a server may give smaller pages than it is asked for
        self._last = repeats_itself or len(answer["results"]) < full or len(self._seen) == self._total

    def close(self) -> None:
        """Ask for nothing more."""
        self._rows, self._last = [], True


def all_conversations(
    transport: Transport, keep: Callable[[ConversationListItem], bool] | None = None
) -> list[ConversationListItem]:
    """Every conversation, the last changed first; one request for each thousand."""
    return [row for row in ConversationIterator(transport, keep=keep)]


def count_messages(transport: Transport, ids: Iterable[str]) -> int:
    """The number of messages of some conversations: one export each, at most four at a time."""

    def counting(id: str) -> Call[[], int]:
        def count() -> int:
            export = transport.send(MEMORY_EXPORT.request({"conversation_id": id}))
            return len(export["messages"])

        return count

    return sum(gather([counting(id) for id in ids], SIDE_BY_SIDE))
