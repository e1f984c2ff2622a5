"""Filters for lists, search results, and messages of a context that servers do not apply."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, cast

from sekha._api.arguments import PINNED_IMPORTANCE, CountRequest, ListRequest
from sekha._api.compat.controller import get_citation
from sekha._api.validation import argument_error
from sekha.types import (
    ConversationListItem,
    Filters,
    MemoryStatsRequest,
    Message,
    SearchResult,
)
from sekha.types._base import normalize_timestamp

MIN_SEARCH_SIZE = 20
"""Minimum number of results that a filtered search requests."""

MAX_SEARCH_SIZE = 10_000
"""Maximum number of results that a filtered search requests."""

_SERVER_FILTERS = ("label", "labels", "folder", "min_importance", "start_date", "end_date")
"""The filters that are documented for the controller."""

_MAX_SENT_LENGTH = 300
"""Maximum characters of a label or folder in a URL, which servers limit to some kilobytes."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class Period(NamedTuple):
    """Period between two normalized timestamps; an empty one is no bound."""

    start: str = ""
    end: str = ""

    def contains(self, timestamp: str | None) -> bool:
        """Return whether a time is in the period, bounds included; an unknown time is outside of any bound."""
        if not self.start and not self.end:
            return True
        if not timestamp:
            return False
        normalized = normalize_timestamp(timestamp)
        return self.start <= normalized and (not self.end or normalized <= self.end)


