# Generated from src/sekha/_async/bridge.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""The LLM bridge: chat completions, embeddings, and other calls to models."""

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
from sekha._concurrency.enterable import enterable
from sekha._concurrency.tasks import Call, gather
from sekha._transport.operations import COMPLETE, EMBED, STREAM
from sekha._transport.options import key_overrides
from sekha._transport.spans import traced
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

from .base import ServiceClient
from .operations.pagination import MAX_PARALLEL
from .stream import Stream


@exported_from_sekha
class BridgeClient(ServiceClient):
    """Client for the LLM bridge only; `SekhaClient.bridge` is one with the settings of its parent.

    Args:
        config: The settings below as one object; keyword arguments take precedence.
        base_url: Address of the bridge; default: ``SEKHA_BRIDGE_URL``.
        api_key: Key for the bridge; default: ``SEKHA_BRIDGE_API_KEY``, else no key is sent.
        timeout: Seconds for each phase of one attempt (connect, send, wait for bytes); None means no limit.
        max_retries: Retries after a failed first attempt; default 3.
        options: Any other settings of `sekha.SekhaConfig`.

    Raises:
        SekhaConfigError: A setting is missing or invalid.

    Example:
        ```python
        from sekha import BridgeClient

        with BridgeClient(base_url=bridge_url) as bridge:
            print((bridge.health())["status"])  # healthy
        ```
    """

    @property
    def _service(self) -> Service:
        return Service.BRIDGE

    def _key_overrides(self, api_key: str | None) -> dict[Service, Secret]:
        return key_overrides(bridge_api_key=api_key)

    @traced(COMPLETE)
    def complete(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        model: Optional[str] = None,
        temperature: Optional[float] = None,
        max_tokens: Optional[int] = None,
        extra_body: Optional[Mapping[str, object]] = None,
    ) -> ChatCompletion:
        """Return a model's answer to messages.

        ``POST /v1/chat/completions``. Not retried if the outcome is unknown, nor after a 500: after three of them the
        bridge rejects requests for a minute. Bridge 0.2 uses its default model if it does not support ``model``, and
        its token counts are word counts.

        Args:
            messages: Dictionaries with ``role`` and ``content``, at least one; other keys are dropped.
            model: Name of a model; default: chosen by the bridge.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Maximum number of tokens, 1 or more; default: the bridge's 2000.
            extra_body: Additional keys of the request body, such as ``top_p``, which override other arguments; not
                ``messages`` or ``stream``. Bridge 0.2 ignores keys that it does not support.

        Returns:
            ``choices``, each with ``message`` and ``finish_reason``; ``model``, ``id``, ``created`` and ``usage``.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaServerError: No model was able to answer.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            response = client.bridge.complete(
                messages=[{"role": "user", "content": "Explain quantum computing"}], temperature=0.7
            )
            print(response["choices"][0]["message"]["content"])
            ```
        """
        options = drop_unset(model=model, temperature=temperature, max_tokens=max_tokens, extra_body=extra_body)
        body = chat_body(messages, options)
        return self._transport.send(endpoints.COMPLETE.request(body))

    @enterable
    @traced(STREAM)
    def stream_complete(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        model: Optional[str] = None,
        temperature: Optional[float] = None,
        max_tokens: Optional[int] = None,
        extra_body: Optional[Mapping[str, object]] = None,
    ) -> Stream:
        """Stream a model's answer to messages.

        ``POST /v1/chat/completions`` with ``stream``. Bridge 0.2 does not stream: its answer arrives as one chunk with
        the whole text and one with the finish reason. The request is not retried once the stream has started.

        Args:
            messages: Dictionaries with ``role`` and ``content``, at least one; other keys are dropped.
            model: Name of a model; default: chosen by the bridge.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Maximum number of tokens, 1 or more; default: the bridge's 2000.
            extra_body: Additional keys of the request body, such as ``top_p``, which override other arguments; not
                ``messages`` or ``stream``. Bridge 0.2 ignores keys that it does not support.

        Returns:
            A stream of chunks; see `Stream`.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaServerError: No model was able to answer.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            with client.bridge.stream_complete(
                [{"role": "user", "content": "Tell me a story"}]
            ) as stream:
                for text in stream.text_stream():
                    print(text, end="", flush=True)
            ```
        """
        options = drop_unset(model=model, temperature=temperature, max_tokens=max_tokens, extra_body=extra_body)
        body = chat_body(messages, options)
        return self._transport.open_stream(endpoints.STREAM_COMPLETE.request({**body, "stream": True}))

    @traced(EMBED)
    def embed(
        self,
        input: Union[str, Sequence[str], None] = None,
        *,
        text: Union[str, Sequence[str], None] = None,
        model: Optional[str] = None,
    ) -> Embedding:
        """Return embedding vectors for texts.

        ``POST /embed``, one request for each text, at most four concurrently.

        Args:
            input: One text or a list of texts, none of them empty.
            text: Alias of ``input``.
            model: Name of an embedding model; default: chosen by the bridge.

        Returns:
            ``data``, one item with an ``embedding`` for each text in order; also ``embedding`` (the first),
            ``dimension``, ``model`` and ``usage``.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            response = client.bridge.embed(input="Semantic search query text")
            print(len(response["data"][0]["embedding"]) == response["dimension"])  # True
            ```
        """
        if (input is None) == (text is None):
            raise argument_error("input", "is required" if input is None else "and text are aliases: pass only one")
        request = validate(EmbedRequest, drop_unset(input=input, text=text, model=model))
        texts = request.get("input", request.get("text", ""))
        if isinstance(texts, str):
            return self._transport.send(endpoints.EMBED.request(drop_unset(text=texts, model=model)))
        transport = self._transport.start_deadline()

        def embedding(one: str) -> Call[[], Embedding]:
            return lambda: transport.send(endpoints.EMBED.request(drop_unset(text=one, model=model)))

        responses = gather([embedding(one) for one in texts], MAX_PARALLEL)
        return cast(Embedding, join_embeddings(cast("list[dict[str, Any]]", responses)))

    def health(self) -> ServiceHealth:
        """Return the health of the bridge.

        ``GET /health``. Bridge 0.2 returns no ``checks``; the library derives them from the state of its providers.

        Returns:
            ``status`` (``healthy``, ``degraded`` or ``unhealthy``), ``checks``, and ``error`` if there is one.

        Raises:
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaConnectionError: The service cannot be reached.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            health = client.bridge.health()
            print(health["status"])  # healthy
            ```
        """
        return self._transport.send(endpoints.BRIDGE_HEALTH.request())

    def models(self) -> list[ModelInfo]:
        """Return the models that are available to the bridge.

        ``GET /api/v1/models``.

        Returns:
            A list with ``model_id``, ``provider_id``, ``task`` and more for each model.

        Raises:
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            for model in client.bridge.models():
                print(model["model_id"], model["task"])
            ```
        """
        return self._transport.send(endpoints.MODELS.request())

    def tasks(self) -> list[str]:
        """Return the tasks for which the bridge has models.

        ``GET /api/v1/tasks``.

        Raises:
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            print("embedding" in client.bridge.tasks())  # True
            ```
        """
        return self._transport.send(endpoints.TASKS.request())

    def route(
        self,
        task: str,
        *,
        preferred_model: Optional[str] = None,
        require_vision: Optional[bool] = None,
        max_cost: Optional[float] = None,
        context_size: Optional[int] = None,
    ) -> RouteDecision:
        """Return the model that the bridge would select for a task.

        ``POST /api/v1/route``.

        Args:
            task: A task from `tasks`.
            preferred_model: Name of a model to use if it is available.
            require_vision: Whether the model must support images.
            max_cost: Maximum cost, in the unit of ``estimated_cost``.
            context_size: Required context size in tokens; bridge 0.2 ignores it.

        Returns:
            ``provider_id``, ``model_id``, ``estimated_cost`` and ``reason``.

        Raises:
            SekhaValidationError: An argument is invalid, or there is no such task.
            SekhaServerError: No model meets the requirements.
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            print((client.bridge.route("embedding"))["model_id"])
            ```
        """
        options = drop_unset(
            preferred_model=preferred_model,
            require_vision=require_vision,
            max_cost=max_cost,
            context_size=context_size,
        )
        return self._transport.send(endpoints.ROUTE.request(validate(RouteRequest, {"task": task, **options})))

    def provider_health(self) -> ProviderHealth:
        """Return the health of the bridge's model providers.

        ``GET /api/v1/health/providers``.

        Returns:
            ``providers`` by name, ``total_providers`` and ``healthy_providers``.

        Raises:
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            print((client.bridge.provider_health())["healthy_providers"])
            ```
        """
        return self._transport.send(endpoints.PROVIDER_HEALTH.request())

    def summarize(
        self, messages: Sequence[str], *, level: str = SummaryLevel.DAILY, model: Optional[str] = None
    ) -> BridgeSummary:
        """Summarize texts.

        ``POST /api/v1/summarize``.

        Args:
            messages: The texts, at least one.
            level: ``daily``, ``weekly`` or ``monthly``.
            model: Name of a model; default: chosen by the bridge.

        Returns:
            ``summary``, ``model`` and ``level``.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            print(
                (client.bridge.summarize(["We ship on Friday.", "The review is done."]))[
                    "summary"
                ]
            )
            ```
        """
        request = validate(BridgeSummarizeRequest, drop_unset(messages=messages, level=level, model=model))
        return self._transport.send(endpoints.BRIDGE_SUMMARIZE.request(request))

    def extract(self, text: str, *, model: Optional[str] = None) -> Extraction:
        """Extract the entities in a text, by type.

        ``POST /api/v1/extract``. If the model's answer cannot be parsed, bridge 0.2 returns no entities.

        Args:
            text: The text, not blank.
            model: Name of a model; default: chosen by the bridge.

        Returns:
            ``entities``, lists of names by type, and ``model``.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            print(
                (client.bridge.extract("Ada Lovelace wrote to Charles Babbage."))["entities"]
            )
            ```
        """
        request = validate(ExtractRequest, drop_unset(text=text, model=model))
        return self._transport.send(endpoints.EXTRACT.request(request))

    def score(self, conversation: str, *, model: Optional[str] = None) -> ImportanceScore:
        """Rate the importance of a conversation.

        ``POST /api/v1/score``.

        Args:
            conversation: The text of the conversation, not blank.
            model: Name of a model; default: chosen by the bridge.

        Returns:
            ``score``, 1 to 10, and ``reasoning``.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaServerError: The model is unavailable.
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            print((client.bridge.score("We decided to use PostgreSQL."))["score"])
            ```
        """
        request = validate(ScoreRequest, drop_unset(conversation=conversation, model=model))
        return self._transport.send(endpoints.SCORE.request(request))
