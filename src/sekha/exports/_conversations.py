"""Postprocessing of conversations: combine several of a file, add months to folders, and merge counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Callable, Union, cast

from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._times import is_moment
from sekha.types import CreateConversationRequest, UnreadableConversation
from sekha.types._base import normalize_timestamp

ExportItem = Union[CreateConversationRequest, UnreadableConversation]
"""An item of `read_export` or `read_notes`."""


def read_each(readers: Iterable[Callable[[], ReadConversation]]) -> Iterator[ReadConversation]:
    """Yield the conversations of readers; raise errors after the last one, so that all others are read.

    Raises:
        Unreadable: Some of the conversations cannot be read.
    """
    problems: list[str] = []
    for read in readers:
        try:
            found = read()
        except Unreadable as error:
            problems.append(str(error))
        else:
            yield found
    if problems:
        more = f", and {len(problems) - 1:,} more in this file cannot be read" if len(problems) > 1 else ""
        raise Unreadable(problems[0] + more)


def put_in_month(conversation: ReadConversation) -> None:
    """Append the month (UTC) of a conversation, or of its first message, to its folder."""
    times = [conversation.created_at, *(message.get("timestamp") for message in conversation["messages"])]
    moments = (normalize_timestamp(time) for time in times if time)
    month = next((f"{moment[:4]}/{moment[5:7]}" for moment in moments if is_moment(moment)), None)
    if month is not None:
        conversation.undated_folder = folder = str(conversation.get("folder") or "")
        conversation["folder"] = f"{folder.rstrip('/')}/{month}" if folder else month


def add_counts(total: dict[str, int], counts: object) -> None:
    """Add counts by kind; ignore other values."""
    if isinstance(counts, Mapping):
        for kind, number in cast("Mapping[str, int]", counts).items():
            total[kind] = total.get(kind, 0) + number
