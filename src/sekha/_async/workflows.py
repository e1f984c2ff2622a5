"""Workflows of several calls: store and search, complete with memories, check the health of all services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from typing_extensions import Self

from sekha._api.arguments import PromptRequest
from sekha._api.compat.health import NO_FOLDER, add_key_check, health_from_error
from sekha._api.endpoints import LIST_CONVERSATIONS, MEMORY_STATS
from sekha._api.prompts import prompt_with_context, prompt_with_results
from sekha._api.validation import validate
from sekha._concurrency.misuse import AsyncMisuseGuard
from sekha._concurrency.process_bound import ProcessBound
from sekha._concurrency.tasks import AsyncCall, async_gather
from sekha._utils.sentinel import drop_unset
from sekha.errors import SekhaError
from sekha.types import ChatCompletion, ChatMessage, SearchResults, ServiceHealth

from .bridge import AsyncBridgeClient
from .controller.client import AsyncMemoryController
from .mcp import AsyncMCPClient
from .stream import AsyncStream

HEALTH_TIMEOUT = 5.0

_CHECK_KEY = replace(LIST_CONVERSATIONS, sent_at_once=True)
_CHECK_TOOLS = replace(MEMORY_STATS, sent_at_once=True)


class AsyncWorkflows(AsyncMisuseGuard, ProcessBound):
    """The workflows of `AsyncSekhaClient`; each of them obeys the deadline as a whole."""

    controller: AsyncMemoryController
    bridge: AsyncBridgeClient
    mcp: AsyncMCPClient

    def _start_deadline(self) -> Self:
        """A view whose calls share one deadline that runs from now."""
        raise NotImplementedError

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
        drop_images: bool = False,
    ) -> SearchResults:
        """Store a conversation, then search the whole memory, the new conversation included.

        `AsyncMemoryController.create_conversation`, then `AsyncMemoryController.query`; indexing is finished when the
        first returns. The query is checked before anything is stored.

        Args:
            messages: Dictionaries with ``role`` and ``content``.
            query: What to look for, not blank.
            label: Name of the conversation; default: the first line of the first user message.
            folder: Its path; default ``/``.
            importance_score: 1 to 10; default 5.
            limit: Hits at most, 1 or more.
            filters: As for `AsyncMemoryController.query`.
            min_score: As for `AsyncMemoryController.query`.
            drop_images: As for `AsyncMemoryController.create_conversation`.

        Returns:
            A list of hits, best first, with ``.conversation`` (what was stored), ``.related`` (the other hits) and
            ``.below_min_score`` (how many hits ``min_score`` left out).

        Raises:
            SekhaValidationError: An argument cannot be used; nothing was stored.
            SekhaError: It failed; if the search did, ``error.conversation`` is what had been stored.

        Example:
            ```python
            results = await client.store_and_query(
                messages=[{"role": "user", "content": "Discussed project timeline"}], query="timeline", label="Planning"
            )
            print(results.conversation["label"])  # Planning
            ```
        """
        self.controller._parse_search(drop_unset(query=query, limit=limit, filters=filters, min_score=min_score))
        view = self._start_deadline()
        conversation = await view.controller.create_conversation(
            label=label, folder=folder, importance_score=importance_score, messages=messages, drop_images=drop_images
        )
        try:
            page = await view.controller.query(query, limit=limit, filters=filters, min_score=min_score)
        except SekhaError as error:
            error.conversation = conversation
            raise
        return SearchResults(page["results"], conversation, page.get("below_min_score", 0))

    async def complete_with_context(
        self,
        prompt: str,
        context_query: str,
        *,
        model: Optional[str] = None,
        context_budget: int = 4000,
        preferred_labels: Optional[Sequence[str]] = None,
        excluded_folders: Optional[Sequence[str]] = None,
        system: Optional[str] = None,
        temperature: Optional[float] = None,
        max_tokens: Optional[int] = None,
    ) -> ChatCompletion:
        """A model's answer to a prompt, with what the memory knows put before it.

        `AsyncMemoryController.assemble_context`, then `AsyncBridgeClient.complete`. What is remembered goes into the
        user message as quoted data with its origin; it never speaks with a role of its own.

        Args:
            prompt: What to ask, not blank.
            context_query: What to remember, not blank.
            model: Name of a model; default: the bridge chooses.
            context_budget: Tokens of memory at most, 0 or more.
            preferred_labels: Labels whose conversations come first.
            excluded_folders: Folders to leave out, with all that is below them.
            system: Your own instruction to the model.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Tokens of the answer at most; default: the bridge's 2000.

        Returns:
            The answer, as from `AsyncBridgeClient.complete`.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            response = await client.complete_with_context(
                prompt="Continue our architecture discussion", context_query="architecture decisions", model="gpt-4"
            )
            print(response["choices"][0]["message"]["content"])
            ```
        """
        request = drop_unset(
            prompt=prompt,
            context_query=context_query,
            system=system,
            model=model,
            temperature=temperature,
            max_tokens=max_tokens,
        )
        view = self._start_deadline()
        messages = await view._with_context(request, context_budget, preferred_labels, excluded_folders)
        return await view.bridge.complete(messages, model=model, temperature=temperature, max_tokens=max_tokens)

    async def stream_with_context(
        self,
        prompt: str,
        context_query: str,
        *,
        model: Optional[str] = None,
        context_budget: int = 4000,
        preferred_labels: Optional[Sequence[str]] = None,
        excluded_folders: Optional[Sequence[str]] = None,
        system: Optional[str] = None,
        temperature: Optional[float] = None,
        max_tokens: Optional[int] = None,
    ) -> AsyncStream:
        """The same as `complete_with_context`, piece by piece as the answer comes.

        `AsyncMemoryController.assemble_context`, then `AsyncBridgeClient.stream_complete`.

        Args:
            prompt: What to ask, not blank.
            context_query: What to remember, not blank.
            model: Name of a model; default: the bridge chooses.
            context_budget: Tokens of memory at most, 0 or more.
            preferred_labels: Labels whose conversations come first.
            excluded_folders: Folders to leave out, with all that is below them.
            system: Your own instruction to the model.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Tokens of the answer at most; default: the bridge's 2000.

        Returns:
            A stream of chunks; see `AsyncStream`.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            async for chunk in await client.stream_with_context(
                prompt="Explain our deployment strategy", context_query="deployment docker kubernetes"
            ):
                print(chunk["choices"][0]["delta"].get("content") or "", end="")
            ```
        """
        request = drop_unset(
            prompt=prompt,
            context_query=context_query,
            system=system,
            model=model,
            temperature=temperature,
            max_tokens=max_tokens,
        )
        view = self._start_deadline()
        messages = await view._with_context(request, context_budget, preferred_labels, excluded_folders)
        return await view.bridge.stream_complete(messages, model=model, temperature=temperature, max_tokens=max_tokens)

    async def complete_with_memory(
        self,
        prompt: str,
        search_query: str,
        *,
        model: Optional[str] = None,
        limit: int = 5,
        filters: Optional[Mapping[str, object]] = None,
        min_score: Optional[float] = None,
        system: Optional[str] = None,
        temperature: Optional[float] = None,
        max_tokens: Optional[int] = None,
    ) -> ChatCompletion:
        """A model's answer to a prompt, with the hits of a search put after it.

        `AsyncMemoryController.query`, then `AsyncBridgeClient.complete`. The hits go into the user message as quoted
        data with their origin.

        Args:
            prompt: What to ask, not blank; it may end in a colon.
            search_query: What to look for, not blank.
            model: Name of a model; default: the bridge chooses.
            limit: Hits at most, 1 or more.
            filters: As for `AsyncMemoryController.query`.
            min_score: As for `AsyncMemoryController.query`: with a floor, an unrelated question gets no memories.
            system: Your own instruction to the model.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Tokens of the answer at most; default: the bridge's 2000.

        Returns:
            The answer, as from `AsyncBridgeClient.complete`.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            response = await client.complete_with_memory(
                prompt="Summarize our past discussions about:", search_query="architecture microservices", limit=5
            )
            print(response["choices"][0]["message"]["content"])
            ```
        """
        validate(
            PromptRequest,
            drop_unset(
                prompt=prompt,
                search_query=search_query,
                system=system,
                model=model,
                temperature=temperature,
                max_tokens=max_tokens,
            ),
        )
        view = self._start_deadline()
        view.bridge._transport.require_configured()
        page = await view.controller.query(search_query, limit=limit, filters=filters, min_score=min_score)
        messages = prompt_with_results(prompt, page["results"], system=system)
        return await view.bridge.complete(messages, model=model, temperature=temperature, max_tokens=max_tokens)

    async def _with_context(
        self,
        request: Mapping[str, object],
        context_budget: int,
        preferred_labels: Sequence[str] | None,
        excluded_folders: Sequence[str] | None,
    ) -> list[ChatMessage]:
        arguments = validate(PromptRequest, request)
        self.bridge._transport.require_configured()
        context = await self.controller.assemble_context(
            arguments.get("context_query", ""),
            context_budget=context_budget,
            preferred_labels=preferred_labels,
            excluded_folders=excluded_folders,
        )
        return prompt_with_context(arguments["prompt"], context, system=arguments.get("system"))

    async def health_check(self) -> dict[str, ServiceHealth]:
        """How the three services are, asked side by side, once each and for at most 5 seconds.

        ``GET /health`` of the controller and of the bridge, ``GET /api/v1/conversations?page=1&page_size=1`` with the
        key, and ``POST /mcp/tools/memory_stats`` of a folder that does not exist. None of them waits for the rate
        limit, which counts them, or for a free connection.

        Returns:
            ``controller``, ``bridge`` and ``mcp``, each with ``status`` (``healthy``, ``degraded``, ``unhealthy``,
            ``unreachable``, ``unauthorized``, ``not_configured``, or ``unknown`` where this client could not ask),
            ``checks``, and ``error`` where there is one. It never raises. A controller 0.1 accepts any key but for
            its MCP tools.

        Example:
            ```python
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
                except Exception as error:  # also one of a client of the user
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
