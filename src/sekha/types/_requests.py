"""What the calls take."""

from typing import List

from pydantic import Field
from typing_extensions import Annotated, NotRequired, TypedDict

from sekha.types._base import Budget, Days, Importance, Number, Offset, Query, Size, Text, closed, opened
from sekha.types._messages import MessageContent


@opened
class InputMessage(TypedDict):
    """A message as it is sent: a role and a content; other keys go along."""

    role: Text
    content: MessageContent


@closed
class CreateConversationRequest(TypedDict, total=False):
    """What ``create_conversation`` takes."""

    label: Text
    folder: Text
    importance_score: Importance
    messages: List[InputMessage]


@closed
class Filters(TypedDict, total=False):
    """What the hits of a search can be narrowed by; all given ones must hold."""

    label: Text
    labels: List[str]
    folder: Text
    min_importance: Annotated[Number, Field(ge=0, le=10)]
    start_date: Text
    end_date: Text


@closed
class QueryRequest(TypedDict):
    """What ``query`` takes."""

    query: Query
    limit: NotRequired[Size]
    offset: NotRequired[Offset]
    filters: NotRequired[Filters]


@closed
class ContextAssembleRequest(TypedDict):
    """What ``assemble_context`` takes."""

    query: Query
    context_budget: NotRequired[Budget]
    preferred_labels: NotRequired[List[str]]
    excluded_folders: NotRequired[List[str]]


@closed
class PruneRequest(TypedDict, total=False):
    """What ``prune_dry_run`` takes."""

    threshold_days: Days


@closed
class MemorySearchRequest(Filters):
    """What ``memory_search`` takes."""

    query: Query
    limit: NotRequired[Size]
    offset: NotRequired[Offset]
    filters: NotRequired[Filters]


@closed
class MemoryStatsRequest(TypedDict, total=False):
    """What ``memory_stats`` takes; without a key: everything."""

    folder: Text
    label: Text
    labels: List[str]
    start_date: Text
    end_date: Text
