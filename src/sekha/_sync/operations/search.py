# Generated from src/sekha/_async/operations/search.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Search with an offset, filters and other conditions that the server may not support."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar, cast

from sekha._api.compat.capabilities import Capabilities
from sekha._api.filters import MAX_SEARCH_SIZE, ends_below
from sekha._api.model import Endpoint
from sekha._api.search import ResultSelector, Search
from sekha._utils.frames import warn_user
from sekha._utils.sentinel import drop_unset
from sekha.errors import SekhaDecodeError
from sekha.types import ConversationListItem, MemorySearchResponse, QueryResponse, SearchResult

from ..transport import Transport
from .features import filters_to_send
from .pagination import all_conversations
from .words import WordSearch

Page = TypeVar("Page", QueryResponse, MemorySearchResponse)


class FoundResults(NamedTuple):
    """Results after offset, filters and other conditions.

    Attributes:
        results: The requested results.
        total: Number of results that met the conditions.
        truncated: Whether results may be missing; None if nothing but ``min_score`` excluded results.
        below_min_score: Number of results of the last request that met all other conditions; None without
            ``min_score``.
        words_error: The error of the full-text search of a hybrid search, if it failed.
    """

    results: list[SearchResult]
    total: int
    truncated: bool | None = None
    below_min_score: int | None = None
    words_error: str | None = None


def search(
    transport: Transport,
    capabilities: Capabilities,
    endpoint: Endpoint[Page],
    wanted: Search,
    more: Mapping[str, object] | None = None,
) -> tuple[Page, FoundResults]:
    """Request as many results as needed, with at most four requests, and select those that meet the conditions.

    Args:
        transport: The transport of the controller.
        capabilities: The known capabilities of the controller.
        endpoint: The REST route, or the MCP tool.
        wanted: The search.
        more: Additional fields of the request body.

    Returns:
        The last page as the server sent it, and the results.
    """
    if wanted.takes_all:
        page = transport.send(endpoint.request({"query": wanted.query, **(more or {}), "limit": wanted.end}))
        return page, FoundResults(wanted.cut(page["results"]), len(page["results"]))
    sent = filters_to_send(transport, capabilities, wanted.sent_filters)
    body = {"query": wanted.query, **(more or {}), **({"filters": sent} if sent else {})}
    checked = wanted.without_conditions_of(sent)
    rows: list[ConversationListItem] = []
    if checked.conditions.needs_conversations:
        listed = filters_to_send(transport, capabilities, checked.list_filters)
        rows = all_conversations(transport, filters=listed)
    conversations = {row["conversation_id"]: row for row in rows}
    selector = ResultSelector(checked, conversations)
    words = WordSearch(transport, capabilities, wanted, conversations) if wanted.hybrid else None
    found: tuple[Page, list[SearchResult], int | None] | None = None
    is_exhausted = False
    for size in wanted.sizes:
        try:
            page = transport.send(endpoint.request({**body, "limit": size}))
        except SekhaDecodeError as error:
            if found is None or not error.is_too_long:
                raise
            break  # earlier results are still valid
        fused = page["results"] if words is None else words.add_to(page["results"])
        results, below = selector.select(fused)
        found = page, results, below
        is_exhausted = len(page["results"]) < size or ends_below(page["results"], wanted.min_score)
        if is_exhausted or wanted.has_enough(results):
            break
    assert found is not None  # there is a first round
    page, results, below = found
    may_be_more = not is_exhausted or (words is not None and words.is_cut)
    truncated = may_be_more and not wanted.has_enough(results) if wanted.grows else None
    if truncated:
        _warn_of_truncation(capabilities, wanted, len(results))
    words_error = words.error if words is not None else None
    return page, FoundResults(wanted.cut(results), len(results), truncated, below, words_error)


def complete_page(page: QueryResponse | MemorySearchResponse, wanted: Search, found: FoundResults) -> None:
    """Add the results to a page of the server, with fields that the server does not provide."""
    completed = cast("dict[str, object]", page)
    completed["results"] = found.results
    if wanted.grows or wanted.hybrid or wanted.min_score is not None:
        completed["total_results" if "total_results" in page else "total"] = found.total
    completed.update(
        drop_unset(truncated=found.truncated, below_min_score=found.below_min_score, words_error=found.words_error)
    )


def _warn_of_truncation(capabilities: Capabilities, wanted: Search, found: int) -> None:
    if capabilities.note_warning("results may be missing", wanted.conditions.view):
        what = (
            f"a search with filters found {found} of {wanted.end} requested results"
            if wanted.is_enough is None
            else f"a search for a context found only {found} results, which do not fill its budget"
        )
        warn_user(
            f"{what} and may have missed others: filters apply only to the {MAX_SEARCH_SIZE:,} best results of the "
            "server (truncated is True)"
        )
