"""Types of requests."""

from typing import List

from typing_extensions import Literal, NotRequired, TypedDict

from sekha.types._base import (
    Budget,
    Days,
    FolderPath,
    Importance,
    MinImportance,
    MinScore,
    NonBlankStr,
    NonEmptyStr,
    Offset,
    PositiveU32,
    allow_extra,
    forbid_extra,
)
from sekha.types._messages import MessageContent

Role = Literal["system", "user", "assistant", "function", "tool"]
"""The values of `MessageRole`."""


@allow_extra
class InputMessage(TypedDict):
    """A message to store: a role and a content; other keys are sent as well."""

    role: NonEmptyStr
    content: MessageContent


@forbid_extra
class CreateConversationRequest(TypedDict, total=False):
    """Arguments of ``create_conversation``."""

    label: NonEmptyStr
    folder: FolderPath
    importance_score: Importance
    messages: List[InputMessage]


@forbid_extra
class Filters(TypedDict, total=False):
    """Search filters; all of them must match."""

    label: NonEmptyStr
    labels: List[str]
    exclude_labels: List[str]
    folder: FolderPath
    subfolders: bool
    min_importance: MinImportance
    archived: bool
    roles: List[Role]
    start_date: NonEmptyStr
    end_date: NonEmptyStr


@forbid_extra
class QueryRequest(TypedDict):
    """Arguments of ``query``."""

    query: NonBlankStr
    limit: NotRequired[PositiveU32]
    offset: NotRequired[Offset]
    filters: NotRequired[Filters]
    min_score: NotRequired[MinScore]
    hybrid: NotRequired[bool]


@forbid_extra
class ContextAssembleRequest(TypedDict):
    """Arguments of ``assemble_context``."""

    query: NonBlankStr
    context_budget: NotRequired[Budget]
    preferred_labels: NotRequired[List[str]]
    excluded_folders: NotRequired[List[FolderPath]]
    folders: NotRequired[List[FolderPath]]
    roles: NotRequired[List[Role]]
    min_score: NotRequired[MinScore]
    hybrid: NotRequired[bool]


@forbid_extra
class PruneRequest(TypedDict, total=False):
    """Arguments of ``prune_dry_run``."""

    threshold_days: Days
    limit: PositiveU32


@forbid_extra
class MemorySearchRequest(Filters):
    """Arguments of ``memory_search``."""

    query: NonBlankStr
    limit: NotRequired[PositiveU32]
    offset: NotRequired[Offset]
    filters: NotRequired[Filters]
    min_score: NotRequired[MinScore]
    hybrid: NotRequired[bool]


@forbid_extra
class MemoryStatsRequest(TypedDict, total=False):
    """Arguments of ``memory_stats``; without a key, everything is counted."""

    folder: FolderPath
    subfolders: bool
    label: NonEmptyStr
    labels: List[str]
    start_date: NonEmptyStr
    end_date: NonEmptyStr
