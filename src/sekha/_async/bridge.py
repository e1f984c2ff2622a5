"""The LLM bridge: chat completions, embeddings, and what else its models do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union, cast

from sekha._api import endpoints
from sekha._api.arguments import (
    BridgeSummarizeRequest,
    EmbedRequest,
    ExtractRequest,
    RouteRequest,
    ScoreRequest,
    chat_body,
)
from sekha._api.compat.bridge import join_embeddings
from sekha._api.model import Service
from sekha._api.validation import argument_error, validate
from sekha._concurrency.enterable import async_enterable
from sekha._concurrency.tasks import AsyncCall, async_gather
from sekha._transport.operations import COMPLETE, EMBED, STREAM
from sekha._transport.options import key_overrides
from sekha._transport.spans import async_traced
from sekha._utils.public import exported_from_sekha
from sekha._utils.redaction import Secret
from sekha._utils.sentinel import drop_unset
from sekha.types import (
    BridgeSummary,
    ChatCompletion,
    Embedding,
    Extraction,
    ImportanceScore,
    ModelInfo,
    ProviderHealth,
    RouteDecision,
    ServiceHealth,
    SummaryLevel,
)

from .base import AsyncServiceClient
from .operations.pagination import MAX_PARALLEL
from .stream import AsyncStream


@exported_from_sekha
class AsyncBridgeClient(AsyncServiceClient):
    """A client of the LLM bridge alone; `AsyncSekhaClient.bridge` is one with the settings of its parent.

    Args:
        config: The settings below as one object; a keyword beats it.
        base_url: Address of the bridge; else ``SEKHA_BRIDGE_URL``.
        api_key: Key for it; else ``SEKHA_BRIDGE_API_KEY``, else none is sent.
        timeout: Seconds for each phase of one attempt; None means no limit.
        max_retries: Repetitions after a first attempt; default 3.
        options: Any other setting of `sekha.SekhaConfig`.

    Raises:
        SekhaConfigError: A setting is missing or cannot be used.

    Example:
        ```python
        from sekha import AsyncBridgeClient

        async with AsyncBridgeClient(base_url=bridge_url) as bridge:
            print((await bridge.health())["status"])  # healthy
        ```
    """

    @property
    def _service(self) -> Service:
        return Service.BRIDGE

    def _key_overrides(self, api_key: str | None) -> dict[Service, Secret]:
        return key_overrides(bridge_api_key=api_key)

    @async_traced(COMPLETE)
    async def complete(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        model: Optional[str] = None,
        temperature: Optional[float] = None,
        max_tokens: Optional[int] = None,
        extra_body: Optional[Mapping[str, object]] = None,
    ) -> ChatCompletion:
        """A model's answer to messages.

        ``POST /v1/chat/completions``. Never repeated when its outcome is unknown, nor after a 500: three of those make
        the bridge refuse for a minute. The bridge 0.2 answers with its default model where it does not know ``model``,
        and counts words where it says tokens.

        Args:
            messages: Dictionaries with ``role`` and ``content``, at least one; other keys are not sent.
            model: Name of a model; default: the bridge chooses.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Tokens at most, 1 or more; default: the bridge's 2000.
            extra_body: Further keys of the request, such as ``top_p``, in which they override the others; no
                ``messages`` or ``stream``. The bridge 0.2 ignores those that it does not know.

        Returns:
            ``choices``, each with ``message`` and ``finish_reason``; ``model``, ``id``, ``created`` and ``usage``.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaServerError: No model could answer.
            SekhaError: It failed.

        Example:
            ```python
            response = await client.bridge.complete(
                messages=[{"role": "user", "content": "Explain quantum computing"}], temperature=0.7
            )
            print(response["choices"][0]["message"]["content"])
            ```
        """
        options = drop_unset(model=model, temperature=temperature, max_tokens=max_tokens, extra_body=extra_body)
        body = chat_body(messages, options)
        return await self._transport.send(endpoints.COMPLETE.request(body))

    @async_enterable
    @async_traced(STREAM)
    async def stream_complete(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        model: Optional[str] = None,
        temperature: Optional[float] = None,
        max_tokens: Optional[int] = None,
        extra_body: Optional[Mapping[str, object]] = None,
    ) -> AsyncStream:
        """A model's answer to messages, piece by piece as it comes.

        ``POST /v1/chat/completions`` with ``stream``. The bridge 0.2 does not stream: its whole answer comes as one
        chunk with the text and one with the end. Nothing is repeated once the stream has begun.

        Args:
            messages: Dictionaries with ``role`` and ``content``, at least one; other keys are not sent.
            model: Name of a model; default: the bridge chooses.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Tokens at most, 1 or more; default: the bridge's 2000.
            extra_body: Further keys of the request, such as ``top_p``, in which they override the others; no
                ``messages`` or ``stream``. The bridge 0.2 ignores those that it does not know.

        Returns:
            A stream of chunks; see `AsyncStream`.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaServerError: No model could answer.
            SekhaError: It failed.

        Example:
            ```python
            async with client.bridge.stream_complete([{"role": "user", "content": "Tell me a story"}]) as stream:
                async for text in stream.text_stream():
                    print(text, end="", flush=True)
            ```
        """
        options = drop_unset(model=model, temperature=temperature, max_tokens=max_tokens, extra_body=extra_body)
        body = chat_body(messages, options)
        return await self._transport.open_stream(endpoints.STREAM_COMPLETE.request({**body, "stream": True}))

    @async_traced(EMBED)
    async def embed(
        self,
        input: Union[str, Sequence[str], None] = None,
        *,
        text: Union[str, Sequence[str], None] = None,
        model: Optional[str] = None,
    ) -> Embedding:
        """Vectors of texts.

        ``POST /embed``, one request for each text, at most four at a time.

        Args:
            input: A text or several, none of them empty.
            text: Another name for ``input``.
            model: Name of an embedding model; default: the bridge chooses.

        Returns:
            ``data``, one item with an ``embedding`` for each text in order; also ``embedding`` (the first),
            ``dimension``, ``model`` and ``usage``.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            response = await client.bridge.embed(input="Semantic search query text")
            print(len(response["data"][0]["embedding"]) == response["dimension"])  # True
            ```
        """
        if (input is None) == (text is None):
            raise argument_error("input", "is missing" if input is None else "and text are the same; give one of them")
        request = validate(EmbedRequest, drop_unset(input=input, text=text, model=model))
        texts = request.get("input", request.get("text", ""))
        if isinstance(texts, str):
            return await self._transport.send(endpoints.EMBED.request(drop_unset(text=texts, model=model)))
        transport = self._transport.start_deadline()

        def embedding(one: str) -> AsyncCall[[], Embedding]:
            return lambda: transport.send(endpoints.EMBED.request(drop_unset(text=one, model=model)))

        responses = await async_gather([embedding(one) for one in texts], MAX_PARALLEL)
        return cast(Embedding, join_embeddings(cast("list[dict[str, Any]]", responses)))

    async def health(self) -> ServiceHealth:
        """How the bridge is.

        ``GET /health``. The bridge 0.2 has no ``checks``: they are made from the state of its providers.

        Returns:
            ``status`` (``healthy``, ``degraded`` or ``unhealthy``), ``checks``, and ``error`` where there is one.

        Raises:
            SekhaConfigError: There is no ``bridge_url``.
            SekhaConnectionError: It cannot be reached.
            SekhaError: It failed in another way.

        Example:
            ```python
            health = await client.bridge.health()
            print(health["status"])  # healthy
            ```
        """
        return await self._transport.send(endpoints.BRIDGE_HEALTH.request())

    async def models(self) -> list[ModelInfo]:
        """The models that the bridge can use.

        ``GET /api/v1/models``.

        Returns:
            ``model_id``, ``provider_id``, ``task`` and more for each.

        Raises:
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            for model in await client.bridge.models():
                print(model["model_id"], model["task"])
            ```
        """
        return await self._transport.send(endpoints.MODELS.request())

    async def tasks(self) -> list[str]:
        """The kinds of work that the bridge has models for.

        ``GET /api/v1/tasks``.

        Raises:
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            print("embedding" in await client.bridge.tasks())  # True
            ```
        """
        return await self._transport.send(endpoints.TASKS.request())

    async def route(
        self,
        task: str,
        *,
        preferred_model: Optional[str] = None,
        require_vision: Optional[bool] = None,
        max_cost: Optional[float] = None,
        context_size: Optional[int] = None,
    ) -> RouteDecision:
        """Which model the bridge would use for a task.

        ``POST /api/v1/route``.

        Args:
            task: One of `tasks`.
            preferred_model: Name of a model to use if it can be had.
            require_vision: Whether the model must see images.
            max_cost: Cost at most.
            context_size: Tokens that must fit; the bridge 0.2 does not look at it.

        Returns:
            ``provider_id``, ``model_id``, ``estimated_cost`` and ``reason``.

        Raises:
            SekhaValidationError: An argument cannot be used, or there is no such task.
            SekhaServerError: No model can do it.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            print((await client.bridge.route("embedding"))["model_id"])
            ```
        """
        options = drop_unset(
            preferred_model=preferred_model,
            require_vision=require_vision,
            max_cost=max_cost,
            context_size=context_size,
        )
        return await self._transport.send(endpoints.ROUTE.request(validate(RouteRequest, {"task": task, **options})))

    async def provider_health(self) -> ProviderHealth:
        """How the bridge's model providers are.

        ``GET /api/v1/health/providers``.

        Returns:
            ``providers`` by name, ``total_providers`` and ``healthy_providers``.

        Raises:
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            print((await client.bridge.provider_health())["healthy_providers"])
            ```
        """
        return await self._transport.send(endpoints.PROVIDER_HEALTH.request())

    async def summarize(
        self, messages: Sequence[str], *, level: str = SummaryLevel.DAILY, model: Optional[str] = None
    ) -> BridgeSummary:
        """A summary of texts.

        ``POST /api/v1/summarize``.

        Args:
            messages: Texts, at least one.
            level: ``daily``, ``weekly`` or ``monthly``.
            model: Name of a model; default: the bridge chooses.

        Returns:
            ``summary``, ``model`` and ``level``.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            print((await client.bridge.summarize(["We ship on Friday.", "The review is done."]))["summary"])
            ```
        """
        request = validate(BridgeSummarizeRequest, drop_unset(messages=messages, level=level, model=model))
        return await self._transport.send(endpoints.BRIDGE_SUMMARIZE.request(request))

    async def extract(self, text: str, *, model: Optional[str] = None) -> Extraction:
        """Names and things in a text, by kind.

        ``POST /api/v1/extract``. Where the model's answer cannot be read, the bridge 0.2 says that there is nothing.

        Args:
            text: A text that is not blank.
            model: Name of a model; default: the bridge chooses.

        Returns:
            ``entities``, lists of names by kind, and ``model``.

        Raises:
            SekhaValidationError: An argument cannot be used.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            print((await client.bridge.extract("Ada Lovelace wrote to Charles Babbage."))["entities"])
            ```
        """
        request = validate(ExtractRequest, drop_unset(text=text, model=model))
        return await self._transport.send(endpoints.EXTRACT.request(request))

    async def score(self, conversation: str, *, model: Optional[str] = None) -> ImportanceScore:
        """How important a conversation is.

        ``POST /api/v1/score``.

        Args:
            conversation: The text of the conversation, not blank.
            model: Name of a model; default: the bridge chooses.

        Returns:
            ``score``, 1 to 10, and ``reasoning``.

        Raises:
            SekhaValidationError: An argument cannot be used.
            SekhaServerError: The model is down.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            print((await client.bridge.score("We decided to use PostgreSQL."))["score"])
            ```
        """
        request = validate(ScoreRequest, drop_unset(conversation=conversation, model=model))
        return await self._transport.send(endpoints.SCORE.request(request))
