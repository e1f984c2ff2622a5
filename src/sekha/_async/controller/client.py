"""The controller: conversations, and what is remembered of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union
from uuid import UUID

from typing_extensions import Unpack

from sekha._api import endpoints
from sekha._api.arguments import SummarizeRequest
from sekha._api.compat.error_overrides import find_conversation_id
from sekha._api.model import Service
from sekha._api.validation import parse_conversation_id as checked_id
from sekha._api.validation import parse_conversation_ids as checked_ids
from sekha._api.validation import validate
from sekha._utils.public import exported_from_sekha
from sekha._utils.redaction import redact_traceback
from sekha._utils.sentinel import NOT_GIVEN, NotGiven
from sekha.config import ClientConfig
from sekha.errors import SekhaNotFoundError, SekhaServerError
from sekha.types import (
    LabelSuggestion,
    PruneRequest,
    PruneResponse,
    ServiceHealth,
    SummaryLevel,
    SummaryResponse,
)

from ..base import AsyncConnectionOptions
from ..operations.pagination import all_conversations
from .importing import AsyncImportMixin
from .replacing import AsyncReplaceMixin
from .searching import AsyncSearchMixin


@exported_from_sekha
class AsyncMemoryController(AsyncSearchMixin, AsyncImportMixin, AsyncReplaceMixin):
    """A client of the controller alone; `AsyncSekhaClient.controller` is one that shares its connections.

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
        from sekha import AsyncMemoryController

        async with AsyncMemoryController(base_url=controller_url, api_key="sk-your-api-key") as controller:
            print((await controller.health())["status"])  # healthy
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
        **options: Unpack[AsyncConnectionOptions],
    ) -> None:
        arguments = {"base_url": base_url, "api_key": api_key, "mcp_api_key": mcp_api_key}
        self._open(config, {**arguments, "timeout": timeout, "max_retries": max_retries, **options})

    async def summarize(self, conversation_id: Union[str, UUID], *, level: str = SummaryLevel.DAILY) -> SummaryResponse:
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
            summary = await client.controller.summarize(conversation_id, level="daily")
            print(summary["summary"])
            ```
        """
        id = checked_id(conversation_id)
        body = {"conversation_id": id, **validate(SummarizeRequest, {"level": level})}
        return await self._send_inside(endpoints.SUMMARIZE.request(body), id)

    async def prune_dry_run(self, *, threshold_days: int = 90) -> PruneResponse:
        """Conversations that have not been used for long; nothing is changed.

        ``POST /api/v1/prune/dry-run``. The controller asks its model for a preview of each candidate, one after the
        other, so this can take long.

        Args:
            threshold_days: Days since the last use, 0 to 36500.

        Returns:
            ``suggestions``, each with ``conversation_id``, ``importance_score`` and ``preview``, and ``total``.

        Raises:
            SekhaValidationError: The number cannot be used.
            SekhaError: It failed; on the controller 0.1 also because one preview failed.

        Example:
            ```python
            suggestions = await client.controller.prune_dry_run(threshold_days=90)
            print(f"Found {len(suggestions['suggestions'])} candidates")
            ```
        """
        self._refuse_in_view("prune_dry_run")
        request = validate(PruneRequest, {"threshold_days": threshold_days})
        return await self._transport.send(endpoints.PRUNE_DRY_RUN.request(request))

    async def prune_execute(self, conversation_ids: Sequence[Union[str, UUID]]) -> None:
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
            await client.controller.prune_execute([conversation_id])
            ```
        """
        ids = checked_ids(conversation_ids)
        if not ids:
            return
        transport = self._transport.start_deadline()
        known = {row["conversation_id"].lower() for row in await all_conversations(transport, self._keep(None))}
        unknown = [id for id in ids if id not in known]
        if unknown:
            raise SekhaNotFoundError(
                f"conversation {unknown[0]} does not exist; nothing was archived", status_code=404, sent=True
            )
        try:
            await transport.send(endpoints.PRUNE_EXECUTE.request({"conversation_ids": ids}))
        except (SekhaNotFoundError, SekhaServerError) as error:
            vanished = find_conversation_id(error.message)
            if isinstance(error, SekhaNotFoundError) and vanished in ids:
                error.archived = ids[: ids.index(vanished)]
            raise

    async def suggest_labels(self, conversation_id: Union[str, UUID]) -> list[LabelSuggestion]:
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
            for suggestion in await client.controller.suggest_labels(conversation_id):
                print(f"{suggestion['label']} ({suggestion['confidence']:.0%})")
            ```
        """
        self._refuse_in_view("suggest_labels")
        body = {"conversation_id": checked_id(conversation_id)}
        return await self._transport.send(endpoints.SUGGEST_LABELS.request(body))

    async def rebuild_embeddings(self) -> None:
        """Ask the controller to embed everything anew; the controller 0.1 accepts this and does nothing.

        ``POST /api/v1/rebuild-embeddings``.

        Raises:
            SekhaError: It failed.

        Example:
            ```python
            await client.controller.rebuild_embeddings()
            ```
        """
        self._refuse_in_view("rebuild_embeddings")
        await self._transport.send(endpoints.REBUILD_EMBEDDINGS.request())

    async def health(self) -> ServiceHealth:
        """How the controller is.

        ``GET /health``; any controller's answer in one shape.

        Returns:
            ``status`` (``healthy`` or ``unhealthy``), ``checks``, and ``error`` where there is one.

        Raises:
            SekhaConnectionError: It cannot be reached.
            SekhaError: It failed in another way.

        Example:
            ```python
            print((await client.controller.health())["status"])  # healthy
            ```
        """
        health = await self._transport.send(endpoints.CONTROLLER_HEALTH.request())
        return health if self._view is None else self._view.health(health)

    async def metrics(self) -> str:
        """The controller's metrics, as text in Prometheus' format; the controller 0.1 always says 0.

        ``GET /metrics``.

        Raises:
            SekhaError: It failed.

        Example:
            ```python
            print(await client.controller.metrics())
            ```
        """
        self._refuse_in_view("metrics")
        return await self._transport.send(endpoints.CONTROLLER_METRICS.request())
