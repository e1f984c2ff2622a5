"""What servers do not filter is filtered here: conversations of a list, hits of a search, messages of a context."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar, cast

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

PINNED = 10
"""The importance of a pinned conversation."""

MAX_SEARCH_SIZE = 1000
"""Hits that a filtered search asks for at most."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class Period(NamedTuple):
    """Two moments, as regular time stamps; an empty one is no bound."""

    start: str = ""
    end: str = ""

    def holds(self, time: str | None) -> bool:
        """Whether a moment lies in the period, bounds included; an unknown moment does not, if there is a bound."""
        if not self.start and not self.end:
            return True
        if not time:
            return False
        moment = normalize_timestamp(time)
        return self.start <= moment and (not self.end or moment <= self.end)


def parse_period(start: str | None, end: str | None, prefix: str = "") -> Period:
    """A period from two ISO dates or date-times; without a zone they are UTC, and a date as ``end`` is its whole day.

    Raises:
        SekhaValidationError: One of them is no date, or they are the wrong way round.
    """
    result = Period(
        _moment(start, f"{prefix}start_date", "00:00:00") if start else "",
        _moment(end, f"{prefix}end_date", "23:59:59.999999") if end else "",
    )
    if result.start and result.end and result.end < result.start:
        raise argument_error(f"{prefix}end_date", "must not be before start_date")
    return result


def _moment(text: str, field: str, time_of_day: str) -> str:
    regular = normalize_timestamp(f"{text}T{time_of_day}" if _DATE.fullmatch(text) else text)
    try:
        if not regular.endswith("+00:00"):
            raise ValueError
        datetime.fromisoformat(regular)
    except ValueError:
        raise argument_error(field, "must be a date or time such as 2026-01-31 or 2026-01-31T09:30:00Z") from None
    return regular


class ResultFilter(NamedTuple):
    """Which hits of a search are wanted."""

    labels: frozenset[str] | None
    folder: str | None
    min_importance: float | None
    period: Period

    @property
    def filters_anything(self) -> bool:
        """Whether it filters anything."""
        return self != _EVERYTHING

    def keep(self, hits: Iterable[SearchResult], importance: Mapping[str, float]) -> list[SearchResult]:
        """The hits that pass, in their order.

        Args:
            hits: What the server found.
            importance: Importance by conversation id; needed for ``min_importance`` only.
        """
        return [
            hit
            for hit in hits
            if (self.labels is None or hit["label"] in self.labels)
            and (self.folder is None or hit["folder"] == self.folder)
            and (self.min_importance is None or importance.get(hit["conversation_id"], 0) >= self.min_importance)
            and self.period.holds((hit.get("metadata") or {}).get("timestamp") or hit["timestamp"])
        ]


_EVERYTHING = ResultFilter(None, None, None, Period())


def parse_filters(filters: Filters | None, prefix: str = "filters.") -> ResultFilter:
    """The filter that a request asks for; all given conditions must hold."""
    if not filters:
        return _EVERYTHING
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
    """How many hits a filtered search asks for: four times what is wanted, then, if that is too few, 1000."""
    first = max(wanted, min(4 * wanted, MAX_SEARCH_SIZE))
    return (first, MAX_SEARCH_SIZE) if first < MAX_SEARCH_SIZE else (first,)


def importance_by_id(rows: Iterable[ConversationListItem]) -> dict[str, float]:
    """The importance of each conversation of a list."""
    return {row["conversation_id"]: float(row["metadata"].get("importance_score") or 0) for row in rows}


def in_folder(folder: str, root: str) -> bool:
    """Whether a folder is ``root`` or lies below it; ``/work`` is not above ``/workshop``."""
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
    """What a list keeps; None where it keeps everything."""
    if not drop_unset(label=label, folder=folder, pinned=pinned, archived=archived):
        return None

    def keep(row: ConversationListItem) -> bool:
        metadata = row["metadata"]
        return (
            (label is None or row["label"] == label)
            and (folder is None or row["folder"] == folder or (subfolders and in_folder(row["folder"], folder)))
            and (pinned is None or ((metadata.get("importance_score") or 0) >= PINNED) == pinned)
            and (archived is None or (metadata.get("status") == "archived") == archived)
        )

    return keep


def stats_filter(request: MemoryStatsRequest) -> Callable[[ConversationListItem], bool]:
    """Which conversations statistics are about; dates compare the last change."""
    labels = frozenset(request["labels"]) if "labels" in request else None
    changed = parse_period(request.get("start_date"), request.get("end_date"))

    def keep(row: ConversationListItem) -> bool:
        return (
            ("folder" not in request or row["folder"] == request["folder"])
            and ("label" not in request or row["label"] == request["label"])
            and (labels is None or row["label"] in labels)
            and changed.holds(row["timestamp"])
        )

    return keep


def exclude_folders(context: Iterable[Message], excluded_folders: Sequence[str]) -> list[Message]:
    """The messages of a context that come from none of the folders, nor from below them."""
    return [
        message
        for message in context
        if not any(
            in_folder(str(get_citation(cast("Mapping[str, Any]", message)).get("folder") or ""), root)
            for root in excluded_folders
        )
    ]
