"""What the tools return: types of the structured results, from which their schemas are made."""

from typing import Any, List, Mapping, NamedTuple, Optional, Type, TypeVar, Union

from typing_extensions import NotRequired, TypedDict

from sekha.types._base import Number, allow_extra

T = TypeVar("T")


class Answer(NamedTuple):
    """What a tool returns.

    Attributes:
        text: For a model: what was stored by anyone is quoted in it.
        data: The same for programs; it follows the output schema of the tool.
    """

    text: str
    data: object


@allow_extra
class Preview(TypedDict):
    """A message that was found; ``truncated`` is there if ``preview`` is only its beginning."""

    conversation_id: str
    score: float
    role: Optional[str]
    date: Optional[str]
    label: str
    folder: str
    preview: str
    truncated: NotRequired[bool]


@allow_extra
class SearchResults(TypedDict):
    """What ``memory_search`` found, best first."""

    results: List[Preview]
    note: NotRequired[str]


@allow_extra
class Context(TypedDict):
    """The text of ``memory_get_context``; empty if nothing was found."""

    context: str
    note: NotRequired[str]


@allow_extra
class Stored(TypedDict):
    """What ``memory_store`` stored."""

    conversation_id: str
    label: str
    folder: str


@allow_extra
class Updated(TypedDict):
    """What ``memory_update`` changed."""

    conversation_id: str
    updated_fields: List[str]


@allow_extra
class Suggestion(TypedDict):
    """A conversation that has not been used for long."""

    conversation_id: str
    label: str
    last_used: str
    messages: int
    importance_score: float
    recommendation: str
    preview: str


@allow_extra
class Suggestions(TypedDict):
    """What ``memory_prune`` suggests; ``total`` counts those beyond the limit too."""

    suggestions: List[Suggestion]
    total: int


@allow_extra
class About(TypedDict):
    """The conversation of an export."""

    conversation_id: str
    label: str
    folder: str
    status: str
    importance_score: Number
    created_at: str
    updated_at: str


@allow_extra
class Piece(TypedDict):
    """A message of an export, or a part of one that is too long for a page.

    ``number`` counts the messages from 1; parts of one message have the same, and their contents make up its text.
    """

    number: int
    role: str
    date: Optional[str]
    content: str


@allow_extra
class ExportPage(TypedDict):
    """A page of ``memory_export``; ``next_page`` is None on the last one."""

    conversation: About
    messages: List[Piece]
    page: int
    pages: int
    next_page: Optional[int]


@allow_extra
class Statistics(TypedDict):
    """Numbers of ``memory_stats``; the lists are shortened, ``total_folders`` and ``total_labels`` count all."""

    total_conversations: int
    total_messages: Union[int, None]
    average_importance: float
    total_folders: int
    total_labels: int
    folders: List[str]
    labels: List[str]


def pick(shape: Type[T], row: Mapping[str, Any]) -> T:
    """Return what a result of the client has of a type, and nothing that a newer server adds."""
    return shape(**{name: row[name] for name in shape.__annotations__})
