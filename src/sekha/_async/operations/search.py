"""Search with an offset and filters that the server may not support."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from sekha._api.filters import importance_by_id, parse_filters, search_sizes
from sekha._api.model import Endpoint
from sekha.types import Filters, MemorySearchResponse, QueryResponse, SearchResult

from ..transport import AsyncTransport
from .pagination import all_conversations

Page = TypeVar("Page", QueryResponse, MemorySearchResponse)


class FoundResults(NamedTuple):
    """Results after offset and filters.

    Attributes:
        results: The results that were asked for.
        total: How many passed the filters.
        truncated: Whether results may be missing; None without filters.
    """

    results: list[SearchResult]
    total: int
    truncated: bool | None


async def search(
    transport: AsyncTransport,
    endpoint: Endpoint[Page],
    body: Mapping[str, object],
    limit: int,
    offset: int,
    filters: Filters | None,
    prefix: str = "filters.",
) -> tuple[Page, FoundResults]:
    """Request as many results as it takes, with at most two requests, and apply offset and filters to them.

    Args:
        transport: The transport of the controller.
        endpoint: The REST route, or the MCP tool.
        body: The body of the request; its ``limit`` is replaced.
        limit: Number of results to return.
        offset: Number of results to skip.
        filters: Conditions that results must meet.
        prefix: What precedes the name of a filter in an error.

    Returns:
        The last page as the server sent it, and the results.
    """
    wanted = parse_filters(filters, prefix)
    enough = offset + limit
    if not wanted.filters_anything:
        page = await transport.send(endpoint.request({**body, "limit": enough}))
        return page, FoundResults(page["results"][offset:enough], len(page["results"]), None)
    importance = importance_by_id(await all_conversations(transport)) if wanted.min_importance is not None else {}
    size, *larger = search_sizes(enough)
    page = await transport.send(endpoint.request({**body, "limit": size}))
    results = wanted.keep(page["results"], importance)
    if larger and len(results) < enough and len(page["results"]) >= size:
        size = larger[0]
        page = await transport.send(endpoint.request({**body, "limit": size}))
        results = wanted.keep(page["results"], importance)
    truncated = len(results) < enough and len(page["results"]) >= size
    return page, FoundResults(results[offset:enough], len(results), truncated)
