# Generated from src/sekha/_async/operations/search.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Search with an offset and filters that the server may not support."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from sekha._api.compat.capabilities import Capabilities
from sekha._api.filters import (
    MAX_SEARCH_SIZE,
    ends_below,
    parse_filters,
    search_sizes,
    server_filters,
    split_by_score,
)
from sekha._api.model import Endpoint
from sekha.errors import SekhaDecodeError, SekhaWarning
from sekha.types import Filters, MemorySearchResponse, QueryResponse, SearchResult

from ..transport import Transport
from .features import controller_features
from .pagination import all_conversations

Page = TypeVar("Page", QueryResponse, MemorySearchResponse)


class FoundResults(NamedTuple):
    """Results after offset and filters.

    Attributes:
        results: The results that were asked for.
        total: How many passed the filters.
        truncated: Whether results may be missing; None without filters.
        below_min_score: How many results of the last request passed the filters only; None without ``min_score``.
    """

    results: list[SearchResult]
    total: int
    truncated: bool | None = None
    below_min_score: int | None = None


def search(
    transport: Transport,
    capabilities: Capabilities,
    endpoint: Endpoint[Page],
    body: Mapping[str, object],
    limit: int,
    offset: int,
    filters: Filters | None,
    min_score: float | None,
    prefix: str = "filters.",
) -> tuple[Page, FoundResults]:
    """Request as many results as it takes, with at most four requests, and apply offset and filters to them.

    Args:
        transport: The transport of the controller.
        capabilities: What is known of the controller.
        endpoint: The REST route, or the MCP tool.
        body: The body of the request; its ``limit`` is replaced.
        limit: Number of results to return.
        offset: Number of results to skip.
        filters: Conditions that results must meet.
        min_score: Score that results must have at least; None for any.
        prefix: What precedes the name of a filter in an error.

    Returns:
        The last page as the server sent it, and the results.
    """
    wanted = parse_filters(filters, prefix)
    enough = offset + limit
    if filters is None or not wanted.filters_anything:
        page = transport.send(endpoint.request({**body, "limit": enough}))
        results, below = split_by_score(page["results"], min_score)
        return page, FoundResults(results[offset:enough], len(results), None, below)
    body = {**body, **_sent_filters(transport, capabilities, filters)}
    rows = all_conversations(transport) if wanted.needs_conversations else []
    conversations = {row["conversation_id"]: row for row in rows}
    found: tuple[Page, list[SearchResult], int | None] | None = None
    is_exhausted = False
    for size in search_sizes(enough):
        try:
            page = transport.send(endpoint.request({**body, "limit": size}))
        except SekhaDecodeError as error:
            if found is None or not error.is_too_long:
                raise
            break  # what was found before is still right
        results, below = split_by_score(wanted.keep(page["results"], conversations), min_score)
        found = page, results, below
        is_exhausted = len(page["results"]) < size or ends_below(page["results"], min_score)
        if is_exhausted or len(results) >= enough:
            break
    assert found is not None  # there is a first round
    page, results, below = found
    truncated = len(results) < enough and not is_exhausted
    if truncated:
        _warn_of_truncation(capabilities, len(results), enough)
    return page, FoundResults(results[offset:enough], len(results), truncated, below)


def _sent_filters(
    transport: Transport, capabilities: Capabilities, filters: Filters
) -> dict[str, dict[str, object]]:
    """Return the part of the body that has the filters; empty for servers that do not apply them."""
    sent = server_filters(filters)
    if not sent:
        return {}
    features = controller_features(transport, capabilities)
    return {"filters": sent} if features is not None and features.filters else {}


def _warn_of_truncation(capabilities: Capabilities, found: int, wanted: int) -> None:
    if not capabilities.warned_of_truncation:
        capabilities.warned_of_truncation = True
        warnings.warn(
            f"a search with filters found {found} of the {wanted} results that were asked for, and may have missed "
            f"others: the filters are applied to what the server ranks best, at most {MAX_SEARCH_SIZE:,} results "
            "(truncated is True)",
            SekhaWarning,
            stacklevel=4,
        )
