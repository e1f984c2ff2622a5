"""Responses of the bridge."""

from typing import Dict, List, Optional

from typing_extensions import NotRequired, TypedDict

from sekha.types._base import Timestamp, allow_extra


@allow_extra
class ChatMessage(TypedDict):
    """A message from a model."""

    role: str
    content: Optional[str]


@allow_extra
class ChatChoice(TypedDict):
    """One choice of a chat completion."""

    index: int
    message: ChatMessage
    finish_reason: Optional[str]


@allow_extra
class Usage(TypedDict):
    """Token counts; None where the server does not report them."""

    prompt_tokens: Optional[int]
    completion_tokens: NotRequired[Optional[int]]
    total_tokens: Optional[int]


@allow_extra
class ChatCompletion(TypedDict):
    """A chat completion in OpenAI's format."""

    id: str
    object: str
    created: int
    model: str
    choices: List[ChatChoice]
    usage: Usage


@allow_extra
class ChatDelta(TypedDict, total=False):
    """The part of the message that a chunk adds."""

    role: Optional[str]
    content: Optional[str]


@allow_extra
class ChunkChoice(TypedDict):
    """One choice of a chunk of a stream."""

    index: NotRequired[Optional[int]]
    delta: ChatDelta
    finish_reason: NotRequired[Optional[str]]


@allow_extra
class ChatCompletionChunk(TypedDict):
    """A chunk of a streamed chat completion."""

    choices: List[ChunkChoice]
    id: NotRequired[Optional[str]]
    object: NotRequired[Optional[str]]
    created: NotRequired[Optional[int]]
    model: NotRequired[Optional[str]]
    usage: NotRequired[Optional[Usage]]


@allow_extra
class EmbeddingItem(TypedDict):
    """One embedding vector in OpenAI's format."""

    object: str
    index: int
    embedding: List[float]


@allow_extra
class Embedding(TypedDict):
    """Embedding vectors, in OpenAI's format (``data``) and the bridge's (``embedding``, the first vector)."""

    object: str
    data: List[EmbeddingItem]
    embedding: List[float]
    model: str
    dimension: int
    usage: Usage
    tokens_used: NotRequired[Optional[int]]


@allow_extra
class ModelInfo(TypedDict):
    """A model that is available to the bridge."""

    model_id: str
    provider_id: str
    task: str
    context_window: NotRequired[Optional[int]]
    dimension: NotRequired[Optional[int]]
    supports_vision: NotRequired[Optional[bool]]
    supports_audio: NotRequired[Optional[bool]]


@allow_extra
class RouteDecision(TypedDict):
    """The model that the bridge selects for a task."""

    provider_id: str
    model_id: str
    estimated_cost: NotRequired[Optional[float]]
    reason: NotRequired[Optional[str]]
    provider_type: NotRequired[Optional[str]]


@allow_extra
class CircuitBreaker(TypedDict):
    """State of a circuit breaker: ``closed`` (requests pass), ``open`` (no requests for a minute) or ``half_open``."""

    state: str
    failure_count: NotRequired[Optional[int]]
    success_count: NotRequired[Optional[int]]
    last_failure: NotRequired[Optional[Timestamp]]
    last_state_change: NotRequired[Optional[Timestamp]]


@allow_extra
class ProviderState(TypedDict):
    """Health of a model provider."""

    provider_type: NotRequired[Optional[str]]
    circuit_breaker: NotRequired[Optional[CircuitBreaker]]
    models_count: NotRequired[Optional[int]]


@allow_extra
class ProviderHealth(TypedDict):
    """Health of the bridge's model providers."""

    providers: Dict[str, ProviderState]
    total_providers: int
    healthy_providers: int
    total_models: NotRequired[Optional[int]]


@allow_extra
class BridgeSummary(TypedDict):
    """A summary of texts from the bridge."""

    summary: str
    model: str
    level: str
    tokens_used: NotRequired[Optional[int]]
    message_count: NotRequired[Optional[int]]


@allow_extra
class Extraction(TypedDict):
    """Entities found in a text, by type."""

    entities: Dict[str, List[str]]
    model: str


@allow_extra
class ImportanceScore(TypedDict):
    """Importance of a conversation, 1 to 10, with the reasoning."""

    score: float
    reasoning: str
    model: str
