"""The operations that have a span of their own, and what the span says of them: pure functions, and a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Final, NamedTuple, Union

from sekha._api.validation import parse_conversation_id
from sekha._transport import conventions as names
from sekha._utils.json_access import as_list, as_object, get
from sekha.errors import SekhaValidationError

AttributeValue = Union[str, bool, int, float, "list[str]"]
Attributes = dict[str, AttributeValue]
Arguments = Mapping[str, Any]
"""The arguments of a call by name, without those that were left out."""

_MAPPINGS: Any = Mapping
_SEQUENCES: Any = Sequence
ON_SPANS: Final = frozenset({"true", "1", "span_only", "span_and_event"})
"""Values of the variable for content with which it is put into spans; the first two are of its older form."""
NOT_ON_SPANS: Final = frozenset({"", "false", "0", "no_content", "event_only"})


def captures_content(value: str) -> bool | None:
    """Return whether spans have texts with this value of the variable; None if it means nothing."""
    value = value.strip().lower()
    return True if value in ON_SPANS else False if value in NOT_ON_SPANS else None


def _always(_: Arguments) -> bool:
    return True


def _nothing(*_: object) -> Attributes:
    return {}


class Operation(NamedTuple):
    """What is said of one kind of operation.

    Attributes:
        name: Its name in the conventions.
        asked: Returns the attributes that follow from the arguments.
        found: Returns those that follow from the result.
        asked_texts: Returns the texts in the arguments, for users who allow them.
        found_texts: Returns the texts in the result.
        is_stream: Whether the result is a stream, with whose end the operation ends.
        applies: Whether a call with these arguments is such an operation.
    """

    name: str
    asked: Callable[[Arguments], Attributes] = _nothing
    found: Callable[[Any], Attributes] = _nothing
    asked_texts: Callable[[Arguments], Attributes] = _nothing
    found_texts: Callable[[Any], Attributes] = _nothing
    is_stream: bool = False
    applies: Callable[[Arguments], bool] = _always


def span_name(operation: Operation, attributes: Mapping[str, AttributeValue]) -> str:
    """Return the name of a span: that of the operation, and the model where one was asked for."""
    model = attributes.get(names.REQUEST_MODEL)
    return f"{operation.name} {model}" if model else operation.name


# Memory


def _argument(arguments: Arguments, name: str) -> Any:
    """Return an argument that is a keyword or an entry of the dictionary that some methods accept instead."""
    value = arguments.get(name)
    return value if value is not None else get(arguments.get("conversation") or arguments.get("request"), name)


def _rows(result: Any) -> list[Any]:
    """Return the results of a search, in whichever shape they are."""
    rows: object = get(result, "results") or getattr(result, "results", None)
    return as_list(result) or as_list(rows) or []


def _query(arguments: Arguments) -> Attributes:
    query = _argument(arguments, "query")
    return {names.QUERY_TEXT: query} if isinstance(query, str) else {}


def _count_rows(result: Any) -> Attributes:
    return {names.RECORD_COUNT: len(_rows(result))}


def _found_records(result: Any) -> Attributes:
    return {names.RECORDS: _json([_record(row) for row in map(as_object, _rows(result)) if row is not None])}


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a search result or a message as the conventions write a record."""
    of_it = ("role", "label", "folder", "timestamp", "conversation_id")
    metadata = {key: row[key] for key in of_it if row.get(key) is not None}
    record: dict[str, Any] = {"content": _content(row.get("content"))}
    if (id := row.get("message_id") or row.get("id")) is not None:
        record["id"] = str(id)
    if row.get("score") is not None:
        record["score"] = row["score"]
    return {**record, "metadata": metadata} if metadata else record


def _messages(arguments: Arguments) -> list[Mapping[str, Any]]:
    messages: Any = _argument(arguments, "messages")
    if not isinstance(messages, _SEQUENCES) or isinstance(messages, (str, bytes)):
        return []
    return [message for message in messages if isinstance(message, _MAPPINGS)]


def _count_messages(arguments: Arguments) -> Attributes:
    messages = _messages(arguments)
    return {names.RECORD_COUNT: len(messages)} if messages else {}


def _sent_records(arguments: Arguments) -> Attributes:
    messages = _messages(arguments)
    return {names.RECORDS: _json([_record(message) for message in messages])} if messages else {}


def _stored_id(result: Any) -> Attributes:
    id = get(result, "id")
    return {names.RECORD_ID: id} if isinstance(id, str) else {}


def _given_id(arguments: Arguments) -> Attributes:
    try:
        return {names.RECORD_ID: parse_conversation_id(arguments.get("conversation_id", arguments.get("id")))}
    except SekhaValidationError:  # it will be refused; it could be any text
        return {}


def _replaced(arguments: Arguments) -> Attributes:
    return {**_given_id(arguments), **_count_messages(arguments)}


def _count_ids(arguments: Arguments) -> Attributes:
    ids: Any = arguments.get("conversation_ids")
    return {names.RECORD_COUNT: len(ids)} if isinstance(ids, _SEQUENCES) else {}


def _count_found(result: Any) -> Attributes:
    return {names.RECORD_COUNT: int(get(result, "found") or 0)}


def _deletes(arguments: Arguments) -> bool:
    return not arguments.get("dry_run", True)


# Models

