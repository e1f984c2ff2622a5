"""The MCP tools' answers."""

from typing import List, Optional

from typing_extensions import NotRequired, TypedDict

from sekha.types._base import Number, Timestamp, allow_extra
from sekha.types._controller import PruneSuggestion, SearchResult
from sekha.types._messages import Message


@allow_extra
class MemoryStored(TypedDict):
    """What ``memory_store`` stored."""

    id: str
    conversation_id: str
    label: str
    folder: str


@allow_extra
class MemorySearchResponse(TypedDict):
    """Hits of ``memory_search``, best first.

    ``truncated`` is there when filters were applied, ``below_min_score`` when there was a ``min_score``, and
    ``words_error`` when the full-text search of a hybrid search failed.
    """

    query: str
    results: List[SearchResult]
    total_results: int
    limit: int
    truncated: NotRequired[bool]
    below_min_score: NotRequired[int]
    words_error: NotRequired[str]


@allow_extra
class MemoryUpdated(TypedDict):
    """What ``memory_update`` changed."""

    id: str
    conversation_id: str
    updated_fields: List[str]
    message: NotRequired[Optional[str]]


@allow_extra
class MemoryContext(TypedDict):
    """What the memory knows about a conversation, without its messages."""

    id: str
    conversation_id: str
    label: str
    folder: str
    status: str
    importance_score: Number
    created_at: Timestamp
    updated_at: Timestamp
    word_count: NotRequired[Optional[int]]
    session_count: NotRequired[Optional[int]]


@allow_extra
class ExportedConversation(TypedDict):
    """The conversation of an export."""

    id: str
    conversation_id: str
    label: str
    folder: str
    status: str
    importance_score: Number
    created_at: Timestamp
    updated_at: Timestamp


@allow_extra
class MemoryExport(TypedDict):
    """A conversation with its messages; ``content`` is there for ``format="markdown"``."""

    conversation: ExportedConversation
    messages: List[Message]
    format: str
    include_metadata: NotRequired[Optional[bool]]
    content: NotRequired[str]


@allow_extra
class MemoryPruneResponse(TypedDict):
    """What ``memory_prune`` suggests to put away."""

    suggestions: List[PruneSuggestion]
    total_suggestions: int
    threshold_days: int
    importance_threshold: NotRequired[Optional[float]]
    estimated_token_savings: NotRequired[Optional[int]]


@allow_extra
class ServerStats(TypedDict):
    """What a server says of ``memory_stats``; the rest of `MemoryStats` is counted by the client."""

    total_conversations: int
    average_importance: float
    folders: NotRequired[Optional[List[str]]]
    labels: NotRequired[Optional[List[str]]]
    total_messages: NotRequired[Optional[int]]


@allow_extra
class MemoryStats(TypedDict):
    """Numbers about a memory; ``total_messages`` is None where it was not counted.

    ``searchable_messages`` is how many messages have a vector of the current embedding model, and so are found by it;
    the local server tells it where there is no filter.
    """

    total_conversations: int
    total_messages: Optional[int]
    average_importance: float
    folders: List[str]
    labels: List[str]
    searchable_messages: NotRequired[Optional[int]]