def parse_period(start: str | None, end: str | None, prefix: str = "") -> Period:
    """Return the period between two ISO dates or times, in UTC unless they have a zone; an end date is inclusive.

    Raises:
        SekhaValidationError: A date is invalid, or the end is before the start.
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


class Confines(Protocol):
    """The view of a folder, as filters see it."""

    def contains(self, folder: object) -> bool:
        """Return whether a folder is inside."""
        ...


class ResultFilter(NamedTuple):
    """Conditions for search results; ``folders`` and ``excluded_folders`` include their subfolders."""

    labels: frozenset[str] | None = None
    excluded_labels: frozenset[str] = frozenset()
    folder: str | None = None
    subfolders: bool = False
    folders: tuple[str, ...] | None = None
    excluded_folders: tuple[str, ...] = ()
    min_importance: float | None = None
    archived: bool | None = None
    roles: frozenset[str] | None = None
    period: Period = Period()
    view: Confines | None = None

    @property
    def filters_anything(self) -> bool:
        """Whether there are any conditions."""
        return self != NO_CONDITIONS

    @property
    def needs_conversations(self) -> bool:
        """Whether a condition needs data that search results do not contain."""
        return self.min_importance is not None or self.archived is not None

    def keep(
        self, results: Iterable[SearchResult], conversations: Mapping[str, ConversationListItem]
    ) -> list[SearchResult]:
        """Return the results that meet all conditions, in their order.

        Args:
            results: The results of the server.
            conversations: All conversations by ID, if needed. A missing one counts as importance 0 and not archived.
        """
        if not self.filters_anything:
            return list(results)
        return [
            result
            for result in results
            if self._keeps_conversation(result, conversations.get(result["conversation_id"]))
            and self.keeps_message(result)
        ]

    def _keeps_conversation(self, result: SearchResult, conversation: ConversationListItem | None) -> bool:
        about: Mapping[str, Any] = cast("Any", conversation["metadata"]) if conversation is not None else {}
        folder = result["folder"]
        return (
            (self.view is None or self.view.contains(folder))
            and (self.labels is None or result["label"] in self.labels)
            and result["label"] not in self.excluded_labels
            and (self.folder is None or is_in_folder(folder, self.folder, subfolders=self.subfolders))
            and (self.folders is None or any(in_folder(folder, root) for root in self.folders))
            and not any(in_folder(folder, root) for root in self.excluded_folders)
            and (self.min_importance is None or (about.get("importance_score") or 0) >= self.min_importance)
            and (self.archived is None or (about.get("status") == "archived") == self.archived)
        )

    def keeps_message(self, result: SearchResult) -> bool:
        """Return whether a result meets the conditions on the message itself, not on its conversation."""
        metadata = result.get("metadata") or {}
        return (self.roles is None or metadata.get("role") in self.roles) and self.period.contains(
            metadata.get("timestamp") or result["timestamp"]
        )


NO_CONDITIONS = ResultFilter()


def parse_filters(filters: Filters | None, prefix: str = "filters.") -> ResultFilter:
    """Return the filter for the filters of a request.

    Raises:
        SekhaValidationError: A date is invalid, or ``subfolders`` is given without ``folder``.
    """
    if not filters:
        return NO_CONDITIONS
    check_subfolders(filters, prefix)
    labels = frozenset(filters["labels"]) if "labels" in filters else None
    if "label" in filters:
        labels = frozenset([filters["label"]]) if labels is None else labels & {filters["label"]}
    return ResultFilter(
        labels=labels,
        excluded_labels=frozenset(filters.get("exclude_labels", ())),
        folder=filters.get("folder"),
        subfolders=filters.get("subfolders", False),
        min_importance=filters.get("min_importance"),
        archived=filters.get("archived"),
        roles=frozenset(filters["roles"]) if "roles" in filters else None,
        period=parse_period(filters.get("start_date"), filters.get("end_date"), prefix),
    )


def check_subfolders(request: Mapping[str, object], prefix: str = "") -> None:
    """Raise a `SekhaValidationError` if ``subfolders`` is given without ``folder``."""
    if "subfolders" in request and "folder" not in request:
        raise argument_error(f"{prefix}subfolders", "requires a folder")


def server_filters(filters: Filters) -> dict[str, Any]:
    """Return the filters that a server can apply; it does not support subfolders or an empty list of labels."""
    sent = {name: value for name, value in filters.items() if name in _SERVER_FILTERS and value != []}
    if filters.get("subfolders"):
        sent.pop("folder", None)
    return sent


def split_by_score(results: Sequence[SearchResult], min_score: float | None) -> tuple[list[SearchResult], int | None]:
    """Return the results with a sufficient score, and the number of the others; None without a minimum."""
    if min_score is None:
        return list(results), None
    kept = [result for result in results if result["score"] >= min_score]
    return kept, len(results) - len(kept)


def ends_below(results: Sequence[SearchResult], min_score: float | None) -> bool:
    """Return whether the last result, and therefore any further one, has too low a score."""
    return min_score is not None and bool(results) and results[-1]["score"] < min_score


def search_sizes(wanted: int) -> Iterator[int]:
    """Yield the numbers of results to request: four times the limit, then ten times as many each time.

    At least 20, and at most 10,000 unless more results are requested.
    """
    size = max(wanted, min(max(MIN_SEARCH_SIZE, 4 * wanted), MAX_SEARCH_SIZE))
    yield size
    while size < MAX_SEARCH_SIZE:
        size = min(10 * size, MAX_SEARCH_SIZE)
        yield size


def is_in_folder(folder: str, root: str, *, subfolders: bool) -> bool:
    """Return whether a folder is ``root``, or optionally below it."""
    return folder == root or (subfolders and in_folder(folder, root))


def in_folder(folder: str, root: str) -> bool:
    """Return whether a folder is ``root`` or below it; ``/workshop`` is not below ``/work``."""
    root = root.rstrip("/")
    return folder == root or folder.startswith(root + "/") or (not root and folder.startswith("/"))


def list_filter(request: ListRequest) -> Callable[[ConversationListItem], bool] | None:
    """Return the filter of a list; None if it matches all conversations. Dates are compared with the last update.

    Raises:
        SekhaValidationError: A date is invalid, or the end is before the start.
    """
    changed = parse_period(request.get("start_date"), request.get("end_date"))
    label, folder, subfolders = request.get("label"), request.get("folder"), request.get("subfolders", False)
    pinned, archived = request.get("pinned"), request.get("archived")
    if changed == Period() and all(condition is None for condition in (label, folder, pinned, archived)):
        return None

    def keep(row: ConversationListItem) -> bool:
        metadata = row["metadata"]
        return (
            (label is None or row["label"] == label)
            and (folder is None or is_in_folder(row["folder"], folder, subfolders=subfolders))
            and (pinned is None or ((metadata.get("importance_score") or 0) >= PINNED_IMPORTANCE) == pinned)
            and (archived is None or (metadata.get("status") == "archived") == archived)
            and changed.contains(row["timestamp"])
        )

    return keep


class ListFilters(NamedTuple):
    """Filters of a list that a controller can apply.

    Attributes:
        sent: The query parameters.
        are_all: Whether these are all conditions of the list.
    """

    sent: Mapping[str, Any] = {}
    are_all: bool = False


def list_filters(request: Mapping[str, Any], *, is_confined: bool = False) -> ListFilters:
    """Return the filters for the arguments of a list; servers support neither subfolders, dates nor parts of a label.

    Args:
        request: The arguments.
        is_confined: Whether the list is that of a view, which is a condition by itself if there is no folder.
    """
    sent = {name: request[name] for name in ("label", "folder", "pinned", "archived") if name in request}
    if request.get("subfolders"):
        sent.pop("folder", None)
    if any(len(value) > _MAX_SENT_LENGTH for value in sent.values() if isinstance(value, str)):
        return ListFilters()
    conditions = {name for name, value in request.items() if value is not False or name in ("pinned", "archived")}
    is_inside = not is_confined or "folder" in sent
    return ListFilters(sent, is_inside and conditions - {"page", "page_size"} == set(sent))


def count_filter(request: CountRequest) -> Callable[[ConversationListItem], bool]:
    """Return the filter for a local count; parts of a label are case-insensitive, like on servers.

    Raises:
        SekhaValidationError: There is more than one condition.
    """
    conditions = sorted(set(request) - {"subfolders"})
    if len(conditions) > 1:
        raise argument_error(" and ".join(conditions), "only one of these can be given")
    part, subfolders = request.get("label_contains", "").casefold(), request.get("subfolders", False)

    def keep(row: ConversationListItem) -> bool:
        return (
            ("label" not in request or row["label"] == request["label"])
            and ("folder" not in request or is_in_folder(row["folder"], request["folder"], subfolders=subfolders))
            and part in row["label"].casefold()
        )

    return keep


def stats_filter(request: MemoryStatsRequest) -> Callable[[ConversationListItem], bool]:
    """Return the filter for statistics; dates are compared with the last update.

    Raises:
        SekhaValidationError: A date is invalid, or ``subfolders`` is given without ``folder``.
    """
    check_subfolders(request)
    labels = frozenset(request["labels"]) if "labels" in request else None
    changed = parse_period(request.get("start_date"), request.get("end_date"))
    subfolders = request.get("subfolders", False)

    def keep(row: ConversationListItem) -> bool:
        return (
            ("folder" not in request or is_in_folder(row["folder"], request["folder"], subfolders=subfolders))
            and ("label" not in request or row["label"] == request["label"])
            and (labels is None or row["label"] in labels)
            and changed.contains(row["timestamp"])
        )

    return keep


def excluded_prefixes(excluded_folders: Iterable[str]) -> list[str]:
    """Return excluded folders for controller 0.1, which compares prefixes: ``/al`` is a prefix of ``/alice``.

    The folders themselves are then not excluded by the server, but by `exclude_folders`.
    """
    return [f"{folder.rstrip('/')}/" for folder in excluded_folders]


def exclude_folders(context: Iterable[Message], excluded_folders: Sequence[str]) -> list[Message]:
    """Return the messages of a context that are not from these folders or their subfolders."""
    return [
        message
        for message in context
        if not any(
            in_folder(str(get_citation(cast("Mapping[str, Any]", message)).get("folder") or ""), root)
            for root in excluded_folders
        )
    ]
