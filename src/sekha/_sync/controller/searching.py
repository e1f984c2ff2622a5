# Generated from src/sekha/_async/controller/searching.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Contexts for models, and the search that they use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Optional

from sekha._api import endpoints
from sekha._api.contexts import (
    CONTEXT_RESULTS,
    best_results,
    context_from_results,
    fill_up,
    fills_budget,
    has_best,
    without_echoes,
    without_repeated_ids,
)
from sekha._api.filters import ResultFilter, exclude_folders, excluded_prefixes
from sekha._api.search import IsEcho, Search, search_of
from sekha._api.validation import validate
from sekha._transport.operations import SEARCH
from sekha._transport.spans import traced
from sekha._utils.sentinel import drop_unset
from sekha.types import ContextAssembleRequest, Message, QueryRequest

from ..folder_client import FolderClient
from ..operations.search import FoundResults, search

CONFINED_BY: Final = frozenset({"folders", "roles", "min_score"})
"""Arguments of a context that the context route does not support."""

OFFSET: Final = {"offset": 0}
"""The controller 0.1 ignores it."""


class SearchMixin(FolderClient):
    """Mixin of `MemoryController` for contexts."""

    def assemble_context(
        self,
        query: str,
        *,
        context_budget: int = 4000,
        preferred_labels: Optional[Sequence[str]] = None,
        excluded_folders: Optional[Sequence[str]] = None,
        folders: Optional[Sequence[str]] = None,
        roles: Optional[Sequence[str]] = None,
        min_score: Optional[float] = None,
        hybrid: Optional[bool] = None,
    ) -> list[Message]:
        """Return the most relevant messages for a query, as many as fit a token budget.

        ``POST /api/v1/context/assemble``. The controller ranks by importance, age and preferred labels, and searches by
        meaning only; with ``hybrid=True``, the five best results of a hybrid search come first. The library also
        removes messages from excluded folders, since controller 0.1 returns pinned and preferred ones.

        With ``folders``, ``roles`` or ``min_score``, and in the view of a folder, the library builds the context from a
        search as by `query` with filters and ``hybrid``: preferred labels first, then by score, whole messages as long
        as they fit. Pinned messages are included only if the search finds them.

        Args:
            query: The topic of the prompt, not blank.
            context_budget: Maximum number of tokens, 0 or more; the controller counts four bytes as one token.
            preferred_labels: Labels of conversations to rank first.
            excluded_folders: Folders to exclude, including their subfolders.
            folders: Folders to search, including their subfolders; default: all. With an empty list, the context is
                empty.
            roles: Roles of the messages, such as ``["user"]``; default: all. With an empty list, the context is empty.
            min_score: Minimum score of a message, 0 to 1; default: none. A suitable value depends on the embedding
                model.
            hybrid: Whether to add a full-text search; default: only if the library builds the context. For a context
                from the controller, it takes the requests of a `query` with ``hybrid``.

        Returns:
            A list of messages with ``role``, ``content`` and ``metadata.citation``, without duplicates, which you can
            add to a prompt. Messages from a search also have a ``score``.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            context = client.controller.assemble_context("Continue our API design discussion")
            messages = [*context, {"role": "user", "content": "What should we do next?"}]
            ```
        """
        return self._context(
            query,
            context_budget=context_budget,
            preferred_labels=preferred_labels,
            excluded_folders=excluded_folders,
            folders=folders,
            roles=roles,
            min_score=min_score,
            hybrid=hybrid,
        )

    @traced(SEARCH)
    def _find(
        self,
        query: str,
        *,
        limit: int,
        filters: Mapping[str, object] | None = None,
        min_score: float | None = None,
        hybrid: bool = False,
        is_echo: IsEcho | None = None,
    ) -> FoundResults:
        """Search as `query` does; return the results alone.

        Args:
            query: Text to search for, not blank.
            limit: Maximum number of results, 1 or more.
            filters: As for `query`.
            min_score: As for `query`.
            hybrid: As for `query`.
            is_echo: Selects results to omit before ``limit`` is counted. It is called once for each message that meets
                the filters, best first, so it may keep state.
        """
        keywords = drop_unset(query=query, limit=limit, filters=filters, min_score=min_score, hybrid=hybrid)
        wanted = self._parse_search(keywords)._replace(is_echo=is_echo)
        transport = self._transport.start_deadline()
        _, found = search(transport, self._capabilities, endpoints.QUERY, wanted, OFFSET)
        return found

    def _parse_search(self, keywords: Mapping[str, object]) -> Search:
        """Return the search for the arguments of `query`; invalid arguments raise an error before anything is sent."""
        request = validate(QueryRequest, self._absolute_filters(keywords))
        filters = request.get("filters", {})
        return search_of(request, filters, self._conditions(filters))

    @traced(SEARCH)
    def _context(
        self,
        query: str,
        *,
        context_budget: int,
        preferred_labels: Sequence[str] | None,
        excluded_folders: Sequence[str] | None,
        folders: Sequence[str] | None = None,
        roles: Sequence[str] | None = None,
        min_score: float | None = None,
        hybrid: bool | None = None,
        is_echo: IsEcho | None = None,
    ) -> list[Message]:
        """Assemble a context as `assemble_context` does, without echoes.

        Args:
            query: The topic of the prompt, not blank.
            context_budget: As for `assemble_context`.
            preferred_labels: As for `assemble_context`.
            excluded_folders: As for `assemble_context`.
            folders: As for `assemble_context`.
            roles: As for `assemble_context`.
            min_score: As for `assemble_context`.
            hybrid: As for `assemble_context`.
            is_echo: As for `_find`; it is called with messages from the context route instead of results.
        """
        keywords = drop_unset(
            query=query,
            context_budget=context_budget,
            preferred_labels=preferred_labels or [],
            excluded_folders=self._absolute_each(excluded_folders or [], "excluded_folders"),
            folders=self._absolute_each(folders, "folders"),
            roles=roles,
            min_score=min_score,
            hybrid=hybrid,
        )
        request = validate(ContextAssembleRequest, keywords)
        labels, excluded = request.get("preferred_labels", []), request.get("excluded_folders", [])
        is_built_here = self._view is not None or bool(request.keys() & CONFINED_BY)
        wanted = Search(
            request["query"],
            CONTEXT_RESULTS,
            conditions=ResultFilter(
                folders=tuple(request["folders"]) if "folders" in request else None,
                excluded_folders=tuple(excluded),
                roles=frozenset(request["roles"]) if "roles" in request else None,
                view=self._view,
            ),
            min_score=request.get("min_score"),
            hybrid=request.pop("hybrid", is_built_here),
        )
        transport = self._transport.start_deadline()
        if is_built_here:
            if not context_budget or request.get("folders") == [] or request.get("roles") == []:
                return []
            wanted = wanted._replace(is_echo=is_echo, is_enough=fills_budget(context_budget))
            _, found = search(transport, self._capabilities, endpoints.QUERY, wanted, OFFSET)
            return context_from_results(found.results, context_budget, labels)
        best: list[Message] = []
        if wanted.hybrid and context_budget:
            wanted = wanted._replace(is_enough=has_best)
            _, found = search(transport, self._capabilities, endpoints.QUERY, wanted, OFFSET)
            best = context_from_results(best_results(found.results, is_echo), context_budget, [])
        body = {**request, "excluded_folders": excluded_prefixes(excluded)}
        context = transport.send(endpoints.ASSEMBLE_CONTEXT.request(body))
        context = without_echoes(without_repeated_ids(exclude_folders(context, excluded)), is_echo)
        return [*best, *fill_up(best, context, context_budget)]
