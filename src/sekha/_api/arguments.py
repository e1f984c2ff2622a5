"""Schemas for the arguments of calls that have no public request type, and the completion of a conversation."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Union, cast

from typing_extensions import Annotated, Literal, NotRequired, TypedDict

from sekha._api.compat.requests import default_label, nonzero_temperature, to_chat_messages
from sekha._api.validation import argument_error, copy_of_texts, validate
from sekha.type_guards import extract_image_urls, extract_text, is_valid_role
from sekha.types._base import (
    Budget,
    Days,
    FolderPath,
    Importance,
    Limits,
    MinImportance,
    MinScore,
    NonBlankStr,
    NonEmptyStr,
    Number,
    PositiveU32,
    allow_extra,
    forbid_extra,
)
from sekha.types._messages import MessageContent, MessageRole
from sekha.types._requests import CreateConversationRequest, Filters, InputMessage, Role

DEFAULT_IMPORTANCE = 5
"""Default importance of a conversation."""

PINNED_IMPORTANCE = 10
"""The importance of a pinned conversation."""

MAX_TOOL_RESULTS = 20
"""Maximum number of results that a model may request."""

Temperature = Union[Annotated[int, Limits(ge=0, le=2)], Annotated[float, Limits(ge=0, le=2)]]
"""Sampling temperature of a model."""


@forbid_extra
class ListRequest(TypedDict, total=False):
    """Arguments of ``list_conversations`` and ``iter_conversations``."""

    label: NonEmptyStr
    folder: FolderPath
    pinned: bool
    archived: bool
    subfolders: bool
    start_date: NonEmptyStr
    end_date: NonEmptyStr
    page: PositiveU32
    page_size: PositiveU32


@forbid_extra
class LabelRequest(TypedDict, total=False):
    """Arguments of ``update_label`` and ``update_folder``."""

    label: NonEmptyStr
    folder: FolderPath


@forbid_extra
class CountRequest(TypedDict, total=False):
    """Arguments of ``count_conversations``."""

    label: NonEmptyStr
    label_contains: NonEmptyStr
    folder: FolderPath
    subfolders: bool


@forbid_extra
class DeleteManyRequest(TypedDict, total=False):
    """Arguments of ``delete_conversations``."""

    folder: FolderPath
    subfolders: bool
    dry_run: bool
    archive_instead: bool


@forbid_extra
class FullTextRequest(TypedDict):
    """Arguments of ``full_text_search``."""

    query: NonBlankStr
    limit: PositiveU32
    raw: bool


@forbid_extra
class SummarizeRequest(TypedDict):
    """Arguments of the controller's ``summarize``."""

    level: Literal["daily", "weekly", "monthly"]


@forbid_extra
class UpdateRequest(TypedDict, total=False):
    """Arguments of ``memory_update``."""

    label: NonEmptyStr
    folder: FolderPath
    status: Literal["active", "archived"]
    importance_score: Importance


@forbid_extra
class MemoryPruneRequest(TypedDict):
    """Arguments of ``memory_prune``."""

    threshold_days: Days
    importance_threshold: MinImportance


@forbid_extra
class ExportRequest(TypedDict):
    """Arguments of ``memory_export``."""

    format: Literal["json", "markdown"]
    include_metadata: bool


@forbid_extra
class CompletionOptions(TypedDict):
    """Arguments of all calls to a model."""

    model: NotRequired[NonEmptyStr]
    temperature: NotRequired[Temperature]
    max_tokens: NotRequired[Annotated[int, Limits(ge=1)]]
    extra_body: NotRequired[Dict[str, Any]]


@forbid_extra
class ChatRequest(CompletionOptions):
    """Arguments of ``complete`` and ``stream_complete``."""

    messages: Annotated[List[InputMessage], Limits(min_length=1)]


@forbid_extra
class EmbedRequest(TypedDict):
    """Arguments of ``embed``."""

    input: NotRequired[Union[NonEmptyStr, Annotated[List[NonEmptyStr], Limits(min_length=1)]]]
    text: NotRequired[Union[NonEmptyStr, Annotated[List[NonEmptyStr], Limits(min_length=1)]]]
    model: NotRequired[NonEmptyStr]


@forbid_extra
class RouteRequest(TypedDict):
    """Arguments of ``route``."""

    task: NonEmptyStr
    preferred_model: NotRequired[NonEmptyStr]
    require_vision: NotRequired[bool]
    max_cost: NotRequired[Number]
    context_size: NotRequired[Annotated[int, Limits(ge=0)]]


@forbid_extra
class BridgeSummarizeRequest(TypedDict):
    """Arguments of the bridge's ``summarize``."""

    messages: Annotated[List[str], Limits(min_length=1)]
    level: Literal["daily", "weekly", "monthly"]
    model: NotRequired[NonEmptyStr]


