"""A search whose offset and filters the server may not know."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from sekha._api.filters import hit_filter, importance_by_id, search_sizes
from sekha._concurrency.tasks import AsyncCall
from sekha.types import Filters, MemorySearchResponse, QueryResponse, SearchResult

from ..transport import AsyncTransport
from .pagination import all_conversations

Page = TypeVar("Page", QueryResponse, MemorySearchResponse)


class Found(NamedTuple):
    """Hits after offset and filters.

    Attributes:
        hits: Those asked for.
        total: How many passed the filters.
        truncated: Whether hits may be missing; None without filters.
    """

    hits: list[SearchResult]
    total: int
    truncated: bool | None


async def search(
    transport: AsyncTransport,
    ask: AsyncCall[[int], Page],
    limit: int,
    offset: int,
    filters: Filters | None,
    prefix: str = "filters.",
) -> tuple[Page, Found]:
    """Ask for as many hits as it takes, at most twice, and keep what was wanted.

    Args:
        transport: Where importance is looked up.
        ask: Makes the request for a number of hits.
        limit: Hits wanted.
        offset: Hits to leave out at the beginning.
        filters: What hits must fulfil.
        prefix: What stands before a filter's name in an error.
    """
    wanted = hit_filter(filters, prefix)
    if not wanted.filters_anything:
        page = await ask(offset + limit)
        return page, Found(page["results"][offset : offset + limit], len(page["results"]), None)
    importance = importance_by_id(await all_conversations(transport)) if wanted.min_importance is not None else {}
    enough = offset + limit
    size, *larger = search_sizes(enough)
    page = await ask(size)
    hits = wanted.keep(page["results"], importance)
    if larger and len(hits) < enough and len(page["results"]) >= size:
        size = larger[0]
        page = await ask(size)
        hits = wanted.keep(page["results"], importance)
    truncated = len(hits) < enough and len(page["results"]) >= size
    return page, Found(hits[offset:enough], len(hits), truncated)
