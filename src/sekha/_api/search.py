"""Search parameters, and selection of the results of a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sekha._api.filters import (
    NO_CONDITIONS,
    ResultFilter,
    search_sizes,
    server_filters,
    split_by_score,
)
from sekha.types import ConversationListItem, Filters, SearchResult

DEFAULT_LIMIT = 10
"""Default number of search results."""

IsEcho = Callable[[SearchResult], bool]
"""Whether a result is already known; called once for each message, best first."""


class Search(NamedTuple):
    """A search.

    Attributes:
        query: Text to search for.
        limit: Number of results to return; with ``is_enough`` the number for the first request.
        offset: Number of results to skip.
        conditions: Conditions for results.
        sent_filters: Filters for a server that applies filters.
        min_score: Minimum score of results; None for any.
        hybrid: Whether to search by words as well.
        is_echo: Selects results to omit before ``limit`` is counted; None for none.
        is_enough: Whether there are enough results; None if ``offset + limit`` are needed.
    """

    query: str
    limit: int
    offset: int = 0
    conditions: ResultFilter = NO_CONDITIONS
    sent_filters: Mapping[str, Any] = {}
    min_score: float | None = None
    hybrid: bool = False
    is_echo: IsEcho | None = None
    is_enough: Callable[[Sequence[SearchResult]], bool] | None = None

    @property
    def end(self) -> int:
        """The number of the last result to return."""
        return self.offset + self.limit

    @property
    def sizes(self) -> Iterable[int]:
        """How many results to request, round by round."""
        if self.grows:
            return search_sizes(self.end)
        return [next(search_sizes(self.end)) if self.hybrid else self.end]

    @property
    def grows(self) -> bool:
        """Whether more results may be needed than are returned, because some are excluded."""
        return self.conditions.filters_anything or self.is_echo is not None or self.is_enough is not None

    @property
    def takes_all(self) -> bool:
        """Whether every result of the server is returned, in its order."""
        return self.min_score is None and not self.hybrid and not self.grows

    def without_conditions_of(self, sent: Mapping[str, Any]) -> Search:
        """Return the same search without the condition that only the server can check.

        Results do not contain the importance of their conversation, and the server filters only results by meaning.
        """
        if "min_importance" not in sent or self.hybrid:
            return self
        return self._replace(conditions=self.conditions._replace(min_importance=None))

    @property
    def list_filters(self) -> Mapping[str, Any]:
        """The filters for the list of conversations that the conditions need."""
        is_about_archive_alone = self.conditions.min_importance is None and not self.hybrid
        return {"archived": True} if is_about_archive_alone else {}

    def has_enough(self, results: Sequence[SearchResult]) -> bool:
        """Return whether no more results have to be requested."""
        return len(results) >= self.end if self.is_enough is None else self.is_enough(results)

    def cut(self, results: list[SearchResult]) -> list[SearchResult]:
        """Return the results after offset and limit."""
        return results[self.offset : self.end] if self.is_enough is None else results


def search_of(arguments: Mapping[str, Any], filters: Filters, conditions: ResultFilter) -> Search:
    """Return the search for valid arguments of ``query`` or ``memory_search``.

    Args:
        arguments: The arguments.
        filters: The filters of the caller.
        conditions: The conditions for these filters.
    """
    return Search(
        arguments["query"],
        arguments.get("limit", DEFAULT_LIMIT),
        arguments.get("offset", 0),
        conditions,
        server_filters(filters),
        arguments.get("min_score"),
        arguments.get("hybrid", False),
    )


class ResultSelector:
    """Selects results, request by request.

    Args:
        search: The search.
        conversations: All conversations by id, if the conditions need them.
    """

    def __init__(self, search: Search, conversations: Mapping[str, ConversationListItem]) -> None:
        self._search = search
        self._conversations = conversations
        self._echoes: dict[tuple[str, str], bool] = {}

    def select(self, results: Iterable[SearchResult]) -> tuple[list[SearchResult], int | None]:
        """Return the selected results, and the number of those with too low a score; None without ``min_score``."""
        kept = self._search.conditions.keep(results, self._conversations)
        return split_by_score(self._without_echoes(kept), self._search.min_score)

    def _without_echoes(self, results: list[SearchResult]) -> list[SearchResult]:
        is_echo = self._search.is_echo
        if is_echo is None:
            return results
        kept: dict[tuple[str, str], SearchResult] = {}
        for result in results:
            key = result["message_id"], result["content"]
            if key not in self._echoes:  # called once: it may keep state
                self._echoes[key] = is_echo(result)
            if not self._echoes[key]:
                kept.setdefault(key, result)
        return list(kept.values())
