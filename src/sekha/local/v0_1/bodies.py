"""Parse JSON bodies like controller 0.1.

Its parser (serde_json) accepts other bodies than the documented one. Errors have the same status here, 400 or 422; the
message names the field, but has another text than the one of that parser, since clients use the status. If a body has
several errors, syntax errors are reported first.
"""

from __future__ import annotations

import json
import math
from typing import Any, Dict, Iterable, List, Sequence, Set, Tuple, Type

from pydantic import BaseModel
from starlette.requests import Request
from typing_extensions import get_args

from sekha.local.http import (
    BodyType,
    check_json,
    invalid_body,
    is_list,
    is_object,
    malformed_json,
    read_json_body,
    validate_json,
)

_MAX_DEPTH = 127


async def parse(request: Request, model: Type[BodyType]) -> BodyType:
    """Parse the JSON body of a request; raise Refused with 400, 413, 415 or 422 and the reason."""
    return decode(await read_json_body(request), model)


def decode(data: bytes, model: Type[BodyType]) -> BodyType:
    """Parse a body; raise Refused with 400 or 422."""
    check_json(data)
    try:
        value = json.loads(data.decode(), object_pairs_hook=_Object, parse_float=_finite)
    except ValueError as error:
        raise malformed_json(error) from error
    if _is_too_deep(value):
        raise malformed_json("recursion limit exceeded")
    return validate_json(json.dumps(_with_field_names(value, model)), model)


class _Object(Dict[str, Any]):
    """A JSON object that records its duplicate keys."""

    def __init__(self, pairs: Sequence[Tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.duplicates: Set[str] = set()
        seen: Set[str] = set()
        for name, _ in pairs:
            (self.duplicates if name in seen else seen).add(name)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("number out of range")
    return number


def _is_too_deep(value: Any) -> bool:
    """Return whether lists and objects are nested in each other more than _MAX_DEPTH times."""
    level: List[Any] = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for one in level for child in _children(one)]
    return any(is_list(one) or is_object(one) for one in level)


def _children(value: Any) -> Iterable[Any]:
    if is_object(value):
        return value.values()
    return value if is_list(value) else ()


def _with_field_names(value: Any, model: Type[BaseModel]) -> Any:
    """Convert a list in place of an object into that object, and reject duplicate fields.

    A list must be in the order of the fields; serde accepts it for a struct.
    """
    fields = model.model_fields
    if is_list(value):
        if len(value) > len(fields):
            raise malformed_json(f"{len(value)} elements, expected at most {len(fields)}")
        value = dict(zip(fields, value))
    elif isinstance(value, _Object):
        for name in fields:
            if name in value.duplicates:
                raise invalid_body(f"duplicate field `{name}`")
    else:
        return value
    for name, field in fields.items():
        for item in get_args(field.annotation):  # the model of the items in a field such as List[MessageIn]
            if isinstance(item, type) and issubclass(item, BaseModel) and is_list(value.get(name)):
                value[name] = [_with_field_names(one, item) for one in value[name]]
    return value
