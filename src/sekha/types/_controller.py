"""The controller's answers."""

from typing import Dict, List, Optional, Sequence

from typing_extensions import Literal, NotRequired, TypedDict

from sekha.types._base import Number, Timestamp, allow_extra
from sekha.types._messages import FoundBy, Message


@allow_extra
class Replaced(TypedDict):
    """The conversation that another one was to replace: its id, and what was done with it."""

    id: str
    how: Literal["deleted", "archived", "unchanged"]


@allow_extra
class Conversation(TypedDict):
    """A conversation, without its messages; ``id`` and ``conversation_id`` are the same.

    ``already_stored`` is there after ``create_conversation(..., skip_existing=True)``, and ``replaced`` after
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
    """What a list says about a conversation beside its label and folder."""

    folder: NotRequired[Optional[str]]
    status: NotRequired[Optional[str]]
    importance_score: NotRequired[Optional[Number]]


@allow_extra
class ConversationListItem(TypedDict):
    """A conversation in a list; ``timestamp`` is its last change, ``id`` and ``conversation_id`` are the same."""

    id: str
    conversation_id: str
    label: str
    folder: str
    timestamp: Timestamp
    metadata: ConversationMetadata


@allow_extra
class ConversationListResponse(TypedDict):
    """One page of conversations, the last changed first."""

    results: List[ConversationListItem]
    total: int
    page: int
    page_size: int


@allow_extra
class ConversationCount(TypedDict):
    """The answer of the count route."""

    count: int


@allow_extra
class SearchMetadata(TypedDict):
    """What the controller says about a hit."""

    role: NotRequired[Optional[str]]
    timestamp: NotRequired[Optional[Timestamp]]


@allow_extra
class SearchResult(TypedDict):
    """A message that was found; ``score`` is a similarity, higher is better; ``found_by`` is there with ``hybrid``."""

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
    """Hits of a search, best first.

    ``truncated`` is there when filters were applied, ``below_min_score`` when there was a ``min_score``, and
    ``words_error`` when the full-text search of a hybrid search failed.
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
    """Messages that hold the words; ``truncated`` is there in the view of a folder."""

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
    """A conversation that has not been used for long."""

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
    """What pruning would put away."""

    suggestions: List[PruneSuggestion]
    total: int


@allow_extra
class LabelSuggestion(TypedDict):
    """A label that would fit, with the confidence as a fraction."""

    label: str
    confidence: float
    reason: str
    is_existing: NotRequired[Optional[bool]]


@allow_extra
class ServiceCheck(TypedDict):
    """How a part of a service is."""

    status: str


@allow_extra
class ServiceHealth(TypedDict):
    """Health of a service.

    ``status`` is ``healthy``, ``degraded``, ``unhealthy``, ``unreachable``, ``unauthorized``, ``not_configured`` or
    ``unknown``, where it was not asked; ``checks`` has its parts, ``error`` the reason where there is one.
    """

    status: str
    checks: Dict[str, ServiceCheck]
    error: NotRequired[Optional[str]]
    timestamp: NotRequired[Optional[Timestamp]]


class SearchResults(List[SearchResult]):
    """What ``store_and_query`` gives: the hits as a list, and what was stored.

    Attributes:
        conversation: The conversation that was stored.
        related: The hits without those of the stored conversation.
        below_min_score: How many hits ``min_score`` left out.
    """

    below_min_score: int = 0

    def __init__(self, hits: Sequence[SearchResult], conversation: Conversation, below_min_score: int = 0) -> None:
        super().__init__(hits)
        self.conversation = conversation
        if below_min_score:  # else its pickle stays as it was
            self.below_min_score = below_min_score
        self.related: List[SearchResult] = [hit for hit in hits if hit["conversation_id"] != conversation["id"]]
