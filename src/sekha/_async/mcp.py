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
from sekha._transport.spans import async_traced
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

from .folder_client import AsyncFolderClient, folder_of_conversation, folder_of_export
from .operations.lost_keys import warn_of_lost_keys
from .operations.pagination import all_conversations
from .operations.pagination import count_messages as count_all
from .operations.search import complete_page, search
from .operations.store import store
from .transport import AsyncTransport

COUNTED_WITHOUT_ASKING = 100
"""Maximum number of conversations whose messages are counted by default, with one request each."""


@exported_from_sekha
class AsyncMCPClient(AsyncFolderClient):
    """Client for the MCP tools only; `AsyncSekhaClient.mcp` is one that shares its connections.

    Args:
        config: The settings below as one object; keyword arguments take precedence.
        base_url: Address of the controller; default: ``SEKHA_CONTROLLER_URL``.
        api_key: Key for the MCP tools; default: ``SEKHA_MCP_API_KEY``, else ``SEKHA_API_KEY``. Unless ``SEKHA_API_KEY``
            is set, it is also sent to the REST routes of the same server, which statistics and filters need.
        timeout: Seconds for each phase of one attempt (connect, send, wait for bytes); None means no limit.
        max_retries: Retries after a failed first attempt; default 3.
        options: Any other settings of `sekha.SekhaConfig`.

    Raises:
        SekhaConfigError: A setting is missing or invalid.

    Example:
        ```python title="python -m asyncio"
        from sekha import AsyncMCPClient

        async with AsyncMCPClient(base_url=controller_url, api_key="sk-your-api-key") as mcp:
            print((await mcp.memory_stats())["total_conversations"])
        ```
    """

    @property
    def _service(self) -> Service:
        return Service.MCP

    def _key_overrides(self, api_key: str | None) -> dict[Service, Secret]:
        return key_overrides(mcp_api_key=api_key)

    async def memory_stats(
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
        """Return statistics about all conversations, or about some of them.

        ``POST /mcp/tools/memory_stats``. Controller 0.1 supports only one ``folder`` or one ``label``, and neither
        subfolders, several labels nor message counts. The library gets these from the list (one request per thousand
        stored conversations) and from exports (one request per conversation, at most four concurrently).

        Args:
            request: The keyword arguments below except ``count_messages`` as one dictionary; keyword arguments take
                precedence.
            folder: Only conversations in exactly this folder.
            subfolders: Whether to include folders below ``folder``; default False.
            label: Only conversations with exactly this label.
            labels: Only conversations with one of these labels; an empty list matches none.
            start_date: Earliest time of the last update, inclusive, as an ISO date or time; UTC without a zone.
            end_date: Latest time, inclusive; a date includes the whole day.
            count_messages: Whether to count messages with exports; default: only for up to 100 conversations.

        Returns:
            ``total_conversations``, ``average_importance`` (0.0 without conversations), ``folders``, ``labels``, and
            ``total_messages``, None if messages were not counted.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaAuthError: The MCP tools rejected the key.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            stats = await client.mcp.memory_stats(
                {"labels": ["important"], "start_date": "2026-01-01T00:00:00Z"}
            )
            print(stats["total_conversations"])
            ```
        """
        keywords = drop_unset(
            folder=folder, subfolders=subfolders, label=label, labels=labels, start_date=start_date, end_date=end_date
        )
        arguments = validate(MemoryStatsRequest, self._absolute_folder(merge_arguments(request, keywords, "request")))
        if not arguments.get("subfolders") or ("folder" not in arguments and self._view is not None):
            arguments.pop("subfolders", None)  # the server does not support it, and the whole of a view is counted
        keep = stats_filter(arguments)
        transport = self._transport.start_deadline()
        reported: dict[str, object] = {}
        if self._view is None and (set(arguments) <= {"folder"} or set(arguments) == {"label"}):
            server = await transport.send(endpoints.MEMORY_STATS.request(arguments))
            reported = dict(server)
            if "labels" in reported and "folders" in reported and reported.get("total_messages") is not None:
                return cast(MemoryStats, reported)
        rows = await all_conversations(transport, self._keep(keep))
        counting = count_messages if count_messages is not None else len(rows) <= COUNTED_WITHOUT_ASKING
        if reported.get("total_messages") is None and counting:
            reported["total_messages"] = await count_all(transport, [row["conversation_id"] for row in rows])
        return complete_stats(reported, rows)

    @async_traced(SEARCH)
    async def memory_search(
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
        """Search messages by meaning, like `AsyncMemoryController.query`.

        ``POST /mcp/tools/memory_search``. Controller 0.1 ignores everything except ``query`` and ``limit``; the library
        applies the rest, with as many requests as `AsyncMemoryController.query`.

        Args:
            request: The keyword arguments below as one dictionary; keyword arguments take precedence.
            query: Text to search for, not blank.
            limit: Maximum number of results, 1 or more; default 10.
            offset: Number of results to skip; default 0.
            filters: The filters below, and all others of `AsyncMemoryController.query`, as one dictionary.
            label: Only conversations with exactly this label.
            labels: Only conversations with one of these labels.
            folder: Only conversations in exactly this folder.
            min_importance: Minimum importance of the conversation, 0 to 10.
            start_date: Earliest time of the message, inclusive, as an ISO date or time; UTC without a zone.
            end_date: Latest time, inclusive; a date includes the whole day.
            min_score: Minimum score of a result, 0 to 1; default: none.
            hybrid: As for `AsyncMemoryController.query`; default False.

        Returns:
            ``results``, best first, each with ``score`` (a similarity, higher is better); ``query``, ``limit`` and
            ``total_results``; with filters also ``truncated``, with ``min_score`` also ``below_min_score``.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaAuthError: The MCP tools rejected the key.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            results = await client.mcp.memory_search(
                {"query": "project architecture", "min_importance": 7}
            )
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
        page, found = await search(transport, self._capabilities, endpoints.MEMORY_SEARCH, wanted)
        if self._view is not None:  # additional keys of the server may describe the whole memory
            page = MemorySearchResponse(query=wanted.query, results=[], total_results=found.total, limit=wanted.limit)
        complete_page(page, wanted, found)
        page["query"] = wanted.query
        page["limit"] = wanted.limit
        return page

    @async_traced(CREATE)
    async def memory_store(
        self,
        request: Optional[Mapping[str, object]] = None,
        *,
        label: Optional[str] = None,
        folder: Optional[str] = None,
        importance_score: Optional[int] = None,
        messages: Optional[Sequence[Mapping[str, object]]] = None,
        drop_images: bool = False,
    ) -> MemoryStored:
        """Store a conversation; `AsyncMemoryController.create_conversation` returns more details.

        ``POST /mcp/tools/memory_store``. If the server rejects content parts, they are sent again as text. The request
        is not retried if its outcome is unknown.

        Args:
            request: The keyword arguments below except ``drop_images`` as one dictionary; keyword arguments take
                precedence.
            label: Name, not empty; default: the first line of the first user message, up to 60 characters.
            folder: Path, not empty; default ``/``.
            importance_score: 1 to 10; default 5.
            messages: Dictionaries with ``role`` and ``content``; may be empty.
            drop_images: Whether to drop ``data:`` images if the server stores text only; otherwise such messages raise
                an error.

        Returns:
            ``id``, ``conversation_id`` (the same), ``label`` and ``folder`` of the stored conversation.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaAuthError: The MCP tools rejected the key; nothing was stored.
            SekhaError: Any other failure; ``may_have_been_applied`` is True if the conversation may be stored
                nevertheless.

        Warns:
            SekhaWarning: The server does not store a key of the messages, such as ``timestamp``.

        Example:
            ```python title="python -m asyncio"
            stored = await client.mcp.memory_store(
                label="Decision",
                importance_score=9,
                messages=[{"role": "user", "content": "We use PostgreSQL."}],
            )
            print(stored["label"])  # Decision
            ```
        """
        keywords = drop_unset(label=label, folder=folder, importance_score=importance_score, messages=messages)
        conversation = self._complete(merge_arguments(request, keywords, "request"))
        transport = self._transport.start_deadline()
        await warn_of_lost_keys(transport, self._capabilities, conversation["messages"])
        return await store(transport, self._capabilities, endpoints.MEMORY_STORE, conversation, drop_images=drop_images)

    @async_traced(UPDATE)
    async def memory_update(
        self,
        conversation_id: Union[str, UUID],
        *,
        label: Optional[str] = None,
        folder: Optional[str] = None,
        status: Optional[str] = None,
        importance_score: Optional[int] = None,
    ) -> MemoryUpdated:
        """Update a conversation.

        ``POST /mcp/tools/memory_update`` for label and folder. Controller 0.1 reports status and importance as written
        but does not write them: the library sets ``archived`` and an importance of 10 through the REST routes, and
        reads back anything else with one more request.

        Args:
            conversation_id: UUID of the conversation.
            label: New label, not empty.
            folder: New folder, not empty.
            status: ``active`` or ``archived``.
            importance_score: 1 to 10.

        Returns:
            ``conversation_id`` and ``updated_fields``, the names of the updated fields.

        Raises:
            SekhaValidationError: An argument is invalid, or none is given.
            SekhaNotFoundError: There is no conversation with this ID.
            SekhaServerError: The server did not write all fields; the message names those that were written and those
                that were not.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            await client.mcp.memory_update(conversation_id, label="Decision", importance_score=10)
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
            raise argument_error("label", "is required unless another field is given")
        transport = self._transport.start_deadline()
        await self._require_inside(transport, id)
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
            updated = await self._send(transport, tool_call)
            result.update(updated)
            not_written = await self._find_not_written(transport, id, by_tool)
            written += [name for name in by_tool if name not in not_written]
            if not_written:
                raise SekhaServerError(
                    f"the server did not write {', '.join(not_written)}, although it reported success; "
                    f"written: {', '.join(written) or 'nothing'}",
                    status_code=200,
                    method=endpoints.MEMORY_UPDATE.method,
                    path=endpoints.MEMORY_UPDATE.path,
                    may_have_been_applied=bool(written),
                )
        for name, endpoint in by_rest.items():
            try:
                await self._send(transport, endpoint.request(id=id))
            except SekhaError as error:
                if written:
                    error.message += f"; written before: {', '.join(written)}"
                    error.may_have_been_applied = True
                raise
            written.append(name)
        result["updated_fields"] = list(arguments)
        return cast(MemoryUpdated, result)

    async def _find_not_written(self, transport: AsyncTransport, id: str, arguments: Mapping[str, object]) -> list[str]:
        """Return the fields that the tool reported as written but did not write."""
        uncertain = [name for name in ("status", "importance_score") if name in arguments]
        if not uncertain:
            return []
        current = await self._send(transport, endpoints.MEMORY_GET_CONTEXT.request({"conversation_id": id}))
        return [name for name in uncertain if cast("dict[str, Any]", current)[name] != arguments[name]]

    async def memory_get_context(self, conversation_id: Union[str, UUID]) -> MemoryContext:
        """Return the metadata of a conversation, without its messages.

        ``POST /mcp/tools/memory_get_context``. On controller 0.1, ``word_count`` is a number of bytes.

        Args:
            conversation_id: UUID of the conversation.

        Returns:
            ``label``, ``folder``, ``status``, ``importance_score``, ``created_at``, ``updated_at`` and more.

        Raises:
            SekhaValidationError: The ID is not a UUID.
            SekhaNotFoundError: There is no conversation with this ID.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            print((await client.mcp.memory_get_context(conversation_id))["importance_score"])
            ```
        """
        id = checked_id(conversation_id)
        request = endpoints.MEMORY_GET_CONTEXT.request({"conversation_id": id})
        return await self._read(self._transport, request, folder_of_conversation, id)

    async def memory_prune(self, *, threshold_days: int = 30, importance_threshold: float = 5.0) -> MemoryPruneResponse:
        """Suggest conversations to archive; nothing is changed.

        ``POST /mcp/tools/memory_prune``. Controller 0.1 fails if there is any candidate; use
        `AsyncMemoryController.prune_dry_run` instead.

        Args:
            threshold_days: Minimum number of days since the last use, 0 to 36500.
            importance_threshold: Only conversations below this importance, 0 to 10; controller 0.1 ignores it.

        Returns:
            ``suggestions`` and ``total_suggestions``.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            print((await client.mcp.memory_prune(threshold_days=90))["total_suggestions"])
            ```
        """
        self._refuse_in_view("memory_prune")
        request = validate(
            MemoryPruneRequest, {"threshold_days": threshold_days, "importance_threshold": importance_threshold}
        )
        return await self._transport.send(endpoints.MEMORY_PRUNE.request(request))

    async def memory_export(
        self, conversation_id: Union[str, UUID], *, format: str = "json", include_metadata: bool = True
    ) -> MemoryExport:
        """Export a conversation with all its messages.

        ``POST /mcp/tools/memory_export``. The library renders Markdown itself.

        Args:
            conversation_id: UUID of the conversation.
            format: ``json`` (default), or ``markdown``, which adds the conversation as Markdown in ``content``.
            include_metadata: Whether to include the ``metadata`` of messages.

        Returns:
            ``conversation``, ``messages``, ``format``, and ``content`` for Markdown.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaNotFoundError: There is no conversation with this ID.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            export = await client.mcp.memory_export(conversation_id, format="markdown")
            print(export["content"])
            ```
        """
        id = checked_id(conversation_id)
        request = validate(ExportRequest, {"format": format, "include_metadata": include_metadata})
        tool_call = endpoints.MEMORY_EXPORT.request({"conversation_id": id, **request})
        export = await self._read(self._transport, tool_call, folder_of_export, id)
        return apply_export_options(export, request["format"], include_metadata=request["include_metadata"])
