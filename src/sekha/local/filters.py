"""The search filters that both the REST routes and the MCP tools accept."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any, List, Optional

from pydantic import AfterValidator, BeforeValidator
from typing_extensions import Annotated

from sekha.local.http import Body, is_object
from sekha.local.records import Filter

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9})\d*)?)?\s?(Z|[+-]\d\d:?\d\d)?", re.I
)


def normalize_timestamp(text: str) -> str:
    """Return a timestamp in the format of the store; the default zone is UTC, the default time midnight."""
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        raise ValueError("expected a timestamp such as 2026-01-31T09:30:00Z")
    date, time, fraction, zone = match.groups()
    offset = "+00:00" if zone is None or zone in "Zz" else f"{zone[:3]}:{zone[-2:]}"
    try:
        utc = datetime.fromisoformat(f"{date}T{time or '00:00'}{offset}").astimezone(timezone.utc)
    except OverflowError:
        raise ValueError("expected a timestamp in the years 1 to 9999 (UTC)") from None
    return f"{utc.replace(tzinfo=None).isoformat()}.{fraction or '':0<9}"


def _end_of_day(text: str) -> str:
    return normalize_timestamp(f"{text}T23:59:59.999999999" if len(text) == 10 else text)


StartTimestamp = Annotated[str, AfterValidator(normalize_timestamp)]
EndTimestamp = Annotated[str, AfterValidator(_end_of_day)]
"""The end of a period; a date includes its whole day."""


class Filters(Body):
    """Filters of conversations; all of them must match. An empty list of labels matches any label."""

    label: Optional[str] = None
    labels: Optional[List[str]] = None
    folder: Optional[str] = None
    min_importance: Optional[float] = None
    start_date: Optional[StartTimestamp] = None
    end_date: Optional[EndTimestamp] = None

    def to_store_filter(self, other: Optional[Filters] = None) -> Filter:
        """Return the filter of the store for these filters, combined with another object if passed."""
        result = Filter(
            folder=self.folder, min_importance=self.min_importance, start=self.start_date, end=self.end_date
        )
        for labels in (self.labels or None, None if self.label is None else [self.label]):
            result = result.intersect(Filter(labels=labels))
        return result if other is None else result.intersect(other.to_store_filter())


def _object_or_none(value: Any) -> Any:
    return value if is_object(value) else None


OptionalFilters = Annotated[Optional[Filters], BeforeValidator(_object_or_none)]
"""Filters inside a body; a value that is not an object is treated as no filter."""
