# Generated from src/sekha/_async/controller/client.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""The controller: conversations, search, and maintenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional, Union
from uuid import UUID

from typing_extensions import Unpack

from sekha._api import endpoints
from sekha._api.arguments import FullTextRequest, SummarizeRequest
from sekha._api.compat.error_overrides import find_conversation_id
from sekha._api.compat.requests import quote_full_text_query
from sekha._api.model import Service
from sekha._api.pages import first_to_go
from sekha._api.validation import parse_conversation_id as checked_id
from sekha._api.validation import parse_conversation_ids as checked_ids
from sekha._api.validation import validate
from sekha._transport.operations import ARCHIVE_MANY, SEARCH
from sekha._transport.spans import traced
from sekha._utils.public import exported_from_sekha
from sekha._utils.redaction import redact_traceback
from sekha._utils.sentinel import NOT_GIVEN, NotGiven, drop_unset
from sekha.config import ClientConfig
from sekha.errors import SekhaNotFoundError, SekhaServerError
from sekha.types import (
    FullTextResponse,
    LabelSuggestion,
    PruneRequest,
    PruneResponse,
    QueryResponse,
    ServiceHealth,
    SummaryLevel,
    SummaryResponse,
)

from ..base import ConnectionOptions
from ..operations.features import controller_features
from ..operations.full_text import FullTextSearch
from ..operations.pagination import all_conversations
from ..operations.search import complete_page, search
from .listing import ListingMixin
from .replacing import ReplaceMixin
from .searching import OFFSET, SearchMixin
from .syncing import SyncMixin


