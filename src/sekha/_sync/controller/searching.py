# Generated from src/sekha/_async/controller/searching.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Contexts for models, and the search behind them."""

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
    """The part of `MemoryController` that finds what a model should see."""

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
        """The messages that a model should see for a query, as many as fit.

        ``POST /api/v1/context/assemble``. The controller ranks by importance, age and preferred labels. Messages of
        excluded folders are taken out here once more, since the controller 0.1 lets pinned and preferred ones through.
        It searches by meaning alone; with ``hybrid=True`` the five best hits of a hybrid search come first.

        With ``folders``, ``roles`` or ``min_score``, and in the view of a folder, the context is built here, from a
        search as `query` makes it with filters and ``hybrid``: preferred labels first, then the best, whole messages
        as long as they fit. Messages that are merely pinned come in only if the search finds them.

        Args:
            query: What the model will be asked about, not blank.
            context_budget: Tokens at most, 0 or more; the controller counts four bytes as one.
            preferred_labels: Labels whose conversations come first.
            excluded_folders: Folders to leave out, with all that is below them.
            folders: Folders to take messages from, with all that is below them; default: all. An empty list allows
                none, and the context is empty.
            roles: Roles of the messages, such as ``["user"]``; default: all. An empty list allows none.
            min_score: Score of a message at least, 0 to 1; default: any. A good floor belongs to one embedding model.
            hybrid: Whether words are searched for besides meanings; default: only where the context is built here.
                Before a context of the controller it takes the requests of a `query` with ``hybrid``.

        Returns:
            Messages with ``role``, ``content`` and ``metadata.citation``, each once; they can be put among other
            messages. Those of a search have their ``score``.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaError: It failed.

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
            query: What to look for, not blank.
            limit: Results at most, 1 or more.
            filters: As for `query`.
            min_score: As for `query`.
            hybrid: As for `query`.
            is_echo: Which results are left out before ``limit`` is counted. It is asked once about each message that
                meets the filters, the best first, so it may remember what it has seen.
        """
        keywords = drop_unset(query=query, limit=limit, filters=filters, min_score=min_score, hybrid=hybrid)
        wanted = self._parse_search(keywords)._replace(is_echo=is_echo)
        transport = self._transport.start_deadline()
        _, found = search(transport, self._capabilities, endpoints.QUERY, wanted, OFFSET)
        return found

    def _parse_search(self, keywords: Mapping[str, object]) -> Search:
        """Return the search for the arguments of `query`; a refusal is raised before anything is sent."""
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
            query: What the model will be asked about, not blank.
            context_budget: As for `assemble_context`.
            preferred_labels: As for `assemble_context`.
            excluded_folders: As for `assemble_context`.
            folders: As for `assemble_context`.
            roles: As for `assemble_context`.
            min_score: As for `assemble_context`.
            hybrid: As for `assemble_context`.
            is_echo: As for `_find`; messages of the context route are passed to it in the place of results.
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
