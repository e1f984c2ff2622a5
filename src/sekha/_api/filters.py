"""Filters that servers do not apply: of lists, of search results, and of the messages of a context."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar, cast

from sekha._api.arguments import PINNED_IMPORTANCE
from sekha._api.compat.controller import get_citation
from sekha._api.validation import argument_error
from sekha._utils.sentinel import drop_unset
from sekha.types import (
    ConversationListItem,
    Filters,
    MemoryStatsRequest,
    Message,
    SearchResult,
)
from sekha.types._base import normalize_timestamp

T = TypeVar("T")

MAX_SEARCH_SIZE = 1000
"""Results that a filtered search requests at most."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class Period(NamedTuple):
    """Two normalized timestamps; an empty one is no bound."""

    start: str = ""
    end: str = ""

    def contains(self, timestamp: str | None) -> bool:
        """Return whether a time is in the period, bounds included; an unknown time is not, if there is a bound."""
        if not self.start and not self.end:
            return True
        if not timestamp:
            return False
        normalized = normalize_timestamp(timestamp)
        return self.start <= normalized and (not self.end or normalized <= self.end)


def parse_period(start: str | None, end: str | None, prefix: str = "") -> Period:
    """Return the period between two ISO dates or times, in UTC unless they have a zone; an end date is inclusive.

    Raises:
        SekhaValidationError: One of them is not a date, or the end is before the start.
    """
    result = Period(
        _parse_time(start, f"{prefix}start_date", "00:00:00") if start else "",
        _parse_time(end, f"{prefix}end_date", "23:59:59.999999") if end else "",
    )
    if result.start and result.end and result.end < result.start:
        raise argument_error(f"{prefix}end_date", "must not be before start_date")
    return result


def _parse_time(text: str, field: str, time_of_day: str) -> str:
    normalized = normalize_timestamp(f"{text}T{time_of_day}" if _DATE.fullmatch(text) else text)
    try:
        if not normalized.endswith("+00:00"):
            raise ValueError
        datetime.fromisoformat(normalized)
    except ValueError:
        raise argument_error(field, "must be a date or time such as 2026-01-31 or 2026-01-31T09:30:00Z") from None
    return normalized


class ResultFilter(NamedTuple):
    """The conditions that search results must meet."""

    labels: frozenset[str] | None
    folder: str | None
    min_importance: float | None
    period: Period

    @property
    def filters_anything(self) -> bool:
        """Whether there are any conditions."""
        return self != _NO_CONDITIONS

    def keep(self, results: Iterable[SearchResult], importance: Mapping[str, float]) -> list[SearchResult]:
        """Return the results that meet all conditions, in their order.

        Args:
            results: What the server found.
            importance: Importance by conversation id; needed for ``min_importance`` only.
        """
        return [
            result
            for result in results
            if (self.labels is None or result["label"] in self.labels)
            and (self.folder is None or result["folder"] == self.folder)
            and (self.min_importance is None or importance.get(result["conversation_id"], 0) >= self.min_importance)
            and self.period.contains((result.get("metadata") or {}).get("timestamp") or result["timestamp"])
        ]


_NO_CONDITIONS = ResultFilter(None, None, None, Period())


def parse_filters(filters: Filters | None, prefix: str = "filters.") -> ResultFilter:
    """Return the filter for the filters of a request."""
    if not filters:
        return _NO_CONDITIONS
    labels = frozenset(filters["labels"]) if "labels" in filters else None
    if "label" in filters:
        labels = frozenset([filters["label"]]) if labels is None else labels & {filters["label"]}
    return ResultFilter(
        labels,
        filters.get("folder"),
        filters.get("min_importance"),
        parse_period(filters.get("start_date"), filters.get("end_date"), prefix),
    )


def search_sizes(wanted: int) -> Sequence[int]:
    """Return how many results a filtered search requests: four times what is wanted, then, if that is too few, 1000."""
    first = max(wanted, min(4 * wanted, MAX_SEARCH_SIZE))
    return (first, MAX_SEARCH_SIZE) if first < MAX_SEARCH_SIZE else (first,)


def importance_by_id(rows: Iterable[ConversationListItem]) -> dict[str, float]:
    """Return the importance of each conversation of a list."""
    return {row["conversation_id"]: float(row["metadata"].get("importance_score") or 0) for row in rows}


def in_folder(folder: str, root: str) -> bool:
    """Return whether a folder is ``root`` or below it; ``/workshop`` is not below ``/work``."""
    root = root.rstrip("/")
    return folder == root or folder.startswith(root + "/") or (not root and folder.startswith("/"))


def conversation_filter(
    *,
    label: str | None = None,
    folder: str | None = None,
    pinned: bool | None = None,
    archived: bool | None = None,
    subfolders: bool = False,
) -> Callable[[ConversationListItem], bool] | None:
    """Return the filter of a list; None if it keeps all conversations."""
    if not drop_unset(label=label, folder=folder, pinned=pinned, archived=archived):
        return None

    def keep(row: ConversationListItem) -> bool:
        metadata = row["metadata"]
        return (
            (label is None or row["label"] == label)
            and (folder is None or row["folder"] == folder or (subfolders and in_folder(row["folder"], folder)))
            and (pinned is None or ((metadata.get("importance_score") or 0) >= PINNED_IMPORTANCE) == pinned)
            and (archived is None or (metadata.get("status") == "archived") == archived)
        )

    return keep


def stats_filter(request: MemoryStatsRequest) -> Callable[[ConversationListItem], bool]:
    """Return the filter for statistics; dates are compared with the last update."""
    labels = frozenset(request["labels"]) if "labels" in request else None
    changed = parse_period(request.get("start_date"), request.get("end_date"))

    def keep(row: ConversationListItem) -> bool:
        return (
            ("folder" not in request or row["folder"] == request["folder"])
            and ("label" not in request or row["label"] == request["label"])
            and (labels is None or row["label"] in labels)
            and changed.contains(row["timestamp"])
        )

    return keep


def exclude_folders(context: Iterable[Message], excluded_folders: Sequence[str]) -> list[Message]:
    """Return the messages of a context that are not from these folders, nor from folders below them."""
    return [
        message
        for message in context
        if not any(
            in_folder(str(get_citation(cast("Mapping[str, Any]", message)).get("folder") or ""), root)
            for root in excluded_folders
        )
    ]
