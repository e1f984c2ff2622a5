# Generated from src/sekha/_async/mcp.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""The MCP tools that the controller serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union, cast
from uuid import UUID

from sekha._api import endpoints
from sekha._api.arguments import (
    PINNED_IMPORTANCE,
    ExportRequest,
    MemoryPruneRequest,
    UpdateRequest,
)
from sekha._api.compat.mcp import apply_export_options, complete_stats
from sekha._api.filters import stats_filter
from sekha._api.model import Service
from sekha._api.search import search_of
from sekha._api.validation import argument_error, merge_arguments, validate
from sekha._api.validation import parse_conversation_id as checked_id
from sekha._transport.operations import CREATE, SEARCH, UPDATE
from sekha._transport.options import key_overrides
from sekha._transport.spans import traced
from sekha._utils.public import exported_from_sekha
from sekha._utils.redaction import Secret
from sekha._utils.sentinel import drop_unset
from sekha.errors import SekhaError, SekhaServerError
from sekha.types import (
    Filters,
    MemoryContext,
    MemoryExport,
    MemoryPruneResponse,
    MemorySearchRequest,
    MemorySearchResponse,
    MemoryStats,
    MemoryStatsRequest,
    MemoryStored,
    MemoryUpdated,
)

from .folder_client import FolderClient, folder_of_conversation, folder_of_export
from .operations.lost_keys import warn_of_lost_keys
from .operations.pagination import all_conversations
from .operations.pagination import count_messages as count_all
from .operations.search import complete_page, search
from .operations.store import store
from .transport import Transport

COUNTED_WITHOUT_ASKING = 100
"""Conversations whose messages are counted, one request each, without being asked for."""


