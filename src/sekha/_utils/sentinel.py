"""The default of arguments for which ``None`` has a meaning."""

from __future__ import annotations

from collections.abc import Container
from enum import Enum
from typing import Any, Final, Literal


class NotGiven(Enum):
    """A type with one value, so that type checkers can tell it from every other."""

    NOT_GIVEN = "not given"

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Final[Literal[NotGiven.NOT_GIVEN]] = NotGiven.NOT_GIVEN


def drop_unset(none_is_missing: Container[str] | None = None, /, **values: object) -> dict[str, Any]:
    """Return the arguments that were given.

    Args:
        none_is_missing: Names of the arguments for which None means "not given", if it is a value for the others;
            by default it means that for all.
        values: What was passed, by name. `NOT_GIVEN` always means "not given".
    """
    return {
        name: value
        for name, value in values.items()
        if value is not NOT_GIVEN and not (value is None and (none_is_missing is None or name in none_is_missing))
    }
