"""Iterating over all conversations of a controller, and counting their messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

from sekha._api.endpoints import LIST_CONVERSATIONS, MEMORY_EXPORT
from sekha._api.pages import PageState
from sekha._concurrency.process_bound import ProcessBound
from sekha._concurrency.tasks import AsyncCall, async_gather
from sekha.types import ConversationListItem

from ..transport import AsyncTransport

PAGE_SIZE = 1000
MAX_PARALLEL = 4
"""Concurrent requests of a call that needs many."""


class AsyncConversationIterator(ProcessBound):
    """Conversations one by one; a page is requested when the one before it is used up.

    If the list changes in the meantime, no conversation is returned twice; a server that repeats pages ends it.

    Args:
        transport: The transport of the controller.
        page_size: Conversations in one request.
        keep: Which conversations to return; None for all.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        page_size: int = PAGE_SIZE,
        keep: Callable[[ConversationListItem], bool] | None = None,
    ) -> None:
        self._transport = transport
        self._pages = PageState(page_size, keep)
        self._rows: list[ConversationListItem] = []  # of the last page, in reverse

    def __aiter__(self) -> AsyncIterator[ConversationListItem]:
        return self

    async def __anext__(self) -> ConversationListItem:
        while not self._rows:
            if self._pages.is_last:
                raise StopAsyncIteration
            request = LIST_CONVERSATIONS.request(query=self._pages.next_query())
            self._rows = self._pages.add(await self._transport.send(request))[::-1]
        return self._rows.pop()

    async def aclose(self) -> None:
        """Make no more requests."""
        self._rows, self._pages.is_last = [], True


async def all_conversations(
    transport: AsyncTransport, keep: Callable[[ConversationListItem], bool] | None = None
) -> list[ConversationListItem]:
    """Return all conversations, the most recently updated first, with one request for each thousand."""
    return [row async for row in AsyncConversationIterator(transport, keep=keep)]


async def count_messages(transport: AsyncTransport, ids: Iterable[str]) -> int:
    """Return the number of messages of some conversations, with one export each, at most four at a time."""

    def count_one(id: str) -> AsyncCall[[], int]:
        async def count() -> int:
            export = await transport.send(MEMORY_EXPORT.request({"conversation_id": id}))
            return len(export["messages"])

        return count

    return sum(await async_gather([count_one(id) for id in ids], MAX_PARALLEL))
