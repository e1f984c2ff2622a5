"""Validators for the types of requests and responses, in pydantic's compiled core, from annotations that are read here.

`pydantic.TypeAdapter` does the same for every type that there is, and takes as long to import as httpx; the types of
Sekha are made of these few kinds. A unit test compares what both accept, return and report.
"""

from __future__ import annotations

import types
from functools import cache
from typing import Any, Final, Union, cast

from pydantic_core import CoreSchema, SchemaValidator, core_schema
from typing_extensions import (
    Annotated,
    Literal,
    NotRequired,
    Required,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

_SIMPLE: Final = {
    str: core_schema.str_schema(),
    int: core_schema.int_schema(),
    float: core_schema.float_schema(),
    bool: core_schema.bool_schema(),
    Any: core_schema.any_schema(),
}

_UNIONS: Final = (Union, getattr(types, "UnionType", Union))
"""What `Optional[str]` and `str | None` are. They are equal, and `typing` keeps one object for what is equal: if
another package has used `NotRequired[str | None]` before, `NotRequired[Optional[str]]` is that."""


@cache  # it holds no lock while it builds: a fork meanwhile leaves none taken in the child
def validator_for(annotation: Any) -> SchemaValidator:
    """Return the validator of a type, built on first use."""
    return SchemaValidator(schema_for(annotation))


def schema_for(annotation: Any) -> CoreSchema:
    """Return the schema of a type, as pydantic's core reads it.

    Raises:
        TypeError: A type of this kind has no rule here yet.
    """
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if is_typeddict(annotation):
        return _typed_dict_schema(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (NotRequired, Required):
        return schema_for(arguments[0])
    if origin is Annotated:  # with `Limits` or `Normalized`, which pydantic calls in the same way
        inner, hook = arguments
        return cast(CoreSchema, hook.__get_pydantic_core_schema__(inner, schema_for))
    if origin is list:
        return core_schema.list_schema(schema_for(arguments[0]))
    if origin is dict:
        return core_schema.dict_schema(schema_for(arguments[0]), schema_for(arguments[1]))
    if origin is Literal:
        return core_schema.literal_schema(list(arguments))
    if origin in _UNIONS:
        choices = [schema_for(choice) for choice in arguments if choice is not type(None)]
        schema = choices[0] if len(choices) == 1 else core_schema.union_schema([*choices])
        return schema if len(choices) == len(arguments) else core_schema.nullable_schema(schema)
    raise TypeError(f"no schema for {annotation!r}")


def _typed_dict_schema(typed_dict: Any) -> CoreSchema:
    fields = {
        name: core_schema.typed_dict_field(schema_for(annotation), required=name in typed_dict.__required_keys__)
        for name, annotation in get_type_hints(typed_dict, include_extras=True).items()
    }
    extra = typed_dict.__pydantic_config__["extra"]
    return core_schema.typed_dict_schema(fields, cls=typed_dict, extra_behavior=extra)