_NUMBER: Final = (int, float)
_MODEL: Final = {"model": (names.REQUEST_MODEL, str)}
_OPTIONS: Final[Mapping[str, tuple[str, Any]]] = {
    **_MODEL,
    "temperature": (names.REQUEST_TEMPERATURE, _NUMBER),
    "max_tokens": (names.REQUEST_MAX_TOKENS, int),
    "top_p": (names.REQUEST_TOP_P, _NUMBER),
    "frequency_penalty": (names.REQUEST_FREQUENCY_PENALTY, _NUMBER),
    "presence_penalty": (names.REQUEST_PRESENCE_PENALTY, _NUMBER),
    "seed": (names.REQUEST_SEED, int),
    "n": (names.REQUEST_CHOICE_COUNT, int),
}
"""Keys of a request to a model, each with its attribute and type."""


def _options(given: Mapping[str, Any], table: Mapping[str, tuple[str, Any]]) -> Attributes:
    attributes: Attributes = {}
    for key, (name, kind) in table.items():
        value: Any = given.get(key)
        if isinstance(value, kind) and not isinstance(value, bool):
            attributes[name] = float(value) if kind is _NUMBER else value
    return attributes


def _chat_request(arguments: Arguments) -> Attributes:
    extra: Any = arguments.get("extra_body")
    given: Arguments = {**arguments, **extra} if isinstance(extra, _MAPPINGS) else arguments
    attributes = _options(given, _OPTIONS)
    if attributes.get(names.REQUEST_CHOICE_COUNT) == 1:
        del attributes[names.REQUEST_CHOICE_COUNT]  # the conventions want it only if it is not 1
    stop: object = given.get("stop")
    stops = [stop] if isinstance(stop, str) else [one for one in as_list(stop) or () if isinstance(one, str)]
    return {**attributes, names.REQUEST_STOP_SEQUENCES: stops} if stops else attributes


def _stream_request(arguments: Arguments) -> Attributes:
    return {**_chat_request(arguments), names.REQUEST_STREAM: True}


def _embeddings_request(arguments: Arguments) -> Attributes:
    return _options(arguments, _MODEL)


def _completion(result: Any) -> Attributes:
    """Return what a completion says that is true: the bridge 0.2 repeats the name of a model, and counts words."""
    reasons = [str(choice["finish_reason"]) for choice in _choices(result) if choice.get("finish_reason")]
    attributes: Attributes = {names.RESPONSE_FINISH_REASONS: reasons} if reasons else {}
    if id := get(result, "id"):
        attributes[names.RESPONSE_ID] = str(id)
    return attributes


def _dimension(result: Any) -> Attributes:
    dimension = get(result, "dimension")
    return {names.EMBEDDINGS_DIMENSION_COUNT: dimension} if isinstance(dimension, int) else {}


def _input_messages(arguments: Arguments) -> Attributes:
    return {names.INPUT_MESSAGES: _json([_chat_message(message) for message in _messages(arguments)])}


def _output_messages(result: Any) -> Attributes:
    choices = [(choice, as_object(choice.get("message")) or {}) for choice in _choices(result)]
    return {
        names.OUTPUT_MESSAGES: _json(
            [
                {**_chat_message(message), "finish_reason": choice.get("finish_reason") or ""}
                for choice, message in choices
            ]
        )
    }


def _choices(result: Any) -> list[dict[str, Any]]:
    return [choice for choice in map(as_object, as_list(get(result, "choices")) or ()) if choice is not None]


def _chat_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message of a chat as the conventions write it."""
    content = _content(message.get("content"))
    parts = content if isinstance(content, list) else [{"type": "text", "content": content}]
    return {"role": str(message.get("role", "")), "parts": parts}


def _content(content: object) -> Union[str, list[dict[str, str]]]:
    """Return the content of a message: a text, or its parts, of which all but texts are only named."""
    parts = as_list(content)
    if parts is None:
        return content if isinstance(content, str) else ""
    return [
        {"type": "text", "content": part if isinstance(part, str) else str(get(part, "text") or "")}
        if isinstance(part, str) or get(part, "type") in (None, "text")
        else {"type": str(get(part, "type"))}
        for part in parts
    ]


def _json(value: object) -> str:
    """Return a value as JSON: not all of OpenTelemetry's libraries support structured attributes of spans."""
    return json.dumps(value, ensure_ascii=False, default=str)


# The table

SEARCH: Final = Operation(names.SEARCH_MEMORY, found=_count_rows, asked_texts=_query, found_texts=_found_records)
CREATE: Final = Operation(names.CREATE_MEMORY, asked=_count_messages, found=_stored_id, asked_texts=_sent_records)
UPDATE: Final = Operation(names.UPDATE_MEMORY, asked=_given_id)
REPLACE: Final = Operation(names.UPDATE_MEMORY, asked=_replaced, asked_texts=_sent_records)
ARCHIVE_MANY: Final = Operation(names.UPDATE_MEMORY, asked=_count_ids)
DELETE: Final = Operation(names.DELETE_MEMORY, asked=_given_id)
DELETE_MANY: Final = Operation(names.DELETE_MEMORY, found=_count_found, applies=_deletes)
COMPLETE: Final = Operation(
    names.CHAT, _chat_request, _completion, asked_texts=_input_messages, found_texts=_output_messages
)
STREAM: Final = COMPLETE._replace(asked=_stream_request, is_stream=True)
EMBED: Final = Operation(names.EMBEDDINGS, asked=_embeddings_request, found=_dimension)
