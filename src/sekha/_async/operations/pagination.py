"""Iterating over all conversations of a controller, and counting their messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping

from sekha._api.compat.capabilities import Capabilities
from sekha._api.endpoints import LIST_CONVERSATIONS, MEMORY_EXPORT
from sekha._api.filters import ListFilters
from sekha._api.pages import PageState, is_filtered_page, make_page
from sekha._concurrency.process_bound import ProcessBound
from sekha._concurrency.tasks import AsyncCall, async_gather
from sekha.types import ConversationListItem, ConversationListResponse

from ..transport import AsyncTransport
from .features import filters_to_send

NO_FILTERS: Mapping[str, object] = {}
PAGE_SIZE = 1000
MAX_PARALLEL = 4
"""Concurrent requests of a call that needs many."""


class AsyncConversationIterator(ProcessBound):
    """Iterator over conversations; the next page is requested when the previous one is used up.

    If the list changes in the meantime, no conversation is returned twice; repeated pages end the iteration.

    Args:
        transport: The transport of the controller.
        page_size: Conversations per request.
        keep: Selects the conversations to return; None for all.
        filters: Query parameters of a filtered list.
        capabilities: What is known of the controller, if it is not known yet whether it applies filters.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        page_size: int = PAGE_SIZE,
        keep: Callable[[ConversationListItem], bool] | None = None,
        filters: Mapping[str, object] = NO_FILTERS,
        capabilities: Capabilities | None = None,
    ) -> None:
        self._transport = transport
        self._filters = filters
        self._capabilities = capabilities
        self._pages = PageState(page_size, keep)
        self._rows: list[ConversationListItem] = []  # of the last page, in reverse

    def __aiter__(self) -> AsyncIterator[ConversationListItem]:
        return self

    async def __anext__(self) -> ConversationListItem:
        while not self._rows:
            if self._pages.is_last:
                raise StopAsyncIteration
            if self._capabilities is not None:
                self._filters = await filters_to_send(self._transport, self._capabilities, self._filters)
                self._capabilities = None
            request = LIST_CONVERSATIONS.request(query={**self._filters, **self._pages.next_query()})
            self._rows = self._pages.add(await self._transport.send(request))[::-1]
        return self._rows.pop()

    async def aclose(self) -> None:
        """Stop making requests."""
        self._rows, self._pages.is_last = [], True


async def all_conversations(
    transport: AsyncTransport,
    keep: Callable[[ConversationListItem], bool] | None = None,
    filters: Mapping[str, object] = NO_FILTERS,
) -> list[ConversationListItem]:
    """Return the selected conversations, most recently updated first, with one request per thousand.

    Args:
        transport: The transport of the controller.
        keep: Selects the conversations to return; None for all.
        filters: Query parameters for a controller that applies filters.
    """
    return [row async for row in AsyncConversationIterator(transport, PAGE_SIZE, keep, filters)]


async def filtered_page(
    transport: AsyncTransport,
    capabilities: Capabilities,
    keep: Callable[[ConversationListItem], bool],
    filters: ListFilters,
    page: int,
    page_size: int,
) -> ConversationListResponse:
    """Return a page of the selected conversations.

    A controller that applies all filters is asked for this page only. If its response shows that it did not apply them,
    all conversations are requested.
    """
    sent = await filters_to_send(transport, capabilities, filters.sent)
    if sent and filters.are_all:
        answer = await transport.send(LIST_CONVERSATIONS.request(query={**sent, "page": page, "page_size": page_size}))
        if is_filtered_page(answer, keep, page, page_size):
            return make_page(answer["results"], answer["total"], page, page_size)
    rows = await all_conversations(transport, keep, sent)
    start = (page - 1) * page_size
    return make_page(rows[start : start + page_size], len(rows), page, page_size)


async def count_messages(transport: AsyncTransport, ids: Iterable[str]) -> int:
    """Return the number of messages of some conversations, with one export each, at most four concurrently."""

    def count_one(id: str) -> AsyncCall[[], int]:
        async def count() -> int:
            export = await transport.send(MEMORY_EXPORT.request({"conversation_id": id}))
            return len(export["messages"])

        return count

    return sum(await async_gather([count_one(id) for id in ids], MAX_PARALLEL))
