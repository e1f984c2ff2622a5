"""Records of the store: conversations, messages, filters and results."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple


class Conversation(NamedTuple):
    """A stored conversation; times are ``YYYY-MM-DDTHH:MM:SS.nnnnnnnnn`` in UTC."""

    id: str
    label: str
    folder: str
    status: str
    importance: int
    created_at: str
    updated_at: str
    message_count: int
    bytes: int


class Message(NamedTuple):
    """A stored message, with the fields of its conversation that filters and results need."""

    id: str
    conversation_id: str
    role: str
    content: str
    timestamp: str
    label: str
    folder: str
    status: str
    importance: int


class NewMessage(NamedTuple):
    """A message to store; without a timestamp, it gets the current time."""

    role: str
    content: str
    timestamp: Optional[str] = None


class Dates(NamedTuple):
    """Creation and update time of a conversation (None for the current time), and its status."""

    created_at: Optional[str] = None
    updated_at: Optional[str] = None
    status: str = "active"


NO_DATES = Dates()


class SearchResult(NamedTuple):
    """A search result with its score: the similarity (0 to 1); in controller 0.1, the distance."""

    score: float
    message: Message


class PruneCandidate(NamedTuple):
    """A conversation that was not updated for a long time, with a recommendation."""

    conversation: Conversation
    tokens: int
    preview: str
    recommendation: str


class Pruning(NamedTuple):
    """Conversations that could be archived: the first candidates, and number and tokens of all candidates."""

    candidates: List[PruneCandidate]
    total: int
    tokens: int


class Statistics(NamedTuple):
    """Counts of conversations and messages that match a filter, with their labels and folders in order."""

    conversations: int
    messages: int
    average_importance: float
    labels: List[str]
    folders: List[str]


class NotFound(Exception):
    """There is no conversation with this ID."""


class Filter(NamedTuple):
    """A filter of conversations and their messages; None matches any value."""

    labels: Optional[Sequence[str]] = None
    folder: Optional[str] = None
    status: Optional[str] = None
    not_status: Optional[str] = None
    min_importance: Optional[float] = None
    below_importance: Optional[float] = None
    start: Optional[str] = None
    end: Optional[str] = None

    def intersect(self, other: Filter) -> Filter:
        """Return a filter that requires both filters to match."""
        labels = other.labels if self.labels is None else self.labels
        if self.labels is not None and other.labels is not None:
            labels = [label for label in self.labels if label in other.labels]
        disjoint = None not in (self.folder, other.folder) and self.folder != other.folder
        return self._replace(
            labels=[] if disjoint else labels,
            folder=self.folder if other.folder is None else other.folder,
            min_importance=max((x for x in (self.min_importance, other.min_importance) if x is not None), default=None),
            start=max((x for x in (self.start, other.start) if x is not None), default=None),
            end=min((x for x in (self.end, other.end) if x is not None), default=None),
        )

    def where(self, time_column: str) -> Tuple[str, List[Any]]:
        """Return the SQL condition and its parameters; times are compared with ``time_column``."""
        tests: List[Tuple[str, Any]] = [
            ("c.folder = ?", self.folder),
            ("c.status = ?", self.status),
            ("c.status <> ?", self.not_status),
            ("c.importance >= ?", self.min_importance),
            ("c.importance < ?", self.below_importance),
            (f"{time_column} >= ?", self.start),
            (f"{time_column} <= ?", self.end),
        ]
        used = [(test, value) for test, value in tests if value is not None]
        parts, values = [test for test, _ in used], [value for _, value in used]
        if self.labels is not None:
            parts.append("c.label IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(self.labels)))
        return " AND ".join(parts) or "1", values


def format_timestamp(nanoseconds: int) -> str:
    """Format a time for the store: UTC, nine digits, no zone, so that strings sort by time."""
    seconds, fraction = divmod(max(0, min(nanoseconds, 253_402_300_799 * 10**9)), 10**9)
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}"
