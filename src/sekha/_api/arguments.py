"""The arguments of calls that have no public request type, as checked shapes."""

from typing import List, Union

from pydantic import Field
from typing_extensions import Annotated, Literal, NotRequired, TypedDict

from sekha.types._base import (
    Budget,
    Days,
    Importance,
    Number,
    Query,
    Size,
    Text,
    closed,
)
from sekha.types._requests import InputMessage


@closed
class ListRequest(TypedDict, total=False):
    """What ``list_conversations`` and ``iter_conversations`` take."""

    label: Text
    folder: Text
    pinned: bool
    archived: bool
    subfolders: bool
    page: Size
    page_size: Size


@closed
class LabelRequest(TypedDict, total=False):
    """What ``update_label`` and ``update_folder`` take."""

    label: Text
    folder: Text


@closed
class CountRequest(TypedDict, total=False):
    """What ``count_conversations`` takes."""

    label: Text
    label_contains: Text
    folder: Text


@closed
class FullTextRequest(TypedDict):
    """What ``full_text_search`` takes."""

    query: Query
    limit: Size
    raw: bool


@closed
class SummarizeRequest(TypedDict):
    """What the controller's ``summarize`` takes."""

    level: Literal["daily", "weekly", "monthly"]


@closed
class UpdateRequest(TypedDict, total=False):
    """What ``memory_update`` takes."""

    label: Text
    folder: Text
    status: Literal["active", "archived"]
    importance_score: Importance


@closed
class ToolPruneRequest(TypedDict):
    """What ``memory_prune`` takes."""

    threshold_days: Days
    importance_threshold: Annotated[Number, Field(ge=0, le=10)]


@closed
class ExportRequest(TypedDict):
    """What ``memory_export`` takes."""

    format: Literal["json", "markdown"]
    include_metadata: bool


@closed
class ModelOptions(TypedDict):
    """What everything that asks a model takes."""

    model: NotRequired[Text]
    temperature: NotRequired[Annotated[Number, Field(ge=0, le=2)]]
    max_tokens: NotRequired[Annotated[int, Field(ge=1)]]


@closed
class ChatRequest(ModelOptions):
    """What ``complete`` and ``stream_complete`` take."""

    messages: Annotated[List[InputMessage], Field(min_length=1)]


@closed
class EmbedRequest(TypedDict):
    """What ``embed`` takes."""

    input: NotRequired[Union[Text, Annotated[List[Text], Field(min_length=1)]]]
    text: NotRequired[Union[Text, Annotated[List[Text], Field(min_length=1)]]]
    model: NotRequired[Text]


@closed
class RouteRequest(TypedDict):
    """What ``route`` takes."""

    task: Text
    preferred_model: NotRequired[Text]
    require_vision: NotRequired[bool]
    max_cost: NotRequired[Number]
    context_size: NotRequired[Annotated[int, Field(ge=0)]]


@closed
class TextsRequest(TypedDict):
    """What the bridge's ``summarize`` takes."""

    messages: Annotated[List[str], Field(min_length=1)]
    level: Literal["daily", "weekly", "monthly"]
    model: NotRequired[Text]


@closed
class ExtractRequest(TypedDict):
    """What ``extract`` takes."""

    text: Query
    model: NotRequired[Text]


@closed
class ScoreRequest(TypedDict):
    """What ``score`` takes."""

    conversation: Query
    model: NotRequired[Text]


@closed
class PromptRequest(ModelOptions):
    """What the workflows with a model take."""

    prompt: Query
    context_query: NotRequired[Query]
    search_query: NotRequired[Query]
    context_budget: NotRequired[Budget]
    limit: NotRequired[Size]
    system: NotRequired[Query]
