# Generated from src/sekha/_async/operations/pagination.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Iterating over all conversations of a controller, and counting their messages."""

from __future__ import annotations

from collections.abc import Iterator, Callable, Iterable

from sekha._api.endpoints import LIST_CONVERSATIONS, MEMORY_EXPORT
from sekha._concurrency.misuse import IterationGuard
from sekha._concurrency.tasks import Call, gather
from sekha.types import ConversationListItem

from ..transport import Transport

PAGE_SIZE = 1000
MAX_STALE_PAGES = 3
"""Consecutive pages without a new conversation that a growing list may return."""
MAX_PARALLEL = 4
"""Concurrent requests of a call that needs many."""


class ConversationIterator(IterationGuard):
    """Conversations one by one; a page is requested when the one before it is used up.

    If the list changes in the meantime, no conversation is returned twice; a server that repeats pages ends it.

    Args:
        transport: The transport of the controller.
        page_size: Conversations in one request.
        keep: Which conversations to return; None for all.
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
        self._stale_pages = 0  # in a row
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
        # A conversation that is stored in the meantime moves others to the next page, so a page of known ones is the
        # end only if the total has not grown.
        self._stale_pages = 0 if fresh else self._stale_pages + 1
        repeats_itself = not fresh and (answer["total"] <= self._total or self._stale_pages >= MAX_STALE_PAGES)
        self._total = answer["total"]
        full = min(self._page_size, answer["page_size"])  # a server may return smaller pages than requested
        self._last = repeats_itself or len(answer["results"]) < full or len(self._seen) == self._total

    def close(self) -> None:
        """Make no more requests."""
        self._rows, self._last = [], True


def all_conversations(
    transport: Transport, keep: Callable[[ConversationListItem], bool] | None = None
) -> list[ConversationListItem]:
    """Return all conversations, the most recently updated first, with one request for each thousand."""
    return [row for row in ConversationIterator(transport, keep=keep)]


def count_messages(transport: Transport, ids: Iterable[str]) -> int:
    """Return the number of messages of some conversations, with one export each, at most four at a time."""

    def count_one(id: str) -> Call[[], int]:
        def count() -> int:
            export = transport.send(MEMORY_EXPORT.request({"conversation_id": id}))
            return len(export["messages"])

        return count

    return sum(gather([count_one(id) for id in ids], MAX_PARALLEL))
