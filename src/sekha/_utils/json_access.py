"""Access to JSON data of unknown shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MAPPINGS: Any = (dict, Mapping)  # a dict is recognised at once, other mappings take their time


def as_object(value: object) -> dict[str, Any] | None:
    """Return the value if it is a JSON object, else None."""
    if not isinstance(value, dict):
        return None
    return value  # pyright: ignore[reportUnknownVariableType] - keys of anything, which mypy sees by itself


def as_list(value: object) -> list[Any] | None:
    """Return the value if it is a JSON list, else None."""
    if not isinstance(value, list):
        return None
    return value  # pyright: ignore[reportUnknownVariableType] - a list of anything, which mypy sees by itself


def as_text(value: object) -> str:
    """Return the value if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def first_text(value: object, *keys: str) -> str | None:
    """Return the first member of an object that is a text and not empty; None if there is none."""
    return next((text for key in keys if (text := as_text(get(value, key)))), None)


def get(value: Any, *keys: str) -> Any:
    """Return the value of nested keys; None where a key is missing or its parent is not an object."""
    for key in keys:
        if value is None or not isinstance(value, _MAPPINGS):
            return None
        value = value.get(key)
    return value
