"""What the tools accept, and how it is described to a model."""

from typing import Any, Dict, List, Mapping, Union, cast

from typing_extensions import Annotated, Literal, NotRequired, TypedDict

from sekha.types._base import (
    Days,
    Importance,
    Limits,
    NonBlankStr,
    NonEmptyStr,
    PositiveU32,
    forbid_extra,
)

MAX_RESULTS = 20
"""Results that one call returns at most."""

MAX_TOKENS = 4000
"""Tokens that a context may have at most."""

Folder = NonBlankStr
"""A folder; the client checks it, which knows whether it is confined to one, and what a relative path means there."""

Score = Annotated[float, Limits(ge=0, le=1)]
Results = Annotated[int, Limits(ge=1, le=MAX_RESULTS)]


@forbid_extra
class SearchArguments(TypedDict):
    """Arguments of ``memory_search``."""

    query: NonBlankStr
    limit: NotRequired[Results]
    folder: NotRequired[Folder]
    label: NotRequired[NonEmptyStr]
    start_date: NotRequired[NonEmptyStr]
    end_date: NotRequired[NonEmptyStr]
    min_score: NotRequired[Score]


@forbid_extra
class ContextArguments(TypedDict):
    """Arguments of ``memory_get_context``."""

    query: NonBlankStr
    max_tokens: NotRequired[Annotated[int, Limits(ge=100, le=MAX_TOKENS)]]
    folder: NotRequired[Folder]
    label: NotRequired[NonEmptyStr]


@forbid_extra
class SaidMessage(TypedDict):
    """A message that is stored."""

    role: Literal["user", "assistant", "system"]
    content: NonBlankStr


@forbid_extra
class StoreArguments(TypedDict):
    """Arguments of ``memory_store``."""

    messages: Annotated[List[SaidMessage], Limits(min_length=1)]
    label: NotRequired[NonBlankStr]
    folder: NotRequired[Folder]
    importance_score: NotRequired[Importance]


@forbid_extra
class UpdateArguments(TypedDict):
    """Arguments of ``memory_update``."""

    conversation_id: str
    label: NotRequired[NonBlankStr]
    folder: NotRequired[Folder]
    status: NotRequired[Literal["active", "archived"]]
    importance_score: NotRequired[Importance]


@forbid_extra
class PruneArguments(TypedDict):
    """Arguments of ``memory_prune``."""

    threshold_days: NotRequired[Days]
    limit: NotRequired[Results]


@forbid_extra
class ExportArguments(TypedDict):
    """Arguments of ``memory_export``."""

    conversation_id: str
    page: NotRequired[PositiveU32]


@forbid_extra
class StatsArguments(TypedDict):
    """Arguments of ``memory_stats``."""

    folder: NotRequired[Folder]
    label: NotRequired[NonEmptyStr]
    start_date: NotRequired[NonEmptyStr]
    end_date: NotRequired[NonEmptyStr]


_ID = "The conversation_id (a UUID) that memory_search returns."
_FOLDER = "Only what is in this folder or below it, such as /work/shop."
_LABEL = "Only conversations with exactly this label."
_FROM = "Only from this date on, such as 2026-01-31 or 2026-01-31T09:00:00Z."
_TO = "Only up to this date, inclusive."

DESCRIPTIONS: Mapping[type, Mapping[str, str]] = {
    SearchArguments: {
        "query": "What to look for, in a few words or a question.",
        "limit": "Maximum number of results. Default 5.",
        "folder": _FOLDER,
        "label": _LABEL,
        "start_date": _FROM,
        "end_date": _TO,
        "min_score": "Minimum score of a result, 0 to 1.",
    },
    ContextArguments: {
        "query": "What the context is needed for, such as the question of the user.",
        "max_tokens": "Maximum length of the context in tokens. Default 1000.",
        "folder": _FOLDER,
        "label": _LABEL,
    },
    StoreArguments: {
        "messages": "What was said, in order. To keep one fact, pass one message with a whole sentence.",
        "label": "Name of the conversation. Default: the start of its first message.",
        "folder": "Folder to store it in, such as /work/shop.",
        "importance_score": "1 (trivial) to 10 (must never be lost). Default 5.",
    },
    SaidMessage: {
        "role": "Role of the message.",
        "content": "The text. It is found later by its words and its meaning, so make it understandable by itself.",
    },
    UpdateArguments: {
        "conversation_id": _ID,
        "label": "The new name.",
        "folder": "The new folder, such as /work/shop.",
        "status": "'archived' archives the conversation; not every server can restore it.",
        "importance_score": "1 (trivial) to 10 (must never be lost).",
    },
    PruneArguments: {
        "threshold_days": "Minimum number of days since the last use. Default 90.",
        "limit": "Maximum number of suggestions. Default 10.",
    },
    ExportArguments: {
        "conversation_id": _ID,
        "page": "Page of a long conversation, starting at 1. Default 1.",
    },
    StatsArguments: {"folder": _FOLDER, "label": _LABEL, "start_date": _FROM, "end_date": _TO},
}
"""What each argument is, for a model."""


def schema_of(typed_dict: type) -> Dict[str, Any]:
    """Return the JSON Schema of arguments or of a result, without references, since some clients resolve none."""
    from pydantic import TypeAdapter  # the SDK has loaded it

    schema = TypeAdapter(typed_dict).json_schema()
    plain = _plain(schema, schema.get("$defs", {}))
    _describe(plain, typed_dict)
    return cast(Dict[str, Any], plain)


def _plain(part: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a part of a schema with what it refers to, and without the titles that pydantic makes of the names."""
    if isinstance(part, list):
        return [_plain(one, definitions) for one in cast("List[object]", part)]
    if not isinstance(part, dict):
        return part
    found = cast("Dict[str, Any]", part)
    if "$ref" in found:
        return _plain(definitions[str(found["$ref"]).rpartition("/")[2]], definitions)
    return {
        name: {key: _plain(value, definitions) for key, value in one.items()}
        if name == "properties"
        else _plain(one, definitions)
        for name, one in found.items()
        if name not in ("$defs", "title", "description")
    }


def _describe(schema: Any, typed_dict: Union[type, None]) -> None:
    for name, text in DESCRIPTIONS.get(cast(type, typed_dict), {}).items():
        schema["properties"][name]["description"] = text
    if typed_dict is StoreArguments:
        _describe(schema["properties"]["messages"]["items"], SaidMessage)
