# Generated from src/sekha/_async/controller/client.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""The controller: conversations, and what is remembered of them."""

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
    """A client of the controller alone; `SekhaClient.controller` is one that shares its connections.

    Args:
        config: The settings below as one object; a keyword beats it.
        base_url: Address of the controller; else ``SEKHA_CONTROLLER_URL``.
        api_key: Key for its REST routes; else ``SEKHA_API_KEY``.
        mcp_api_key: Key for its MCP tools, where it differs.
        timeout: Seconds for each phase of one attempt; None means no limit.
        max_retries: Repetitions after a first attempt; default 3.
        options: Any other setting of `sekha.SekhaConfig`.

    Raises:
        SekhaConfigError: A setting is missing or cannot be used.

    Example:
        ```python
        from sekha import MemoryController

        with MemoryController(base_url=controller_url, api_key="sk-your-api-key") as controller:
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
        """Search the messages by meaning, and with ``hybrid`` by words as well.

        ``POST /api/v1/query``. The controller 0.1 knows neither ``offset`` nor ``filters``: both are applied here. With
        filters it takes up to four requests: of four times ``limit`` (20 at least), and then of ten times as many each
        time, up to 10,000 hits. ``min_importance`` and ``archived`` take one more for each thousand conversations that
        are stored, and the first search with filters asks ``GET /health`` once whether the controller applies filters:
        then ``min_importance`` takes none more, and ``archived`` one for each thousand that are archived.
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
            hybrid: Whether to search by words as well, which finds what the search by meaning loses among texts that
                resemble each other; default: no. It takes one ``POST /api/v1/search/fts`` more, another one where a
                thousand messages have one of the words, a third one with filters, and for what words alone have found
                at most ten of ``GET /api/v1/conversations/{id}`` or of ``GET /api/v1/conversations``.

        Returns:
            ``results``, best first, each with ``score`` (a similarity, higher is better), ``content``, ``label``,
            ``folder``; with filters also ``truncated``, True if hits may be missing, of which a `SekhaWarning` tells
            once for a client; with ``min_score`` also ``below_min_score``, how many hits it left out. With ``hybrid``
            hits have ``found_by``: ``meaning``, ``words`` or ``both``. What words alone have found has the ``score`` of
            the worst hit by meaning, or 1.0 if it contains the whole query; with ``min_score`` only the latter stays.
            If the full-text search is refused, there are the hits by meaning, ``words_error``, and a `SekhaWarning`
            once for a client.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaError: It failed.

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
        if self._view is not None:  # what a server adds to its page is about the whole memory
            page = QueryResponse(results=[], total=found.total, page=1, page_size=limit)
        complete_page(page, wanted, found)
        page["page"] = offset // limit + 1
        page["page_size"] = limit
        return page

    @traced(SEARCH)
    def full_text_search(self, query: str, *, limit: int = 10, raw: bool = False) -> FullTextResponse:
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
        """A summary of a conversation, made by the model behind the controller.

        ``POST /api/v1/summarize``. The controller 0.1 looks at the last 24 hours whatever the level says, and answers
        ``No messages to summarize`` where there is nothing.

        Args:
            conversation_id: UUID of the conversation.
            level: ``daily``, ``weekly`` or ``monthly``.

        Returns:
            ``summary``, ``level``, ``generated_at`` and ``conversation_id``.

        Raises:
            SekhaValidationError: An argument cannot be used.
            SekhaNotFoundError: There is no such conversation.
            SekhaServerError: The model is down.
            SekhaError: It failed.

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
        """Conversations that have not been used for long; nothing is changed.

        ``POST /api/v1/prune/dry-run``. The controller asks its model for a preview of each candidate, one after the
        other, so this can take long. A ``limit`` is sent where ``GET /health``, which is asked once, says that it is
        known: the local server then previews no more than it returns.

        Args:
            threshold_days: Days since the last use, 0 to 36500.
            limit: Suggestions at most, 1 or more: those recommended for the archive first, and of these the longest
                unused; default: all, in the order of the server.

        Returns:
            ``suggestions``, each with ``conversation_id``, ``importance_score`` and ``preview``, and ``total``, which
            counts those beyond the limit too.

        Raises:
            SekhaValidationError: The number cannot be used.
            SekhaError: It failed; on the controller 0.1 also because one preview failed.

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

        ``POST /api/v1/prune/execute``, after one request for each thousand stored conversations that checks the ids:
        with an unknown one nothing is archived.

        Args:
            conversation_ids: UUIDs of the conversations; an empty list does nothing.

        Raises:
            SekhaValidationError: An id is no UUID.
            SekhaNotFoundError: An id is unknown; ``archived`` lists those that were archived all the same.
            SekhaError: It failed.

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
        """Labels that would fit a conversation, at most five.

        ``POST /api/v1/labels/suggest``. Where the model is down, the controller 0.1 suggests some label with confidence
        0.9, and nothing tells that from a real one: ask `health_check` of the client first.

        Args:
            conversation_id: UUID of the conversation.

        Returns:
            ``label``, ``confidence`` (0 to 1) and ``reason`` for each.

        Raises:
            SekhaValidationError: The id is no UUID.
            SekhaNotFoundError: There is no such conversation.
            SekhaError: It failed.

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
        """Ask the controller to embed everything anew; the controller 0.1 accepts this and does nothing.

        ``POST /api/v1/rebuild-embeddings``.

        Raises:
            SekhaError: It failed.

        Example:
            ```python
            client.controller.rebuild_embeddings()
            ```
        """
        self._refuse_in_view("rebuild_embeddings")
        self._transport.send(endpoints.REBUILD_EMBEDDINGS.request())

    def health(self) -> ServiceHealth:
        """How the controller is.

        ``GET /health``; any controller's answer in one shape.

        Returns:
            ``status`` (``healthy`` or ``unhealthy``), ``checks``, and ``error`` where there is one.

        Raises:
            SekhaConnectionError: It cannot be reached.
            SekhaError: It failed in another way.

        Example:
            ```python
            print((client.controller.health())["status"])  # healthy
            ```
        """
        health = self._transport.send(endpoints.CONTROLLER_HEALTH.request())
        return health if self._view is None else self._view.health(health)

    def metrics(self) -> str:
        """The controller's metrics, as text in Prometheus' format; the controller 0.1 always says 0.

        ``GET /metrics``.

        Raises:
            SekhaError: It failed.

        Example:
            ```python
            print(client.controller.metrics())
            ```
        """
        self._refuse_in_view("metrics")
        return self._transport.send(endpoints.CONTROLLER_METRICS.request())
