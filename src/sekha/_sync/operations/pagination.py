# Generated from src/sekha/_async/operations/pagination.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Iterating over all conversations of a controller, and counting their messages."""

from __future__ import annotations

from collections.abc import Iterator, Callable, Iterable, Mapping

from sekha._api.compat.capabilities import Capabilities
from sekha._api.endpoints import LIST_CONVERSATIONS, MEMORY_EXPORT
from sekha._api.filters import ListFilters
from sekha._api.pages import PageState, is_filtered_page, make_page
from sekha._concurrency.process_bound import ProcessBound
from sekha._concurrency.tasks import Call, gather
from sekha.types import ConversationListItem, ConversationListResponse

from ..transport import Transport
from .features import filters_to_send

NO_FILTERS: Mapping[str, object] = {}
PAGE_SIZE = 1000
MAX_PARALLEL = 4
"""Concurrent requests of a call that needs many."""


class ConversationIterator(ProcessBound):
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
        transport: Transport,
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

    def __iter__(self) -> Iterator[ConversationListItem]:
        return self

    def __next__(self) -> ConversationListItem:
        while not self._rows:
            if self._pages.is_last:
                raise StopIteration
            if self._capabilities is not None:
                self._filters = filters_to_send(self._transport, self._capabilities, self._filters)
                self._capabilities = None
            request = LIST_CONVERSATIONS.request(query={**self._filters, **self._pages.next_query()})
            self._rows = self._pages.add(self._transport.send(request))[::-1]
        return self._rows.pop()

    def close(self) -> None:
        """Stop making requests."""
        self._rows, self._pages.is_last = [], True


def all_conversations(
    transport: Transport,
    keep: Callable[[ConversationListItem], bool] | None = None,
    filters: Mapping[str, object] = NO_FILTERS,
) -> list[ConversationListItem]:
    """Return the selected conversations, most recently updated first, with one request per thousand.

    Args:
        transport: The transport of the controller.
        keep: Selects the conversations to return; None for all.
        filters: Query parameters for a controller that applies filters.
    """
    return [row for row in ConversationIterator(transport, PAGE_SIZE, keep, filters)]


def filtered_page(
    transport: Transport,
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
    sent = filters_to_send(transport, capabilities, filters.sent)
    if sent and filters.are_all:
        answer = transport.send(LIST_CONVERSATIONS.request(query={**sent, "page": page, "page_size": page_size}))
        if is_filtered_page(answer, keep, page, page_size):
            return make_page(answer["results"], answer["total"], page, page_size)
    rows = all_conversations(transport, keep, sent)
    start = (page - 1) * page_size
    return make_page(rows[start : start + page_size], len(rows), page, page_size)


def count_messages(transport: Transport, ids: Iterable[str]) -> int:
    """Return the number of messages of some conversations, with one export each, at most four concurrently."""

    def count_one(id: str) -> Call[[], int]:
        def count() -> int:
            export = transport.send(MEMORY_EXPORT.request({"conversation_id": id}))
            return len(export["messages"])

        return count

    return sum(gather([count_one(id) for id in ids], MAX_PARALLEL))
