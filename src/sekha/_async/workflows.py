"""Workflows of several calls without a model: store and search, check the health of all services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from sekha._api.compat.health import NO_FOLDER, add_key_check, health_from_error
from sekha._api.endpoints import LIST_CONVERSATIONS, MEMORY_STATS
from sekha._concurrency.tasks import AsyncCall, async_gather
from sekha._utils.sentinel import drop_unset
from sekha.errors import SekhaError
from sekha.types import SearchResults, ServiceHealth

from .chats import AsyncChatWorkflows
from .mcp import AsyncMCPClient

HEALTH_TIMEOUT = 5.0

_CHECK_KEY = replace(LIST_CONVERSATIONS, sent_at_once=True)
_CHECK_TOOLS = replace(MEMORY_STATS, sent_at_once=True)


class AsyncWorkflows(AsyncChatWorkflows):
    """The workflows of `AsyncSekhaClient`; the deadline applies to each workflow as a whole."""

    mcp: AsyncMCPClient

    async def store_and_query(
        self,
        messages: Sequence[Mapping[str, object]],
        query: str,
        *,
        label: Optional[str] = None,
        folder: Optional[str] = None,
        importance_score: Optional[int] = None,
        limit: int = 10,
        filters: Optional[Mapping[str, object]] = None,
        min_score: Optional[float] = None,
        hybrid: bool = True,
        drop_images: bool = False,
    ) -> SearchResults:
        """Store a conversation, then search all conversations, including the new one.

        `AsyncMemoryController.create_conversation`, then `AsyncMemoryController.query`; the new conversation is indexed
        when the first call returns. The query is validated before anything is stored.

        Args:
            messages: Dictionaries with ``role`` and ``content``.
            query: Text to search for, not blank.
            label: Name of the conversation; default: the first line of the first user message.
            folder: Its path; default ``/``.
            importance_score: 1 to 10; default 5.
            limit: Maximum number of results, 1 or more.
            filters: As for `AsyncMemoryController.query`.
            min_score: As for `AsyncMemoryController.query`.
            hybrid: As for `AsyncMemoryController.query`; default here: True, which takes one more request, sometimes a
                few.
            drop_images: As for `AsyncMemoryController.create_conversation`.

        Returns:
            A list of results, best first, with the attributes ``conversation`` (the stored conversation), ``related``
            (results from other conversations) and ``below_min_score`` (number of results that ``min_score`` excluded).

        Raises:
            SekhaValidationError: An argument is invalid; nothing was stored.
            SekhaError: Any other failure; if the search failed, ``error.conversation`` is the stored conversation.

        Example:
            ```python title="python -m asyncio"
            results = await client.store_and_query(
                messages=[{"role": "user", "content": "Discussed project timeline"}],
                query="timeline",
                label="Planning",
            )
            print(results.conversation["label"])  # Planning
            ```
        """
        keywords = drop_unset(query=query, limit=limit, filters=filters, min_score=min_score, hybrid=hybrid)
        self.controller._parse_search(keywords)
        view = self._start_deadline()
        conversation = await view.controller.create_conversation(
            label=label, folder=folder, importance_score=importance_score, messages=messages, drop_images=drop_images
        )
        try:
            page = await view.controller.query(query, limit=limit, filters=filters, min_score=min_score, hybrid=hybrid)
        except SekhaError as error:
            error.conversation = conversation
            raise
        return SearchResults(page["results"], conversation, page.get("below_min_score", 0))

    async def health_check(self) -> dict[str, ServiceHealth]:
        """Check controller, bridge and MCP tools concurrently, with one request each and at most 5 seconds.

        ``GET /health`` of the controller and of the bridge, ``GET /api/v1/conversations?page=1&page_size=1`` with the
        key, and ``POST /mcp/tools/memory_stats`` for a folder that does not exist. These requests count for the rate
        limit, but wait neither for it nor for a free connection.

        Returns:
            ``controller``, ``bridge`` and ``mcp``, each with ``status`` (``healthy``, ``degraded``, ``unhealthy``,
            ``unreachable``, ``unauthorized``, ``not_configured``, or ``unknown`` if the check itself failed),
            ``checks``, and ``error`` if there is one. This method never raises. Controller 0.1 accepts any key on its
            REST routes.

        Example:
            ```python title="python -m asyncio"
            health = await client.health_check()
            for service, status in health.items():
                print(f"{service.capitalize()}: {status['status']}")
            ```
        """
        once: dict[str, Any] = {"timeout": HEALTH_TIMEOUT, "deadline": HEALTH_TIMEOUT, "max_retries": 0}
        controller, bridge, mcp = (
            self.controller.with_options(**once),
            self.bridge.with_options(**once),
            self.mcp.with_options(**once),
        )

        async def check_key() -> ServiceHealth:
            await controller._transport.send(_CHECK_KEY.request(query={"page": 1, "page_size": 1}))
            return ServiceHealth(status="healthy", checks={})

        async def check_tools() -> ServiceHealth:
            await mcp._transport.send(_CHECK_TOOLS.request({"folder": NO_FOLDER}))
            return ServiceHealth(status="healthy", checks={})

        def without_errors(service: str, call: AsyncCall[[], ServiceHealth]) -> AsyncCall[[], ServiceHealth]:
            async def ask() -> ServiceHealth:
                try:
                    return await call()
                except Exception as error:  # also an error of the user's httpx client
                    return health_from_error(error, service)

            return ask

        calls = [
            without_errors("controller", controller.health),
            without_errors("controller", check_key),
            without_errors("bridge", bridge.health),
            without_errors("mcp", check_tools),
        ]
        health, key_check, of_bridge, of_mcp = await async_gather(calls, len(calls))
        return {"controller": add_key_check(health, key_check), "bridge": of_bridge, "mcp": of_mcp}
