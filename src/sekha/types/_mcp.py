"""Responses of the MCP tools."""

from typing import List, Optional

from typing_extensions import NotRequired, TypedDict

from sekha.types._base import Number, Timestamp, allow_extra
from sekha.types._controller import PruneSuggestion, SearchResult
from sekha.types._messages import Message


@allow_extra
class MemoryStored(TypedDict):
    """Result of ``memory_store``."""

    id: str
    conversation_id: str
    label: str
    folder: str


@allow_extra
class MemorySearchResponse(TypedDict):
    """Results of ``memory_search``, best first.

    ``truncated`` is present with filters, ``below_min_score`` with ``min_score``, and ``words_error`` if the full-text
    search of a hybrid search failed.
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
    """Result of ``memory_update``."""

    id: str
    conversation_id: str
    updated_fields: List[str]
    message: NotRequired[Optional[str]]


@allow_extra
class MemoryContext(TypedDict):
    """Metadata of a conversation, without its messages."""

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
    """The conversation in an export."""

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
    """A conversation with its messages; ``content`` is present for ``format="markdown"``."""

    conversation: ExportedConversation
    messages: List[Message]
    format: str
    include_metadata: NotRequired[Optional[bool]]
    content: NotRequired[str]


@allow_extra
class MemoryPruneResponse(TypedDict):
    """Conversations that ``memory_prune`` suggests to archive."""

    suggestions: List[PruneSuggestion]
    total_suggestions: int
    threshold_days: int
    importance_threshold: NotRequired[Optional[float]]
    estimated_token_savings: NotRequired[Optional[int]]


@allow_extra
class ServerStats(TypedDict):
    """The server's response to ``memory_stats``; the client counts the rest of `MemoryStats`."""

    total_conversations: int
    average_importance: float
    folders: NotRequired[Optional[List[str]]]
    labels: NotRequired[Optional[List[str]]]
    total_messages: NotRequired[Optional[int]]


@allow_extra
class MemoryStats(TypedDict):
    """Statistics; ``total_messages`` is None if messages were not counted.

    ``searchable_messages`` is the number of messages with a vector of the current embedding model, which semantic
    search can find; the local server reports it if there is no filter.
    """

    total_conversations: int
    total_messages: Optional[int]
    average_importance: float
    folders: List[str]
    labels: List[str]
    searchable_messages: NotRequired[Optional[int]]
