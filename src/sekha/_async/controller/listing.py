"""All conversations of the controller, or some of them: list and count them."""

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
    """The part of `AsyncMemoryController` that lists conversations."""

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
        """A page of conversations, the last changed first.

        ``GET /api/v1/conversations``. Filters are applied here, since the controller 0.1 gives an empty list for any
        of them: a filtered list takes one request for each thousand conversations that are stored. The first one asks
        ``GET /health`` once whether the controller applies filters: of one that does, a page takes one request, and
        with ``subfolders`` or dates one for each thousand that match the others.

        Args:
            label: Exactly this label.
            folder: Exactly this folder.
            pinned: Only those with importance 10 (True) or less (False).
            archived: Only those that are archived (True) or not (False).
            subfolders: Whether folders below ``folder`` count too.
            start_date: ISO date or time of the last change, included; UTC without a zone.
            end_date: The same for the end; a date means its whole day.
            page: Number of the page, from 1.
            page_size: Conversations on a page, at least 1.

        Returns:
            ``results``, ``total`` (of all pages), ``page`` and ``page_size``.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaError: It failed.

        Example:
            ```python
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
        """All conversations one by one, the last changed first; the next page is asked for when it is needed.

        ``GET /api/v1/conversations``, once for each ``page_size`` conversations that are stored; of a controller that
        applies filters, that match ``label``, ``folder`` without ``subfolders``, ``pinned`` and ``archived``.

        Args:
            label: Exactly this label.
            folder: Exactly this folder.
            pinned: Only those with importance 10 (True) or less (False).
            archived: Only those that are archived (True) or not (False).
            subfolders: Whether folders below ``folder`` count too.
            start_date: ISO date or time of the last change, included; UTC without a zone.
            end_date: The same for the end; a date means its whole day.
            page_size: Conversations in one request, at least 1.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaError: While iterating: a request failed.

        Example:
            ```python
            async for conversation in client.controller.iter_conversations(folder="/work", subfolders=True):
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
        """Return which conversations to list, None for all, and the filters for a controller that applies them.

        A refusal is raised before anything is sent.
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
        """The number of conversations.

        ``GET /api/v1/conversations/count``; ``label`` and ``subfolders`` are counted from the list, with one request
        for each thousand conversations that are stored; ``label`` with one in all, where the controller applies
        filters.

        Args:
            label: Exactly this label.
            label_contains: A part of the label, upper or lower case; ``%`` and ``_`` are wildcards on the server.
            folder: Exactly this folder. At most one of the three can be given.
            subfolders: Whether folders below ``folder`` count too.

        Returns:
            ``{"count": ...}`` and what was counted.

        Raises:
            SekhaValidationError: More than one is given, one cannot be used, or there are subfolders without a folder.
            SekhaError: It failed.

        Example:
            ```python
            print((await client.controller.count_conversations(folder="/work", subfolders=True))["count"])
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
