"""Validators for the types of requests and responses, in pydantic's compiled core, from annotations that are read here.

`pydantic.TypeAdapter` does the same for every type that there is, and takes as long to import as httpx; the types of
Sekha are made of these few kinds. A unit test compares what both accept, return and report.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, Union

from pydantic_core import SchemaValidator
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

_SIMPLE: Final = {str: "str", int: "int", float: "float", bool: "bool"}


@cache  # it holds no lock while it builds: a fork meanwhile leaves none taken in the child
def validator_for(annotation: Any) -> SchemaValidator:
    """Return the validator of a type, built on first use."""
    return SchemaValidator(core_schema(annotation))


def core_schema(annotation: Any) -> Any:
    """Return the schema of a type, as pydantic's core reads it.

    Raises:
        TypeError: A type of this kind has no rule here yet.
    """
    if annotation in _SIMPLE:
        return {"type": _SIMPLE[annotation]}
    if is_typeddict(annotation):
        return _typed_dict_schema(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (NotRequired, Required):
        return core_schema(arguments[0])
    if origin is Annotated:  # with `Limits` or `Normalized`, which pydantic calls in the same way
        inner, hook = arguments
        return hook.__get_pydantic_core_schema__(inner, core_schema)
    if origin is list:
        return {"type": "list", "items_schema": core_schema(arguments[0])}
    if origin is dict:
        return {"type": "dict", "keys_schema": core_schema(arguments[0]), "values_schema": core_schema(arguments[1])}
    if origin is Literal:
        return {"type": "literal", "expected": list(arguments)}
    if origin is Union:
        choices = [core_schema(choice) for choice in arguments if choice is not type(None)]
        schema = choices[0] if len(choices) == 1 else {"type": "union", "choices": choices}
        return schema if len(choices) == len(arguments) else {"type": "nullable", "schema": schema}
    raise TypeError(f"no schema for {annotation!r}")


def _typed_dict_schema(typed_dict: Any) -> Any:
    fields = {
        name: {
            "type": "typed-dict-field",
            "schema": core_schema(annotation),
            "required": name in typed_dict.__required_keys__,
        }
        for name, annotation in get_type_hints(typed_dict, include_extras=True).items()
    }
    extra = typed_dict.__pydantic_config__["extra"]
    return {"type": "typed-dict", "cls": typed_dict, "fields": fields, "extra_behavior": extra}