@exported_from_sekha
class MCPClient(FolderClient):
    """A client of the MCP tools alone; `SekhaClient.mcp` is one that shares its connections.

    Args:
        config: The settings below as one object; a keyword beats it.
        base_url: Address of the controller; else ``SEKHA_CONTROLLER_URL``.
        api_key: Key for the MCP tools; else ``SEKHA_MCP_API_KEY``, else ``SEKHA_API_KEY``. It goes to the same server's
            REST routes too, which statistics and filters need, unless ``SEKHA_API_KEY`` is set.
        timeout: Seconds for each phase of one attempt; None means no limit.
        max_retries: Repetitions after a first attempt; default 3.
        options: Any other setting of `sekha.SekhaConfig`.

    Raises:
        SekhaConfigError: A setting is missing or cannot be used.

    Example:
        ```python
        from sekha import MCPClient

        with MCPClient(base_url=controller_url, api_key="sk-your-api-key") as mcp:
            print((mcp.memory_stats())["total_conversations"])
        ```
    """

    @property
    def _service(self) -> Service:
        return Service.MCP

    def _key_overrides(self, api_key: str | None) -> dict[Service, Secret]:
        return key_overrides(mcp_api_key=api_key)

    def memory_stats(
        self,
        request: Optional[Mapping[str, object]] = None,
        *,
        folder: Optional[str] = None,
        subfolders: Optional[bool] = None,
        label: Optional[str] = None,
        labels: Optional[Sequence[str]] = None,
        start_date: Optional[str] = None,
        end_date: Optional[str] = None,
        count_messages: Optional[bool] = None,
    ) -> MemoryStats:
        """Numbers about the memory, or about a part of it.

        ``POST /mcp/tools/memory_stats``. The controller 0.1 knows one ``folder`` or one ``label`` only, and neither
        subfolders, labels nor numbers of messages: those are taken from the list (one request for each thousand stored
        conversations) and from exports (one request for each conversation, at most four at a time).

        Args:
            request: The keywords below but ``count_messages`` as one dictionary; a keyword beats its entry.
            folder: Exactly this folder.
            subfolders: Whether folders below ``folder`` count too.
            label: Exactly this label.
            labels: Any of these labels; an empty list holds for none.
            start_date: ISO date or time of the last change, included; UTC without a zone.
            end_date: The same for the end; a date means its whole day.
            count_messages: Whether to count messages by exports; default: for up to 100 conversations.

        Returns:
            ``total_conversations``, ``average_importance`` (0.0 of none), ``folders``, ``labels``, and
            ``total_messages``, None where it was not counted.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaAuthError: The MCP tools do not accept the key.
            SekhaError: It failed.

        Example:
            ```python
            stats = client.mcp.memory_stats({"labels": ["important"], "start_date": "2026-01-01T00:00:00Z"})
            print(stats["total_conversations"])
            ```
        """
        keywords = drop_unset(
            folder=folder, subfolders=subfolders, label=label, labels=labels, start_date=start_date, end_date=end_date
        )
        arguments = validate(MemoryStatsRequest, self._absolute_folder(merge_arguments(request, keywords, "request")))
        if not arguments.get("subfolders") or ("folder" not in arguments and self._view is not None):
            arguments.pop("subfolders", None)  # the server does not know it, and of a view, all is counted
        keep = stats_filter(arguments)
        transport = self._transport.start_deadline()
        reported: dict[str, object] = {}
        if self._view is None and (set(arguments) <= {"folder"} or set(arguments) == {"label"}):
            server = transport.send(endpoints.MEMORY_STATS.request(arguments))
            reported = dict(server)
            if "labels" in reported and "folders" in reported and reported.get("total_messages") is not None:
                return cast(MemoryStats, reported)
        rows = all_conversations(transport, self._keep(keep))
        counting = count_messages if count_messages is not None else len(rows) <= COUNTED_WITHOUT_ASKING
        if reported.get("total_messages") is None and counting:
            reported["total_messages"] = count_all(transport, [row["conversation_id"] for row in rows])
        return complete_stats(reported, rows)

    @traced(SEARCH)
    def memory_search(
        self,
        request: Optional[Mapping[str, object]] = None,
        *,
        query: Optional[str] = None,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
        filters: Optional[Mapping[str, object]] = None,
        label: Optional[str] = None,
        labels: Optional[Sequence[str]] = None,
        folder: Optional[str] = None,
        min_importance: Optional[float] = None,
        start_date: Optional[str] = None,
        end_date: Optional[str] = None,
        min_score: Optional[float] = None,
        hybrid: Optional[bool] = None,
    ) -> MemorySearchResponse:
        """Search the messages by meaning, as `MemoryController.query` does.

        ``POST /mcp/tools/memory_search``. The controller 0.1 ignores everything but ``query`` and ``limit``; the rest
        is applied here, at the cost that `MemoryController.query` tells.

        Args:
            request: The keywords below as one dictionary; a keyword beats its entry.
            query: What to look for, not blank.
            limit: Hits at most, 1 or more; default 10.
            offset: Hits to leave out at the beginning; default 0.
            filters: The filters below as one dictionary, and those of `MemoryController.query` beside them.
            label: Exactly this label.
            labels: Any of these labels.
            folder: Exactly this folder.
            min_importance: Importance of the conversation, 0 to 10, at least.
            start_date: ISO date or time of the message, included; UTC without a zone.
            end_date: The same for the end; a date means its whole day.
            min_score: Score of a hit at least, 0 to 1; default: any.
            hybrid: As for `MemoryController.query`; default: no.

        Returns:
            ``results``, best first, with ``score`` (a similarity, higher is better); ``query``, ``limit`` and
            ``total_results``; with filters also ``truncated``, with ``min_score`` also ``below_min_score``.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaAuthError: The MCP tools do not accept the key.
            SekhaError: It failed.

        Example:
            ```python
            results = client.mcp.memory_search({"query": "project architecture", "min_importance": 7})
            for result in results["results"]:
                print(f"{result['label']} (score: {result['score']:.2f})")
            ```
        """
        keywords = drop_unset(
            query=query,
            limit=limit,
            offset=offset,
            filters=filters,
            label=label,
            labels=labels,
            folder=folder,
            min_importance=min_importance,
            start_date=start_date,
            end_date=end_date,
            min_score=min_score,
            hybrid=hybrid,
        )
        merged = self._absolute_folder(merge_arguments(request, keywords, "request"))
        arguments = validate(MemorySearchRequest, self._absolute_filters(merged))
        keywords_as_filters = {name: value for name, value in arguments.items() if name in Filters.__annotations__}
        all_filters = cast(Filters, {**arguments.get("filters", {}), **keywords_as_filters})
        wanted = search_of(arguments, all_filters, self._conditions(all_filters, prefix=""))
        transport = self._transport.start_deadline()
        page, found = search(transport, self._capabilities, endpoints.MEMORY_SEARCH, wanted)
        if self._view is not None:  # what a server adds to its page is about the whole memory
            page = MemorySearchResponse(query=wanted.query, results=[], total_results=found.total, limit=wanted.limit)
        complete_page(page, wanted, found)
        page["query"] = wanted.query
        page["limit"] = wanted.limit
        return page

    @traced(CREATE)
    def memory_store(
        self,
        request: Optional[Mapping[str, object]] = None,
        *,
        label: Optional[str] = None,
        folder: Optional[str] = None,
        importance_score: Optional[int] = None,
        messages: Optional[Sequence[Mapping[str, object]]] = None,
        drop_images: bool = False,
    ) -> MemoryStored:
        """Store a conversation; `MemoryController.create_conversation` says more about what was stored.

        ``POST /mcp/tools/memory_store``. Content parts that the server refuses are sent once more as text. Never
        repeated when its outcome is unknown.

        Args:
            request: The keywords below but ``drop_images`` as one dictionary; a keyword beats its entry.
            label: Name, not empty; default: the first line of the first user message, at most 60 characters.
            folder: Path, not empty; default ``/``.
            importance_score: 1 to 10; default 5.
            messages: Dictionaries with ``role`` and ``content``; may be empty.
            drop_images: Whether ``data:`` images may be lost where the server takes text only.

        Returns:
            ``id``, ``conversation_id`` (the same), ``label`` and ``folder``.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaAuthError: The MCP tools do not accept the key; nothing was stored.
            SekhaError: It failed; ``may_have_been_applied`` says whether it may have been stored all the same.

        Warns:
            SekhaWarning: The server does not keep a key of the messages, such as ``timestamp``.

        Example:
            ```python
            stored = client.mcp.memory_store(
                label="Decision", importance_score=9, messages=[{"role": "user", "content": "We use PostgreSQL."}]
            )
            print(stored["label"])  # Decision
            ```
        """
        keywords = drop_unset(label=label, folder=folder, importance_score=importance_score, messages=messages)
        conversation = self._complete(merge_arguments(request, keywords, "request"))
        transport = self._transport.start_deadline()
        warn_of_lost_keys(transport, self._capabilities, conversation["messages"])
        return store(transport, self._capabilities, endpoints.MEMORY_STORE, conversation, drop_images=drop_images)

    @traced(UPDATE)
    def memory_update(
        self,
        conversation_id: Union[str, UUID],
        *,
        label: Optional[str] = None,
        folder: Optional[str] = None,
        status: Optional[str] = None,
        importance_score: Optional[int] = None,
    ) -> MemoryUpdated:
        """Change a conversation.

        ``POST /mcp/tools/memory_update`` for label and folder. The controller 0.1 says that it wrote status and
        importance and does not: ``archived`` and an importance of 10 go over its REST routes, and anything else is read
        back by one more request.

        Args:
            conversation_id: UUID of the conversation.
            label: New label, not empty.
            folder: New folder, not empty.
            status: ``active`` or ``archived``.
            importance_score: 1 to 10.

        Returns:
            ``conversation_id`` and ``updated_fields``, the names of what was changed.

        Raises:
            SekhaValidationError: An argument cannot be used, or none is given.
            SekhaNotFoundError: There is no such conversation.
            SekhaServerError: The server did not write what it was asked to; the message names it, and what was.
            SekhaError: It failed.

        Example:
            ```python
            client.mcp.memory_update(conversation_id, label="Decision", importance_score=10)
            ```
        """
        id = checked_id(conversation_id)
        folder = self._absolute(folder)
        arguments: dict[str, Any] = {
            **validate(
                UpdateRequest, drop_unset(label=label, folder=folder, status=status, importance_score=importance_score)
            )
        }
        if not arguments:
            raise argument_error("label", "is missing; give something to change")
        transport = self._transport.start_deadline()
        self._require_inside(transport, id)
        by_rest = {
            name: endpoint
            for name, value, endpoint in (
                ("importance_score", PINNED_IMPORTANCE, endpoints.PIN_CONVERSATION),
                ("status", "archived", endpoints.ARCHIVE_CONVERSATION),
            )
            if arguments.get(name) == value
        }
        by_tool = {name: value for name, value in arguments.items() if name not in by_rest}
        result: dict[str, Any] = {"conversation_id": id, "message": "updated"}
        written: list[str] = []
        if by_tool:
            tool_call = endpoints.MEMORY_UPDATE.request({"conversation_id": id, **by_tool})
            updated = self._send(transport, tool_call)
            result.update(updated)
            not_written = self._find_not_written(transport, id, by_tool)
            written += [name for name in by_tool if name not in not_written]
            if not_written:
                raise SekhaServerError(
                    f"the server did not write {', '.join(not_written)}, though it says so; "
                    f"written: {', '.join(written) or 'nothing'}",
                    status_code=200,
                    method=endpoints.MEMORY_UPDATE.method,
                    path=endpoints.MEMORY_UPDATE.path,
                    may_have_been_applied=bool(written),
                )
        for name, endpoint in by_rest.items():
            try:
                self._send(transport, endpoint.request(id=id))
            except SekhaError as error:
                if written:
                    error.message += f"; written before: {', '.join(written)}"
                    error.may_have_been_applied = True
                raise
            written.append(name)
        result["updated_fields"] = list(arguments)
        return cast(MemoryUpdated, result)

    def _find_not_written(self, transport: Transport, id: str, arguments: Mapping[str, object]) -> list[str]:
        """Return the fields that the tool reports as written, and did not write."""
        uncertain = [name for name in ("status", "importance_score") if name in arguments]
        if not uncertain:
            return []
        current = self._send(transport, endpoints.MEMORY_GET_CONTEXT.request({"conversation_id": id}))
        return [name for name in uncertain if cast("dict[str, Any]", current)[name] != arguments[name]]

    def memory_get_context(self, conversation_id: Union[str, UUID]) -> MemoryContext:
        """What the memory knows about a conversation, without its messages.

        ``POST /mcp/tools/memory_get_context``. The controller 0.1 counts bytes where it says ``word_count``.

        Args:
            conversation_id: UUID of the conversation.

        Returns:
            ``label``, ``folder``, ``status``, ``importance_score``, ``created_at``, ``updated_at`` and more.

        Raises:
            SekhaValidationError: The id is no UUID.
            SekhaNotFoundError: There is no such conversation.
            SekhaError: It failed.

        Example:
            ```python
            print((client.mcp.memory_get_context(conversation_id))["importance_score"])
            ```
        """
        id = checked_id(conversation_id)
        request = endpoints.MEMORY_GET_CONTEXT.request({"conversation_id": id})
        return self._read(self._transport, request, folder_of_conversation, id)

    def memory_prune(self, *, threshold_days: int = 30, importance_threshold: float = 5.0) -> MemoryPruneResponse:
        """Conversations that could be put away; nothing is changed.

        ``POST /mcp/tools/memory_prune``. The controller 0.1 fails here as soon as there is a candidate;
        `MemoryController.prune_dry_run` works.

        Args:
            threshold_days: Days since the last use, 0 to 36500.
            importance_threshold: Importance below which it may go, 0 to 10; the controller 0.1 ignores it.

        Returns:
            ``suggestions`` and ``total_suggestions``.

        Raises:
            SekhaValidationError: A number cannot be used.
            SekhaError: It failed.

        Example:
            ```python
            print((client.mcp.memory_prune(threshold_days=90))["total_suggestions"])
            ```
        """
        self._refuse_in_view("memory_prune")
        request = validate(
            MemoryPruneRequest, {"threshold_days": threshold_days, "importance_threshold": importance_threshold}
        )
        return self._transport.send(endpoints.MEMORY_PRUNE.request(request))

    def memory_export(
        self, conversation_id: Union[str, UUID], *, format: str = "json", include_metadata: bool = True
    ) -> MemoryExport:
        """A conversation with all its messages.

        ``POST /mcp/tools/memory_export``; Markdown is written here.

        Args:
            conversation_id: UUID of the conversation.
            format: ``json``, or ``markdown`` for the whole as a text under ``content`` too.
            include_metadata: Whether the messages keep their ``metadata``.

        Returns:
            ``conversation``, ``messages``, ``format``, and ``content`` for Markdown.

        Raises:
            SekhaValidationError: An argument cannot be used.
            SekhaNotFoundError: There is no such conversation.
            SekhaError: It failed.

        Example:
            ```python
            export = client.mcp.memory_export(conversation_id, format="markdown")
            print(export["content"])
            ```
        """
        id = checked_id(conversation_id)
        request = validate(ExportRequest, {"format": format, "include_metadata": include_metadata})
        tool_call = endpoints.MEMORY_EXPORT.request({"conversation_id": id, **request})
        export = self._read(self._transport, tool_call, folder_of_export, id)
        return apply_export_options(export, request["format"], include_metadata=request["include_metadata"])
