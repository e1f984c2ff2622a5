"""Walks through all conversations of a controller; lists, statistics and filters stand on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

from sekha._api.endpoints import LIST_CONVERSATIONS, MEMORY_EXPORT
from sekha._concurrency.misuse import AsyncIterationGuard
from sekha._concurrency.tasks import AsyncCall, async_gather
from sekha.types import ConversationListItem

from ..transport import AsyncTransport

PAGE_SIZE = 1000
PATIENCE = 3
"""Pages in a row without a new conversation that a growing list may give."""
SIDE_BY_SIDE = 4
"""Requests at a time where one call needs many."""


class AsyncConversationIterator(AsyncIterationGuard):
    """Conversations one by one; the next page is asked for when the last one is used up.

    A list that changes meanwhile gives no conversation twice, and a server that repeats itself ends the walk.

    Args:
        transport: Where to ask.
        page_size: Conversations in one request.
        keep: Which conversations to give; None for all.
    """

    def __init__(
        self,
        transport: AsyncTransport,
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

    def __aiter__(self) -> AsyncIterator[ConversationListItem]:
        return self

    async def __anext__(self) -> ConversationListItem:
        while not self._rows:
            if self._last:
                raise StopAsyncIteration
            await self._next_page()
        return self._rows.pop()

    async def _next_page(self) -> None:
        query = {"page": self._page + 1, "page_size": self._page_size}
        answer = await self._transport.send(LIST_CONVERSATIONS.request(query=query))
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

    async def aclose(self) -> None:
        """Ask for nothing more."""
        self._rows, self._last = [], True


async def all_conversations(
    transport: AsyncTransport, keep: Callable[[ConversationListItem], bool] | None = None
) -> list[ConversationListItem]:
    """Every conversation, the last changed first; one request for each thousand."""
    return [row async for row in AsyncConversationIterator(transport, keep=keep)]


async def count_messages(transport: AsyncTransport, ids: Iterable[str]) -> int:
    """The number of messages of some conversations: one export each, at most four at a time."""

    def counting(id: str) -> AsyncCall[[], int]:
        async def count() -> int:
            export = await transport.send(MEMORY_EXPORT.request({"conversation_id": id}))
            return len(export["messages"])

        return count

    return sum(await async_gather([counting(id) for id in ids], SIDE_BY_SIDE))
