"""Building blocks of all types: timestamps, folders, numbers, and whether unknown keys are kept or rejected."""

import re
from datetime import date, datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union, cast

from typing_extensions import Annotated

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

_T = TypeVar("_T")

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:[.,](\d{1,6})\d*)?"
    r" ?(?:[Zz]|[Uu][Tt][Cc]|([+-]\d\d:?\d\d))?",
    re.ASCII,
)


def normalize_timestamp(value: str) -> str:
    """Return a timestamp as ``YYYY-MM-DDTHH:MM:SS.ffffff+00:00``; any other text is returned unchanged.

    Args:
        value: A timestamp in any format that servers use: ``T`` or a space, 0 to 9 digits, with or without zone (UTC).
    """
    match = _TIME.fullmatch(value)
    if match is None:
        return value
    day, time, fraction, offset = match.groups("")
    if not _is_date(day):
        return value
    moment = f"{day}T{time}.{fraction.ljust(6, '0')}"
    return f"{moment}+00:00" if offset in ("", "+00:00") else _to_utc(moment, offset) or value


@lru_cache(maxsize=4096)  # results have many timestamps of the same days
def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:  # such as a 30th of February
        return False
    return True


def _to_utc(moment: str, offset: str) -> Optional[str]:
    try:
        local = datetime.fromisoformat(f"{moment}{offset[:3]}:{offset[-2:]}")
        return local.astimezone(timezone.utc).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):  # such as a day before the year 1
        return None


CONTROL_CHARACTER = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]")


def normalize_folder(value: str) -> str:
    """Return a folder in its normal form: one ``/`` before each name, and no ``/`` at the end.

    Nothing else changes: neither case nor Unicode, backslashes or percent signs.

    Args:
        value: A path; surrounding whitespace is stripped.

    Raises:
        ValueError: The path is blank, or contains ``.`` or ``..`` as a name, or a control character.
    """
    text = value.strip()
    names = [name for name in text.split("/") if name]
    if not text:
        raise ValueError("must not be blank")
    if CONTROL_CHARACTER.search(text):
        raise ValueError("must not contain control characters")
    if "." in names or ".." in names:
        raise ValueError("must not contain . or .. as a name")
    return "/" + "/".join(names)


def check_not_blank(value: str) -> str:
    """Return the text unchanged.

    Raises:
        ValueError: The text is blank.
    """
    if not value.strip():
        raise ValueError("must not be blank")
    return value


def normalize_stored_folder(value: object) -> Optional[str]:
    """Return a folder from a server in its normal form; None if it is invalid."""
    if not isinstance(value, str) or CONTROL_CHARACTER.search(value):
        return None
    try:
        return normalize_folder(value)
    except ValueError:
        return None


def allow_extra(cls: _T) -> _T:
    """Keep unknown keys, which newer servers may add."""
    cls.__pydantic_config__ = {"extra": "allow"}  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue] - read by pydantic; written in the class body it upsets the type checkers
    return cls


def forbid_extra(cls: _T) -> _T:
    """Reject unknown keys; most of them are typing errors."""
    cls.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue] - as above
    return cls


class Limits:
    """Limits of a value, which pydantic supports as well; importing its own `Field` takes long.

    Args:
        limits: ``ge``, ``le`` or ``min_length``, as in the schemas of pydantic's core. ``pattern`` is not supported: it
            would swallow an exception from a signal handler and reject the value.
    """

    def __init__(self, **limits: Union[int, str]) -> None:
        self._limits = limits

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        return cast("CoreSchema", {**handler(source), **self._limits})


class Normalized:
    """Normalizes a valid value, like pydantic's `AfterValidator`.

    Args:
        normalize: Returns the normalized value.
    """

    def __init__(self, normalize: Callable[[Any], Any]) -> None:
        self._normalize = normalize

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        function: Any = {"type": "no-info", "function": self._normalize}
        return {"type": "function-after", "schema": handler(source), "function": function}


Timestamp = Annotated[str, Normalized(normalize_timestamp)]
Number = Union[int, float]
"""A number as the server sent it: 5 stays 5, 5.0 stays 5.0."""

NonEmptyStr = Annotated[str, Limits(min_length=1)]
FolderPath = Annotated[str, Normalized(normalize_folder)]
"""A folder as an argument."""
Importance = Annotated[int, Limits(ge=1, le=10)]
PositiveU32 = Annotated[int, Limits(ge=1, le=2**32 - 1)]
Offset = Annotated[int, Limits(ge=0, le=2**32 - 1)]
MinImportance = Union[Annotated[int, Limits(ge=0, le=10)], Annotated[float, Limits(ge=0, le=10)]]
MinScore = Union[Annotated[int, Limits(ge=0, le=1)], Annotated[float, Limits(ge=0, le=1)]]
Days = Annotated[int, Limits(ge=0, le=36500)]
Budget = Annotated[int, Limits(ge=0, le=2**53)]
NonBlankStr = Annotated[str, Normalized(check_not_blank)]
"""Text that is not blank."""
