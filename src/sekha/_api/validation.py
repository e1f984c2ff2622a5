"""Conversion of arguments to plain JSON data, validated before anything is sent; errors name the field."""

from __future__ import annotations

import math
import re
from collections.abc import Coroutine, Hashable, Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Any, TypeVar, cast
from uuid import UUID

from pydantic_core import ValidationError

from sekha._api.schemas import validator_for
from sekha._utils.public import class_name
from sekha._utils.sentinel import NOT_GIVEN
from sekha.errors import SekhaValidationError

_HEX = "[0-9a-fA-F]"
_ID = f"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}|{_HEX}{{32}}"
_UUID = re.compile(rf"(?:urn:uuid:)?({_ID})|\{{({_ID})\}}")

_TEXT_KEYS = frozenset(("role", "content", "timestamp"))

T = TypeVar("T")
Path = tuple[object, ...]

# Error types of pydantic, and their messages for arguments.
_PROBLEMS: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a known argument; check the spelling",
    "string_type": "must be a string, not {got}",
    "int_type": "must be a whole number, not {got}",
    "int_from_float": "must be a whole number, not {got}",
    "float_type": "must be a number, not {got}",
    "bool_type": "must be True or False, not {got}",
    "list_type": "must be a list, not {got}",
    "dict_type": "must be a dictionary, not {got}",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "value_error": "{error}",
}


def argument_error(field: str, problem: str) -> SekhaValidationError:
    """Return the error for an argument that is rejected before anything is sent.

    Args:
        field: The argument, such as ``messages[1].content``.
        problem: The problem.
    """
    return SekhaValidationError(f"{field}: {problem}", field=field, status_code=400, sent=False)


def wrong_object(field: str, wanted: str, found: object) -> SekhaValidationError:
    """Return the error for an object of a wrong class, which a user's function may have returned.

    A coroutine is closed, since it will not be awaited.

    Args:
        field: The argument.
        wanted: The requirement.
        found: The object.
    """
    if isinstance(found, Coroutine):
        found.close()
        return argument_error(field, f"{wanted}; the function must not be async")
    return argument_error(field, f"{wanted}, not {class_name(found)}")


def merge_arguments(request: object, keywords: Mapping[str, object], name: str) -> dict[str, object]:
    """Merge a request that is passed as a dictionary, as keywords, or both; keywords override the dictionary."""
    if request is None:
        return dict(keywords)
    if not isinstance(request, Mapping):
        raise argument_error(name, f"must be a dictionary, not {type_name(request)}")
    return {**cast("Mapping[str, object]", request), **keywords}


def validate(schema: type[T], values: Mapping[str, object]) -> T:
    """Return arguments as plain data, validated against a schema.

    Args:
        schema: A TypedDict; strings and booleans are not converted to numbers.
        values: The arguments by name; they are copied.

    Raises:
        SekhaValidationError: ``sent`` is False and ``field`` is the path, such as ``messages[1].content``.
    """
    try:
        data = to_jsonable(values)
    except RecursionError:
        raise argument_error("the request", "is nested too deeply or contains a reference to itself") from None
    try:
        return cast(T, validator_for(cast(Hashable, schema)).validate_python(data, strict=True))
    except ValidationError as error:
        raise _error_from_pydantic(error, data) from None


def parse_conversation_id(value: object, field: str = "conversation_id") -> str:
    """Return a UUID in its canonical form; nothing else may become part of a URL."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str):
        match = _UUID.fullmatch(value)  # `UUID` alone accepts other formats, with blanks or underscores
        if match is not None:
            return str(UUID(match[1] or match[2]))
        raise argument_error(field, "must be the UUID of a conversation")
    raise argument_error(field, f"must be the UUID of a conversation, not {type_name(value)}")


def parse_conversation_ids(values: object) -> list[str]:
    """Return UUIDs in their canonical form, in the given order, without duplicates."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
        raise argument_error("conversation_ids", f"must be a list of UUIDs, not {type_name(values)}")
    ids = [
        parse_conversation_id(value, f"conversation_ids[{i}]")
        for i, value in enumerate(cast("Sequence[object]", values))
    ]
    return list(dict.fromkeys(ids))


