"""Lists and counts of conversations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Optional, cast

from sekha._api import endpoints
from sekha._api.arguments import CountRequest, ListRequest
from sekha._api.filters import ListFilters, check_subfolders, count_filter, list_filter, list_filters
from sekha._api.validation import validate
from sekha._utils.sentinel import drop_unset
from sekha.types import ConversationCount, ConversationListItem, ConversationListResponse

from ..folder_client import AsyncFolderClient
from ..operations.pagination import AsyncConversationIterator, filtered_page


class AsyncListingMixin(AsyncFolderClient):
    """Mixin of `AsyncMemoryController` for lists."""

    async def list_conversations(
        self,
        *,
        label: Optional[str] = None,
        folder: Optional[str] = None,
        pinned: Optional[bool] = None,
        archived: Optional[bool] = None,
        subfolders: bool = False,
        start_date: Optional[str] = None,
        end_date: Optional[str] = None,
        page: int = 1,
        page_size: int = 50,
    ) -> ConversationListResponse:
        """Return a page of conversations, most recently updated first.

        ``GET /api/v1/conversations``. Controller 0.1 returns an empty list with any filter, so the library applies
        filters: a filtered list takes one request per thousand stored conversations. The first filtered list calls
        ``GET /health`` once to check whether the controller applies filters; if it does, a page takes one request, or
        with ``subfolders`` or dates one per thousand conversations that match the other filters.

        Args:
            label: Only conversations with exactly this label.
            folder: Only conversations in exactly this folder.
            pinned: Only conversations with importance 10 (True), or only those below 10 (False).
            archived: Only archived conversations (True), or only active ones (False).
            subfolders: Whether to include folders below ``folder``; default False.
            start_date: Earliest time of the last update, inclusive, as an ISO date or time; UTC without a zone.
            end_date: Latest time, inclusive; a date includes the whole day.
            page: Number of the page, starting at 1.
            page_size: Page size, 1 or more.

        Returns:
            The page, with ``results``, ``total`` (of all pages), ``page`` and ``page_size``.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            conversations = await client.controller.list_conversations(pinned=False, page_size=10)
            for conversation in conversations["results"]:
                print(conversation["label"], conversation["folder"])
            ```
        """
        filters = drop_unset(label=label, folder=folder, pinned=pinned, archived=archived, subfolders=subfolders)
        period = drop_unset(start_date=start_date, end_date=end_date)
        query = {"page": page, "page_size": page_size}
        keep, sent = self._parse_list({**filters, **period, **query})
        if keep is None:
            return await self._transport.send(endpoints.LIST_CONVERSATIONS.request(query=query))
        transport = self._transport.start_deadline()
        return await filtered_page(transport, self._capabilities, keep, sent, page, page_size)

    def iter_conversations(
        self,
        *,
        label: Optional[str] = None,
        folder: Optional[str] = None,
        pinned: Optional[bool] = None,
        archived: Optional[bool] = None,
        subfolders: bool = False,
        start_date: Optional[str] = None,
        end_date: Optional[str] = None,
        page_size: int = 100,
    ) -> AsyncConversationIterator:
        """Iterate over all conversations, most recently updated first; pages are requested as needed.

        ``GET /api/v1/conversations``, once per ``page_size`` stored conversations. If the controller applies filters,
        only conversations that match ``label``, ``folder`` (without ``subfolders``), ``pinned`` and ``archived`` are
        requested.

        Args:
            label: Only conversations with exactly this label.
            folder: Only conversations in exactly this folder.
            pinned: Only conversations with importance 10 (True), or only those below 10 (False).
            archived: Only archived conversations (True), or only active ones (False).
            subfolders: Whether to include folders below ``folder``; default False.
            start_date: Earliest time of the last update, inclusive, as an ISO date or time; UTC without a zone.
            end_date: Latest time, inclusive; a date includes the whole day.
            page_size: Conversations per request, 1 or more.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: While iterating: a request failed.

        Example:
            ```python title="python -m asyncio"
            async for conversation in client.controller.iter_conversations(
                folder="/work", subfolders=True
            ):
                print(conversation["label"])
            ```
        """
        filters = drop_unset(label=label, folder=folder, pinned=pinned, archived=archived, subfolders=subfolders)
        period = drop_unset(start_date=start_date, end_date=end_date)
        keep, sent = self._parse_list({**filters, **period, "page_size": page_size})
        return AsyncConversationIterator(self._transport, page_size, keep, sent.sent, self._capabilities)

    def _parse_list(
        self, arguments: Mapping[str, object]
    ) -> tuple[Callable[[ConversationListItem], bool] | None, ListFilters]:
        """Return the condition of a list, None for all conversations, and filters for a controller that applies them.

        Invalid arguments raise an error before anything is sent.
        """
        request = validate(ListRequest, self._absolute_folder(arguments))
        return self._keep(list_filter(request)), list_filters(request, is_confined=self._view is not None)

    async def count_conversations(
        self,
        *,
        label: Optional[str] = None,
        label_contains: Optional[str] = None,
        folder: Optional[str] = None,
        subfolders: bool = False,
    ) -> ConversationCount:
        """Count conversations.

        ``GET /api/v1/conversations/count``. ``label`` and ``subfolders`` are counted from the list instead, with one
        request per thousand stored conversations; ``label`` with one request if the controller applies filters.

        Args:
            label: Only conversations with exactly this label.
            label_contains: Part of the label, case-insensitive; ``%`` and ``_`` are wildcards on the server.
            folder: Only conversations in exactly this folder. Only one of these three arguments can be given.
            subfolders: Whether to include folders below ``folder``; default False.

        Returns:
            A dictionary with ``count``, and with the label or folder that was counted.

        Raises:
            SekhaValidationError: An argument is invalid, more than one is given, or ``subfolders`` is given without
                ``folder``.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            print(
                (await client.controller.count_conversations(folder="/work", subfolders=True))[
                    "count"
                ]
            )
            ```
        """
        given = drop_unset(label=label, label_contains=label_contains, folder=self._absolute(folder))
        request = validate(CountRequest, {**given, "subfolders": subfolders})
        keep = count_filter(request)
        if subfolders and self._view is None:
            check_subfolders(request)
        query = {"label": request.get("label_contains"), "folder": request.get("folder")}
        if "label" in request or subfolders or self._view is not None:
            transport, kept = self._transport.start_deadline(), self._keep(keep) or keep
            sent = list_filters(request, is_confined=self._view is not None)
            page = await filtered_page(transport, self._capabilities, kept, sent, 1, 1)
            return cast(ConversationCount, {"count": page["total"], **query, **drop_unset(label=label)})
        return await self._transport.send(endpoints.COUNT_CONVERSATIONS.request(query=query))
