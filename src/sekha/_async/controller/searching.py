"""Searching the memory, and contexts for models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Optional

from sekha._api import endpoints
from sekha._api.arguments import FullTextRequest
from sekha._api.compat.requests import quote_full_text_query
from sekha._api.contexts import (
    CONTEXT_RESULTS,
    context_from_results,
    fills_budget,
    without_echoes,
    without_repeated_ids,
)
from sekha._api.filters import ResultFilter, exclude_folders, excluded_prefixes, server_filters
from sekha._api.search import IsEcho, Search
from sekha._api.validation import validate
from sekha._utils.sentinel import drop_unset
from sekha.types import ContextAssembleRequest, FullTextResponse, Message, QueryRequest, QueryResponse

from ..folder_client import AsyncFolderClient
from ..operations.full_text import AsyncFullTextSearch
from ..operations.search import FoundResults, search

CONFINED_BY: Final = frozenset({"folders", "roles", "min_score"})
"""Arguments of a context that the context route does not support."""


class AsyncSearchMixin(AsyncFolderClient):
    """The part of `AsyncMemoryController` that searches."""

    async def query(
        self,
        query: str,
        *,
        limit: int = 10,
        offset: int = 0,
        filters: Optional[Mapping[str, object]] = None,
        min_score: Optional[float] = None,
        hybrid: bool = False,
    ) -> QueryResponse:
        """Search the messages by meaning.

        ``POST /api/v1/query``. The controller 0.1 knows neither ``offset`` nor ``filters``: both are applied here. With
        filters it takes up to four requests: of four times ``limit`` (20 at least), and then of ten times as many each
        time, up to 10,000 hits. ``min_importance`` and ``archived`` take one more for each thousand conversations that
        are stored, and the first search with filters asks ``GET /health`` once whether the controller applies filters.
        An empty result may also mean that the embedder is down: `health` tells.

        Args:
            query: What to look for, not blank.
            limit: Hits at most, 1 or more.
            offset: Hits to leave out at the beginning.
            filters: Any of ``label``, ``labels``, ``exclude_labels``, ``folder``, ``subfolders`` (True: also below the
                folder), ``min_importance`` (0 to 10), ``archived`` (False: without archived conversations), ``roles``
                (such as ``["user"]``), ``start_date``, ``end_date`` (ISO; of the message, bounds included, UTC without
                a zone).
            min_score: Score of a hit at least, 0 to 1; default: any. A good floor belongs to one embedding model.
            hybrid: Whether to search by words as well.

        Returns:
            ``results``, best first, each with ``score`` (a similarity, higher is better), ``content``, ``label``,
            ``folder``; with filters also ``truncated``, True if hits may be missing, of which a `SekhaWarning` tells
            once for a client; with ``min_score`` also ``below_min_score``, how many hits it left out.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaError: It failed.

        Example:
            ```python
            results = await client.controller.query("How to implement authentication?", limit=10)
            for result in results["results"]:
                print(f"[{result['score']:.2f}] {result['label']}")
            ```
        """
        keywords = drop_unset(
            query=query, limit=limit, offset=offset, filters=filters, min_score=min_score, hybrid=hybrid
        )
        page, found = await self._search(keywords)
        if self._view is not None:  # what a server adds to its page is about the whole memory
            page = QueryResponse(results=[], total=found.total, page=1, page_size=limit)
        page["results"] = found.results
        page["page"] = offset // limit + 1
        page["page_size"] = limit
        if found.truncated is not None:
            page["total"] = found.total
            page["truncated"] = found.truncated
        if found.below_min_score is not None:
            page["total"] = found.total
            page["below_min_score"] = found.below_min_score
        return page

    async def full_text_search(self, query: str, *, limit: int = 10, raw: bool = False) -> FullTextResponse:
        """The messages that hold all the words.

        ``POST /api/v1/search/fts``.

        Args:
            query: Words, not blank; ``C++`` and ``it's`` are found as they are written.
            limit: Messages at most, 1 or more.
            raw: Whether ``query`` is in the syntax of SQLite's FTS5.

        Returns:
            ``results``, messages without label and folder, and ``total``.

        Raises:
            SekhaValidationError: An argument cannot be used, or a raw query has a fault.
            SekhaError: It failed.

        Example:
            ```python
            found = await client.controller.full_text_search("refresh tokens")
            print(found["total"])
            ```
        """
        request = validate(FullTextRequest, drop_unset(query=query, limit=limit, raw=raw))
        words = request["query"] if request["raw"] else quote_full_text_query(request["query"])
        if self._view is not None:
            transport = self._transport.start_deadline()
            return await AsyncFullTextSearch(transport, self._capabilities, self._view).find(words, request["limit"])
        body = {"query": words, "limit": request["limit"]}
        return await self._transport.send(endpoints.FULL_TEXT_SEARCH.request(body))

    async def assemble_context(
        self,
        query: str,
        *,
        context_budget: int = 4000,
        preferred_labels: Optional[Sequence[str]] = None,
        excluded_folders: Optional[Sequence[str]] = None,
        folders: Optional[Sequence[str]] = None,
        roles: Optional[Sequence[str]] = None,
        min_score: Optional[float] = None,
    ) -> list[Message]:
        """The messages that a model should see for a query, as many as fit.

        ``POST /api/v1/context/assemble``. The controller ranks by importance, age and preferred labels. Messages of
        excluded folders are taken out here once more, since the controller 0.1 lets pinned and preferred ones through.

        With ``folders``, ``roles`` or ``min_score`` the context is built here, from a search as `query` makes it with
        filters: preferred labels first, then the best, whole messages as long as they fit. Messages that are only
        pinned are in it only if the search finds them.

        Args:
            query: What the model will be asked about, not blank.
            context_budget: Tokens at most, 0 or more; the controller counts four bytes as one.
            preferred_labels: Labels whose conversations come first.
            excluded_folders: Folders to leave out, with all that is below them.
            folders: Folders to take messages from, with all that is below them; default: all. An empty list allows
                none, and the context is empty.
            roles: Roles of the messages, such as ``["user"]``; default: all. An empty list allows none.
            min_score: Score of a message at least, 0 to 1; default: any. A good floor belongs to one embedding model.

        Returns:
            Messages with ``role``, ``content`` and ``metadata.citation``, each once; they can be put among other
            messages. Those of a search have their ``score``.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaError: It failed.

        Example:
            ```python
            context = await client.controller.assemble_context("Continue our API design discussion")
            messages = [*context, {"role": "user", "content": "What should we do next?"}]
            ```
        """
        return await self._context(
            query,
            context_budget=context_budget,
            preferred_labels=preferred_labels,
            excluded_folders=excluded_folders,
            folders=folders,
            roles=roles,
            min_score=min_score,
        )

    async def _find(
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
        _, found = await self._search(keywords, is_echo)
        return found

    async def _search(
        self, keywords: Mapping[str, object], is_echo: IsEcho | None = None
    ) -> tuple[QueryResponse, FoundResults]:
        return await self._run_search(self._parse_search(keywords, is_echo))

    def _parse_search(self, keywords: Mapping[str, object], is_echo: IsEcho | None = None) -> Search:
        """Return the search for the arguments of `query`; a refusal is raised before anything is sent."""
        request = validate(QueryRequest, self._absolute_filters(keywords))
        filters = request.get("filters", {})
        return Search(
            request["query"],
            request.get("limit", 10),
            request.get("offset", 0),
            self._conditions(filters),
            server_filters(filters),
            request.get("min_score"),
            request.get("hybrid", False),
            is_echo,
        )

    async def _run_search(self, wanted: Search) -> tuple[QueryResponse, FoundResults]:
        body = {"query": wanted.query, "limit": wanted.limit, "offset": 0}
        return await search(self._transport.start_deadline(), self._capabilities, endpoints.QUERY, body, wanted)

    async def _context(
        self,
        query: str,
        *,
        context_budget: int,
        preferred_labels: Sequence[str] | None,
        excluded_folders: Sequence[str] | None,
        folders: Sequence[str] | None = None,
        roles: Sequence[str] | None = None,
        min_score: float | None = None,
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
        )
        request = validate(ContextAssembleRequest, keywords)
        labels, excluded = request.get("preferred_labels", []), request.get("excluded_folders", [])
        if self._view is None and not request.keys() & CONFINED_BY:
            body = {**request, "excluded_folders": excluded_prefixes(excluded)}
            context = await self._transport.send(endpoints.ASSEMBLE_CONTEXT.request(body))
            return without_echoes(without_repeated_ids(exclude_folders(context, excluded)), is_echo)
        if not context_budget or request.get("folders") == [] or request.get("roles") == []:
            return []
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
            hybrid=True,
            is_echo=is_echo,
            is_enough=fills_budget(context_budget),
        )
        _, found = await self._run_search(wanted)
        return context_from_results(found.results, context_budget, labels)
