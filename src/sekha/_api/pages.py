"""Which page of a list is next, when the list ends, and what its beginning is: decided without requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sekha.types import ConversationListItem, ConversationListResponse, PruneSuggestion

MAX_STALE_PAGES = 3
"""Consecutive pages without a new conversation that a growing list may return."""


def is_filtered_page(
    answer: ConversationListResponse, keep: Callable[[ConversationListItem], bool], page: int, page_size: int
) -> bool:
    """Return whether an answer can be the page that was asked for, of conversations that are all wanted."""
    left = answer["total"] - (page - 1) * page_size
    return (
        (answer["page"], answer["page_size"]) == (page, page_size)
        and answer["total"] >= 0
        and len(answer["results"]) == max(0, min(page_size, left))
        and all(keep(row) for row in answer["results"])
    )


def make_page(rows: list[ConversationListItem], total: int, page: int, page_size: int) -> ConversationListResponse:
    """Return a page of a list."""
    return ConversationListResponse(results=rows, total=total, page=page, page_size=page_size)


def first_to_go(suggestions: Sequence[PruneSuggestion], limit: int) -> list[PruneSuggestion]:
    """Return suggestions to put away: those recommended for the archive first, and of these the longest unused."""
    return sorted(suggestions, key=lambda one: (one["recommendation"] != "archive", one["last_accessed"]))[:limit]


class PageState:
    """The pages of a list so far.

    Pages end although servers repeat pages, return empty ones, or report a wrong total. If the list changes in the
    meantime, no conversation is returned twice.

    Args:
        page_size: Conversations in one request.
        keep: Which conversations to return; None for all.

    Attributes:
        is_last: Whether there are no more pages.
    """

    def __init__(self, page_size: int, keep: Callable[[ConversationListItem], bool] | None) -> None:
        self.is_last: bool = False
        self._page_size = page_size
        self._keep = keep
        self._page = 0
        self._total = 0
        self._stale_pages = 0  # in a row
        self._seen: set[str] = set()

    def next_query(self) -> dict[str, object]:
        """Return the query parameters of the next page."""
        return {"page": self._page + 1, "page_size": self._page_size}

    def add(self, response: ConversationListResponse) -> list[ConversationListItem]:
        """Add a page; return its conversations that are new and wanted."""
        self._page += 1
        fresh = {row["conversation_id"]: row for row in response["results"] if row["conversation_id"] not in self._seen}
        self._seen.update(fresh)
        # A conversation that is stored in the meantime moves others to the next page, so a page of known ones is the
        # end only if the total has not grown.
        self._stale_pages = 0 if fresh else self._stale_pages + 1
        repeats = not fresh and (response["total"] <= self._total or self._stale_pages >= MAX_STALE_PAGES)
        self._total = response["total"]
        full = min(self._page_size, response["page_size"])  # a server may return smaller pages than requested
        self.is_last = repeats or len(response["results"]) < full or len(self._seen) == self._total
        return [row for row in fresh.values() if self._keep is None or self._keep(row)]