def to_jsonable(value: object, path: Path = ()) -> Any:
    """Return a copy as JSON data: dictionaries, lists, strings, finite numbers, booleans and None.

    Raises:
        SekhaValidationError: For NaN, infinity, NUL, a lone surrogate, a key that is not a string, or another type.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, Enum):
        return to_jsonable(value.value, path)
    if isinstance(value, str):
        return _check_text(value, path)
    if isinstance(value, int):
        if value.bit_length() > 1024:
            raise argument_error(format_path(path), "must be a number of at most 300 digits")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise argument_error(format_path(path), f"must be a finite number, not {value}")
        return float(value)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value)
        return {
            _check_key(key, path): to_jsonable(item, (*path, key))
            for key, item in pairs.items()
            if item is not NOT_GIVEN
        }
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        items = cast("Sequence[object]", value)
        return [to_jsonable(item, (*path, i)) for i, item in enumerate(items)]
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date):  # a datetime is a date
        return value.isoformat()
    raise argument_error(format_path(path), f"must be text, a number, a list or a dictionary, not {type_name(value)}")


def copy_of_texts(messages: object) -> list[dict[str, Any]] | None:
    """Return a copy of messages that have only a role, a content and optionally a time, all of them texts.

    Most messages are like this, and checking all of them together is much faster than `validate`.

    Returns:
        The same as `validate`; None if `validate` has to check them.
    """
    if type(messages) is not list:
        return None
    texts: list[str] = []
    for message in cast("list[object]", messages):
        if type(message) is not dict:
            return None
        found = cast("dict[object, object]", message)
        if not found.keys() <= _TEXT_KEYS or not found.get("role") or "content" not in found:
            return None
        for text in found.values():
            if type(text) is not str:
                return None
            texts.append(text)
    try:
        _check_text("".join(texts), ())
    except SekhaValidationError:  # `validate` reports which one it is
        return None
    return [{**message} for message in cast("list[dict[str, Any]]", messages)]


def format_path(path: Path) -> str:
    """Return a path as text: ``messages[1].content`` for ``("messages", 1, "content")``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return text or "the request"


def error_path(error: Mapping[str, Any], data: object) -> Path:
    """Return the path to an error in data, without the names that pydantic gives to the members of a union."""
    found: list[object] = []
    parts: tuple[object, ...] = error["loc"]
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        if isinstance(data, Mapping) and (part in data or (last and error["type"] == "missing")):
            found.append(part)
            data = cast("Mapping[object, object]", data).get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(cast("list[object]", data)):
            found.append(part)
            data = cast("list[object]", data)[part]
    return tuple(found)


def _error_from_pydantic(error: ValidationError, data: object) -> SekhaValidationError:
    # Of a union, the member that was meant has the deepest error, or one that is not about its type; and a number that
    # need not be whole is a number.
    errors = cast("list[Mapping[str, Any]]", error.errors(include_url=False))
    deepest = max(
        errors,
        key=lambda one: (
            len(error_path(one, data)),
            not one["type"].endswith("_type"),
            one["type"] == "float_type",
        ),
    )
    problem = _PROBLEMS.get(deepest["type"], deepest["msg"].replace("{", "{{").replace("}", "}}"))
    problem = problem.format(got=type_name(deepest["input"]), **deepest.get("ctx", {}))
    return argument_error(format_path(error_path(deepest, data)), problem)


def _check_text(value: str, path: Path) -> str:
    if "\0" in value:
        raise argument_error(format_path(path), "must not contain a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise argument_error(
            format_path(path), f"contains a lone surrogate (half of a character) at position {error.start}"
        ) from None
    return str.__str__(value)


def _check_key(key: object, path: Path) -> str:
    if not isinstance(key, str):
        raise argument_error(format_path(path), f"keys must be strings, not {type_name(key)}")
    return _check_text(str(key.value) if isinstance(key, Enum) else key, path)


def type_name(value: object) -> str:
    """Return the name of the type of a value, for an error."""
    return "None" if value is None else type(value).__name__