@forbid_extra
class ExtractRequest(TypedDict):
    """Arguments of ``extract``."""

    text: NonBlankStr
    model: NotRequired[NonEmptyStr]


@forbid_extra
class ScoreRequest(TypedDict):
    """Arguments of ``score``."""

    conversation: NonBlankStr
    model: NotRequired[NonEmptyStr]


@allow_extra
class AnyMessage(TypedDict):
    """A message of any model; a message with tool calls has no content."""

    role: NonEmptyStr
    content: NotRequired[Optional[MessageContent]]


@forbid_extra
class RecallRequest(TypedDict, total=False):
    """Arguments of the memory search of the workflows with a model."""

    prompt: NonBlankStr
    context_query: NonBlankStr
    search_query: NonBlankStr
    system: NonBlankStr
    context_budget: Budget
    preferred_labels: List[str]
    excluded_folders: List[FolderPath]
    folders: List[FolderPath]
    roles: List[Role]
    limit: PositiveU32
    filters: Filters
    hybrid: bool
    min_score: MinScore
    on_memory_error: Literal["raise", "ignore"]


@forbid_extra
class PromptRequest(CompletionOptions, RecallRequest):
    """Arguments of the workflows with a model."""

    messages: NotRequired[List[InputMessage]]


@forbid_extra
class BuildRequest(RecallRequest):
    """Arguments of ``build_messages``."""

    messages: NotRequired[List[AnyMessage]]


@forbid_extra
class MemoryRecallRequest(TypedDict):
    """Arguments of ``recall`` and ``block`` of a memory."""

    query: str
    limit: NotRequired[PositiveU32]
    min_score: NotRequired[MinScore]
    max_tokens: NotRequired[Annotated[int, Limits(ge=1)]]


@forbid_extra
class SearchToolRequest(TypedDict):
    """Arguments of the search tool for models."""

    query: NonBlankStr
    limit: NotRequired[Annotated[int, Limits(ge=1, le=MAX_TOOL_RESULTS)]]


@forbid_extra
class RememberToolRequest(TypedDict):
    """Arguments of the remember tool for models."""

    text: NonBlankStr


def complete_conversation(conversation: Mapping[str, object]) -> Dict[str, Any]:
    """Return a conversation in its stored form: validated, with label, folder, messages and importance.

    Args:
        conversation: The arguments of ``create_conversation``; label, folder and importance may be missing.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.
    """
    plain = copy_of_texts(conversation.get("messages")) if isinstance(conversation, dict) else None
    request = validate(CreateConversationRequest, conversation if plain is None else {**conversation, "messages": []})
    if "messages" not in request:
        raise argument_error("messages", "is required")
    messages = cast("List[Dict[str, Any]]", request["messages"]) if plain is None else plain
    for i, message in enumerate(messages):
        if not is_valid_role(message["role"]):
            known = ", ".join(role.value for role in MessageRole)
            raise argument_error(f"messages[{i}].role", f"must be one of {known}, not {message['role']!r}")
    if messages and all(_is_blank(message["content"]) for message in messages):
        raise argument_error("messages", "must not all be blank")
    return {
        "label": request.get("label") or default_label(messages),
        "folder": request.get("folder", "/"),
        "messages": messages,
        "importance_score": request.get("importance_score", DEFAULT_IMPORTANCE),
    }


def validate_replacement(conversation: Mapping[str, object]) -> Dict[str, Any]:
    """Return what ``replace_conversation`` changes: validated messages, and label, folder and importance if given.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.
    """
    completed = complete_conversation(conversation)
    given = validate(CreateConversationRequest, conversation)
    return {name: completed[name] for name in given}


def _is_blank(content: Any) -> bool:
    return not extract_text(content).strip() and not extract_image_urls(content)


def chat_body(messages: Sequence[Mapping[str, object]], options: Mapping[str, object]) -> Dict[str, Any]:
    """Return the body of a chat completion, with what models and the bridge support.

    Args:
        messages: The messages.
        options: Other arguments by name; those of ``extra_body`` are added unchanged, and override others.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.
    """
    request = validate(ChatRequest, {"messages": messages, **options})
    body: Dict[str, Any] = {**request, "messages": to_chat_messages(cast("List[Dict[str, Any]]", request["messages"]))}
    if "temperature" in body:
        body["temperature"] = nonzero_temperature(body["temperature"])
    extra_body = body.pop("extra_body", {})
    check_extra_body(extra_body)
    return {**body, **extra_body}


def check_extra_body(extra_body: Optional[Mapping[str, Any]]) -> None:
    """Raise an error if additional keys of a body would override keys that the library sets."""
    for name in ("messages", "stream"):
        if name in (extra_body or ()):
            raise argument_error(f"extra_body.{name}", "cannot be overridden")