@exported_from_sekha
class MemoryController(SearchMixin, SyncMixin, ListingMixin, ReplaceMixin):
    """Client for the controller only; `SekhaClient.controller` is one that shares its connections.

    Args:
        config: The settings below as one object; keyword arguments take precedence.
        base_url: Address of the controller; default: ``SEKHA_CONTROLLER_URL``.
        api_key: Key for its REST routes; default: ``SEKHA_API_KEY``.
        mcp_api_key: Key for its MCP tools, if it differs.
        timeout: Seconds for each phase of one attempt (connect, send, wait for bytes); None means no limit.
        max_retries: Retries after a failed first attempt; default 3.
        options: Any other settings of `sekha.SekhaConfig`.

    Raises:
        SekhaConfigError: A setting is missing or invalid.

    Example:
        ```python
        from sekha import MemoryController

        with MemoryController(
            base_url=controller_url, api_key="sk-your-api-key"
        ) as controller:
            print((controller.health())["status"])  # healthy
        ```
    """

    @property
    def _service(self) -> Service:
        return Service.CONTROLLER

    @redact_traceback
    def __init__(
        self,
        config: Optional[ClientConfig] = None,
        *,
        base_url: Optional[str] = None,
        api_key: Optional[str] = None,
        mcp_api_key: Optional[str] = None,
        timeout: Union[float, NotGiven, None] = NOT_GIVEN,
        max_retries: Union[int, NotGiven] = NOT_GIVEN,
        **options: Unpack[ConnectionOptions],
    ) -> None:
        arguments = {"base_url": base_url, "api_key": api_key, "mcp_api_key": mcp_api_key}
        self._open(config, {**arguments, "timeout": timeout, "max_retries": max_retries, **options})

    @traced(SEARCH)
    def query(
        self,
        query: str,
        *,
        limit: int = 10,
        offset: int = 0,
        filters: Optional[Mapping[str, object]] = None,
        min_score: Optional[float] = None,
        hybrid: bool = False,
    ) -> QueryResponse:
        """Search messages by meaning, and with ``hybrid`` also by words.

        ``POST /api/v1/query``. Controller 0.1 supports neither ``offset`` nor ``filters``; the library applies both. A
        search with filters makes up to four requests: for four times ``limit`` results (at least 20), then for ten
        times as many each time, up to 10,000. ``min_importance`` and ``archived`` take one more request per thousand
        stored conversations. The first search with filters calls ``GET /health`` once to check whether the controller
        applies filters; if it does, ``min_importance`` takes no more requests, and ``archived`` one per thousand
        archived conversations.

        If the embedding service is down, the search returns no results and no error; check with `health`.

        Args:
            query: Text to search for, not blank.
            limit: Maximum number of results, 1 or more.
            offset: Number of results to skip.
            filters: Any of ``label``, ``labels``, ``exclude_labels``, ``folder``, ``subfolders`` (True includes
                subfolders), ``min_importance`` (0 to 10), ``archived`` (False excludes archived conversations),
                ``roles`` (such as ``["user"]``), ``start_date``, ``end_date`` (ISO dates or times of the message,
                inclusive; UTC without a zone).
            min_score: Minimum score of a result, 0 to 1; default: none. A suitable value depends on the embedding
                model.
            hybrid: Whether to add a full-text search, which finds exact words that a search by meaning misses among
                similar texts; default False. It takes one more request (``POST /api/v1/search/fts``), a second one if a
                thousand messages contain one of the words, a third one with filters, and at most ten lookups of
                conversations (``GET /api/v1/conversations/{id}`` or ``GET /api/v1/conversations``).

        Returns:
            ``results``, best first, each with ``score`` (a similarity, higher is better), ``content``, ``label`` and
            ``folder``. With filters also ``truncated``, True if results may be missing; then a `SekhaWarning` is issued
            once per client. With ``min_score`` also ``below_min_score``, the number of excluded results. With
            ``hybrid`` each result has ``found_by``: ``meaning``, ``words`` or ``both``. Results found only by words get
            the ``score`` of the worst result by meaning, or 1.0 if they contain the whole query; with ``min_score``,
            only the latter are kept. If the full-text search fails, the results by meaning are returned with
            ``words_error``, and a `SekhaWarning` is issued once per client.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            results = client.controller.query("How to implement authentication?", limit=10)
            for result in results["results"]:
                print(f"[{result['score']:.2f}] {result['label']}")
            ```
        """
        keywords = drop_unset(
            query=query, limit=limit, offset=offset, filters=filters, min_score=min_score, hybrid=hybrid
        )
        wanted = self._parse_search(keywords)
        transport = self._transport.start_deadline()
        page, found = search(transport, self._capabilities, endpoints.QUERY, wanted, OFFSET)
        if self._view is not None:  # additional keys of the server may describe the whole memory
            page = QueryResponse(results=[], total=found.total, page=1, page_size=limit)
        complete_page(page, wanted, found)
        page["page"] = offset // limit + 1
        page["page_size"] = limit
        return page

    @traced(SEARCH)
    def full_text_search(self, query: str, *, limit: int = 10, raw: bool = False) -> FullTextResponse:
        """Return the messages that contain all words of a query.

        ``POST /api/v1/search/fts``.

        Args:
            query: Words, not blank; ``C++`` and ``it's`` are matched literally.
            limit: Maximum number of messages, 1 or more.
            raw: Whether ``query`` uses the query syntax of SQLite FTS5; default False.

        Returns:
            ``results``, messages without label and folder, and ``total``.

        Raises:
            SekhaValidationError: An argument is invalid, or a raw query has a syntax error.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            found = client.controller.full_text_search("refresh tokens")
            print(found["total"])
            ```
        """
        request = validate(FullTextRequest, drop_unset(query=query, limit=limit, raw=raw))
        words = request["query"] if request["raw"] else quote_full_text_query(request["query"])
        if self._view is not None:
            transport = self._transport.start_deadline()
            return FullTextSearch(transport, self._capabilities, self._view).find(words, request["limit"])
        body = {"query": words, "limit": request["limit"]}
        return self._transport.send(endpoints.FULL_TEXT_SEARCH.request(body))

    def summarize(self, conversation_id: Union[str, UUID], *, level: str = SummaryLevel.DAILY) -> SummaryResponse:
        """Summarize a conversation with the model that the controller uses.

        ``POST /api/v1/summarize``. Controller 0.1 always summarizes the last 24 hours, whatever the level, and returns
        ``No messages to summarize`` if there are none.

        Args:
            conversation_id: UUID of the conversation.
            level: ``daily``, ``weekly`` or ``monthly``.

        Returns:
            ``summary``, ``level``, ``generated_at`` and ``conversation_id``.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaNotFoundError: There is no conversation with this ID.
            SekhaServerError: The model is unavailable.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            summary = client.controller.summarize(conversation_id, level="daily")
            print(summary["summary"])
            ```
        """
        id = checked_id(conversation_id)
        body = {"conversation_id": id, **validate(SummarizeRequest, {"level": level})}
        return self._send_inside(endpoints.SUMMARIZE.request(body), id)

    def prune_dry_run(self, *, threshold_days: int = 90, limit: Optional[int] = None) -> PruneResponse:
        """Return conversations that have not been used for a long time; nothing is changed.

        ``POST /api/v1/prune/dry-run``. The controller generates a preview of each candidate with its model, one after
        the other, so this can take long. The first call with a ``limit`` checks with ``GET /health`` whether the server
        supports it; the local server does, and generates previews only for the conversations that it returns.

        Args:
            threshold_days: Minimum number of days since the last use, 0 to 36500.
            limit: Maximum number of suggestions, 1 or more, sorted by recommendation (archive first) and time since the
                last use; default: all, in the order of the server.

        Returns:
            ``suggestions``, each with ``conversation_id``, ``importance_score`` and ``preview``, and ``total``, the
            number without the limit.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: Any other failure; controller 0.1 also fails if one preview fails.

        Example:
            ```python
            suggestions = client.controller.prune_dry_run(threshold_days=90)
            print(f"Found {len(suggestions['suggestions'])} candidates")
            ```
        """
        self._refuse_in_view("prune_dry_run")
        request = validate(PruneRequest, drop_unset(threshold_days=threshold_days, limit=limit))
        if "limit" not in request:
            return self._transport.send(endpoints.PRUNE_DRY_RUN.request(request))
        transport = self._transport.start_deadline()
        features = controller_features(transport, self._capabilities)
        wanted = request.pop("limit")
        sent = {"limit": wanted} if features is not None and features.prune_limit else {}
        found = transport.send(endpoints.PRUNE_DRY_RUN.request({**request, **sent}))
        found["suggestions"] = first_to_go(found["suggestions"], wanted)
        return found

    @traced(ARCHIVE_MANY)
    def prune_execute(self, conversation_ids: Sequence[Union[str, UUID]]) -> None:
        """Archive conversations.

        ``POST /api/v1/prune/execute``. The IDs are checked first, with one request per thousand stored conversations;
        if one is unknown, nothing is archived.

        Args:
            conversation_ids: UUIDs of the conversations; an empty list does nothing.

        Raises:
            SekhaValidationError: An ID is not a UUID.
            SekhaNotFoundError: An ID is unknown; ``archived`` lists the conversations that were archived nevertheless.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            client.controller.prune_execute([conversation_id])
            ```
        """
        ids = checked_ids(conversation_ids)
        if not ids:
            return
        transport = self._transport.start_deadline()
        known = {row["conversation_id"].lower() for row in all_conversations(transport, self._keep(None))}
        unknown = [id for id in ids if id not in known]
        if unknown:
            raise SekhaNotFoundError(
                f"conversation {unknown[0]} does not exist; nothing was archived", status_code=404, sent=True
            )
        try:
            transport.send(endpoints.PRUNE_EXECUTE.request({"conversation_ids": ids}))
        except (SekhaNotFoundError, SekhaServerError) as error:
            vanished = find_conversation_id(error.message)
            if isinstance(error, SekhaNotFoundError) and vanished in ids:
                error.archived = ids[: ids.index(vanished)]
            raise

    def suggest_labels(self, conversation_id: Union[str, UUID]) -> list[LabelSuggestion]:
        """Suggest up to five labels for a conversation.

        ``POST /api/v1/labels/suggest``. If the model is down, controller 0.1 suggests an arbitrary label with
        confidence 0.9, which cannot be distinguished from a real one; check with `health_check` of the client first.

        Args:
            conversation_id: UUID of the conversation.

        Returns:
            A list with ``label``, ``confidence`` (0 to 1) and ``reason`` for each.

        Raises:
            SekhaValidationError: The ID is not a UUID.
            SekhaNotFoundError: There is no conversation with this ID.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            for suggestion in client.controller.suggest_labels(conversation_id):
                print(f"{suggestion['label']} ({suggestion['confidence']:.0%})")
            ```
        """
        self._refuse_in_view("suggest_labels")
        body = {"conversation_id": checked_id(conversation_id)}
        return self._transport.send(endpoints.SUGGEST_LABELS.request(body))

    def rebuild_embeddings(self) -> None:
        """Start a rebuild of all embeddings; controller 0.1 accepts the request and does nothing.

        ``POST /api/v1/rebuild-embeddings``.

        Raises:
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            client.controller.rebuild_embeddings()
            ```
        """
        self._refuse_in_view("rebuild_embeddings")
        self._transport.send(endpoints.REBUILD_EMBEDDINGS.request())

    def health(self) -> ServiceHealth:
        """Return the health of the controller.

        ``GET /health``. The responses of all server versions are normalized to one format.

        Returns:
            ``status`` (``healthy`` or ``unhealthy``), ``checks``, and ``error`` if there is one.

        Raises:
            SekhaConnectionError: The service cannot be reached.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            print((client.controller.health())["status"])  # healthy
            ```
        """
        health = self._transport.send(endpoints.CONTROLLER_HEALTH.request())
        return health if self._view is None else self._view.health(health)

    def metrics(self) -> str:
        """Return the controller's metrics as text in Prometheus format; on controller 0.1 they are always 0.

        ``GET /metrics``.

        Raises:
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            print(client.controller.metrics())
            ```
        """
        self._refuse_in_view("metrics")
        return self._transport.send(endpoints.CONTROLLER_METRICS.request())
