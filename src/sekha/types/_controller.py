"""Responses of the controller."""

from typing import Dict, List, Optional, Sequence

from typing_extensions import Literal, NotRequired, TypedDict

from sekha.types._base import Number, Timestamp, allow_extra
from sekha.types._messages import FoundBy, Message


@allow_extra
class Replaced(TypedDict):
    """The replaced conversation: its ID, and what was done with it."""

    id: str
    how: Literal["deleted", "archived", "unchanged"]


@allow_extra
class Conversation(TypedDict):
    """A conversation, without its messages; ``id`` and ``conversation_id`` are the same.

    ``already_stored`` is present after ``create_conversation(..., skip_existing=True)``, ``replaced`` after
    ``replace_conversation``.
    """

    id: str
    conversation_id: str
    label: str
    folder: str
    status: str
    message_count: Optional[int]
    created_at: Optional[Timestamp]
    updated_at: NotRequired[Optional[Timestamp]]
    importance_score: NotRequired[Optional[Number]]
    already_stored: NotRequired[bool]
    replaced: NotRequired[Replaced]


@allow_extra
class ConversationMetadata(TypedDict):
    """Metadata of a conversation in a list."""

    folder: NotRequired[Optional[str]]
    status: NotRequired[Optional[str]]
    importance_score: NotRequired[Optional[Number]]


@allow_extra
class ConversationListItem(TypedDict):
    """A conversation in a list; ``timestamp`` is its last update, ``id`` and ``conversation_id`` are the same."""

    id: str
    conversation_id: str
    label: str
    folder: str
    timestamp: Timestamp
    metadata: ConversationMetadata


@allow_extra
class ConversationListResponse(TypedDict):
    """A page of conversations, most recently updated first."""

    results: List[ConversationListItem]
    total: int
    page: int
    page_size: int


@allow_extra
class ConversationCount(TypedDict):
    """Number of conversations."""

    count: int


@allow_extra
class SearchMetadata(TypedDict):
    """Metadata of a search result."""

    role: NotRequired[Optional[str]]
    timestamp: NotRequired[Optional[Timestamp]]


@allow_extra
class SearchResult(TypedDict):
    """A search result; ``score`` is a similarity (higher is better), ``found_by`` is present with ``hybrid``."""

    conversation_id: str
    message_id: str
    score: float
    content: str
    label: str
    folder: str
    timestamp: Timestamp
    metadata: NotRequired[Optional[SearchMetadata]]
    distance: NotRequired[float]
    found_by: NotRequired[FoundBy]


@allow_extra
class QueryResponse(TypedDict):
    """Search results, best first.

    ``truncated`` is present with filters, ``below_min_score`` with ``min_score``, and ``words_error`` if the full-text
    search of a hybrid search failed.
    """

    results: List[SearchResult]
    total: int
    page: int
    page_size: int
    truncated: NotRequired[bool]
    below_min_score: NotRequired[int]
    words_error: NotRequired[str]


@allow_extra
class FullTextResponse(TypedDict):
    """Results of a full-text search; ``truncated`` is present in the view of a folder."""

    results: List[Message]
    total: int
    truncated: NotRequired[bool]


@allow_extra
class SummaryResponse(TypedDict):
    """A summary of a conversation."""

    conversation_id: str
    level: str
    summary: str
    generated_at: Timestamp


@allow_extra
class PruneSuggestion(TypedDict):
    """A conversation that has not been used for a long time."""

    id: str
    conversation_id: str
    conversation_label: str
    last_accessed: Timestamp
    message_count: int
    token_estimate: int
    importance_score: float
    preview: str
    recommendation: str


@allow_extra
class PruneResponse(TypedDict):
    """Conversations that pruning suggests to archive."""

    suggestions: List[PruneSuggestion]
    total: int


@allow_extra
class LabelSuggestion(TypedDict):
    """A suggested label, with its confidence from 0 to 1."""

    label: str
    confidence: float
    reason: str
    is_existing: NotRequired[Optional[bool]]


@allow_extra
class ServiceCheck(TypedDict):
    """Health of a part of a service."""

    status: str


@allow_extra
class ServiceHealth(TypedDict):
    """Health of a service.

    ``status`` is ``healthy``, ``degraded``, ``unhealthy``, ``unreachable``, ``unauthorized``, ``not_configured`` or
    ``unknown`` (not checked). ``checks`` has the health of its parts, ``error`` the reason if there is one.
    """

    status: str
    checks: Dict[str, ServiceCheck]
    error: NotRequired[Optional[str]]
    timestamp: NotRequired[Optional[Timestamp]]


class SearchResults(List[SearchResult]):
    """Result of ``store_and_query``: a list of search results, with the stored conversation.

    Attributes:
        conversation: The conversation that was stored.
        related: The results from other conversations.
        below_min_score: Number of results that ``min_score`` excluded.
    """

    below_min_score: int = 0

    def __init__(self, hits: Sequence[SearchResult], conversation: Conversation, below_min_score: int = 0) -> None:
        super().__init__(hits)
        self.conversation = conversation
        if below_min_score:  # else its pickle stays as it was
            self.below_min_score = below_min_score
        self.related: List[SearchResult] = [hit for hit in hits if hit["conversation_id"] != conversation["id"]]
