"""Filters that servers do not apply: of lists, of search results, and of the messages of a context."""

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
"""Results that a filtered search requests at least."""

MAX_SEARCH_SIZE = 10_000
"""Results that a filtered search requests at most."""

_SERVER_FILTERS = ("label", "labels", "folder", "min_importance", "start_date", "end_date")
"""The filters that are documented for the controller."""

_MAX_SENT_LENGTH = 300
"""Characters of a label or folder that is sent as part of an address, which servers limit to some kilobytes."""

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


class Confines(Protocol):
    """The view of a folder, as filters see it."""

    def contains(self, folder: object) -> bool:
        """Return whether a folder is inside."""
        ...


class ResultFilter(NamedTuple):
    """The conditions that search results must meet; ``folders`` and ``excluded_folders`` include what is below them."""

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
        """Whether a condition is about something that no search result tells."""
        return self.min_importance is not None or self.archived is not None

    def keep(
        self, results: Iterable[SearchResult], conversations: Mapping[str, ConversationListItem]
    ) -> list[SearchResult]:
        """Return the results that meet all conditions, in their order.

        Args:
            results: What the server found.
            conversations: All conversations by id, if they are needed. One that is not there has importance 0 and is
                not archived.
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
        """Return whether a result meets the conditions about the message itself, not about its conversation."""
        metadata = result.get("metadata") or {}
        return (self.roles is None or metadata.get("role") in self.roles) and self.period.contains(
            metadata.get("timestamp") or result["timestamp"]
        )


NO_CONDITIONS = ResultFilter()


def parse_filters(filters: Filters | None, prefix: str = "filters.") -> ResultFilter:
    """Return the filter for the filters of a request.

    Raises:
        SekhaValidationError: A date is none, or ``subfolders`` is given without ``folder``.
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
    """Return the filters that a server may apply as well; it knows no subfolders, and takes no label for any."""
    sent = {name: value for name, value in filters.items() if name in _SERVER_FILTERS and value != []}
    if filters.get("subfolders"):
        sent.pop("folder", None)
    return sent


def split_by_score(results: Sequence[SearchResult], min_score: float | None) -> tuple[list[SearchResult], int | None]:
    """Return the results whose score is high enough, and the number of the others; None if any score is."""
    if min_score is None:
        return list(results), None
    kept = [result for result in results if result["score"] >= min_score]
    return kept, len(results) - len(kept)


def ends_below(results: Sequence[SearchResult], min_score: float | None) -> bool:
    """Return whether the last result, and so each that would follow it, has too low a score."""
    return min_score is not None and bool(results) and results[-1]["score"] < min_score


def search_sizes(wanted: int) -> Iterator[int]:
    """Yield how many results a filtered search requests: four times what is wanted, then ten times as many each time.

    It is 20 at least, and 10,000 at most, unless more are wanted.
    """
    size = max(wanted, min(max(MIN_SEARCH_SIZE, 4 * wanted), MAX_SEARCH_SIZE))
    yield size
    while size < MAX_SEARCH_SIZE:
        size = min(10 * size, MAX_SEARCH_SIZE)
        yield size


def is_in_folder(folder: str, root: str, *, subfolders: bool) -> bool:
    """Return whether a folder is ``root``, or perhaps below it."""
    return folder == root or (subfolders and in_folder(folder, root))


def in_folder(folder: str, root: str) -> bool:
    """Return whether a folder is ``root`` or below it; ``/workshop`` is not below ``/work``."""
    root = root.rstrip("/")
    return folder == root or folder.startswith(root + "/") or (not root and folder.startswith("/"))


def list_filter(request: ListRequest) -> Callable[[ConversationListItem], bool] | None:
    """Return the filter of a list; None if it keeps all conversations. Dates are compared with the last change.

    Raises:
        SekhaValidationError: A date is none, or the end is before the start.
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
    """The filters of a list that a controller may apply, too.

    Attributes:
        sent: The query parameters.
        are_all: Whether they are all conditions of the list.
    """

    sent: Mapping[str, Any] = {}
    are_all: bool = False


def list_filters(request: Mapping[str, Any], *, is_confined: bool = False) -> ListFilters:
    """Return the filters for the arguments of a list; servers know no subfolders and no dates, nor a part of a label.

    Args:
        request: The arguments.
        is_confined: Whether the list is that of a view: without a folder, the view itself is a condition.
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
    """Return the filter for a count that is made here; a part of a label is found in any case, as servers do it.

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
        SekhaValidationError: A date is none, or ``subfolders`` is given without ``folder``.
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
    """Return excluded folders as the controller 0.1 needs them: it compares prefixes, and ``/al`` is one of ``/alice``.

    It does not exclude the folders themselves then: `exclude_folders` does.
    """
    return [f"{folder.rstrip('/')}/" for folder in excluded_folders]


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
