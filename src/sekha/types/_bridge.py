"""The bridge's answers."""

from typing import Dict, List, Optional

from typing_extensions import NotRequired, TypedDict

from sekha.types._base import Timestamp, allow_extra


@allow_extra
class ChatMessage(TypedDict):
    """What a model said."""

    role: str
    content: Optional[str]


@allow_extra
class ChatChoice(TypedDict):
    """One answer of a model."""

    index: int
    message: ChatMessage
    finish_reason: Optional[str]


@allow_extra
class Usage(TypedDict):
    """Tokens used; None where the server does not count."""

    prompt_tokens: Optional[int]
    completion_tokens: NotRequired[Optional[int]]
    total_tokens: Optional[int]


@allow_extra
class ChatCompletion(TypedDict):
    """A chat completion, in OpenAI's shape."""

    id: str
    object: str
    created: int
    model: str
    choices: List[ChatChoice]
    usage: Usage


@allow_extra
class ChatDelta(TypedDict, total=False):
    """What a chunk adds to the message."""

    role: Optional[str]
    content: Optional[str]


@allow_extra
class ChunkChoice(TypedDict):
    """One choice in a chunk of a stream."""

    index: NotRequired[Optional[int]]
    delta: ChatDelta
    finish_reason: NotRequired[Optional[str]]


@allow_extra
class ChatCompletionChunk(TypedDict):
    """A piece of a streamed chat completion."""

    choices: List[ChunkChoice]
    id: NotRequired[Optional[str]]
    object: NotRequired[Optional[str]]
    created: NotRequired[Optional[int]]
    model: NotRequired[Optional[str]]
    usage: NotRequired[Optional[Usage]]


@allow_extra
class EmbeddingItem(TypedDict):
    """One vector in OpenAI's shape."""

    object: str
    index: int
    embedding: List[float]


@allow_extra
class Embedding(TypedDict):
    """Vectors of texts, in OpenAI's shape (``data``) and the bridge's (``embedding``: the first vector)."""

    object: str
    data: List[EmbeddingItem]
    embedding: List[float]
    model: str
    dimension: int
    usage: Usage
    tokens_used: NotRequired[Optional[int]]


@allow_extra
class ModelInfo(TypedDict):
    """A model that the bridge can use."""

    model_id: str
    provider_id: str
    task: str
    context_window: NotRequired[Optional[int]]
    dimension: NotRequired[Optional[int]]
    supports_vision: NotRequired[Optional[bool]]
    supports_audio: NotRequired[Optional[bool]]


@allow_extra
class RouteDecision(TypedDict):
    """Which model the bridge would use for a task."""

    provider_id: str
    model_id: str
    estimated_cost: NotRequired[Optional[float]]
    reason: NotRequired[Optional[str]]
    provider_type: NotRequired[Optional[str]]


@allow_extra
class CircuitBreaker(TypedDict):
    """Whether a provider is being asked: ``closed`` (yes), ``open`` (not for a minute) or ``half_open``."""

    state: str
    failure_count: NotRequired[Optional[int]]
    success_count: NotRequired[Optional[int]]
    last_failure: NotRequired[Optional[Timestamp]]
    last_state_change: NotRequired[Optional[Timestamp]]


@allow_extra
class ProviderState(TypedDict):
    """How a model provider is."""

    provider_type: NotRequired[Optional[str]]
    circuit_breaker: NotRequired[Optional[CircuitBreaker]]
    models_count: NotRequired[Optional[int]]


@allow_extra
class ProviderHealth(TypedDict):
    """How the bridge's model providers are."""

    providers: Dict[str, ProviderState]
    total_providers: int
    healthy_providers: int
    total_models: NotRequired[Optional[int]]


@allow_extra
class BridgeSummary(TypedDict):
    """A summary of texts."""

    summary: str
    model: str
    level: str
    tokens_used: NotRequired[Optional[int]]
    message_count: NotRequired[Optional[int]]


@allow_extra
class Extraction(TypedDict):
    """Names and things found in a text, by kind."""

    entities: Dict[str, List[str]]
    model: str


@allow_extra
class ImportanceScore(TypedDict):
    """How important a conversation is, 1 to 10, and why."""

    score: float
    reasoning: str
    model: str
