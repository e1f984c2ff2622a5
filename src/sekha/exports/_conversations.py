"""What is done with conversations that were read: several of one file, their months, and what was left out of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Callable, Union, cast

from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._times import is_moment
from sekha.types import CreateConversationRequest, UnreadableConversation
from sekha.types._base import normalize_timestamp

ExportItem = Union[CreateConversationRequest, UnreadableConversation]
"""What `read_export` and `read_notes` return, one after another."""


def read_each(readers: Iterable[Callable[[], ReadConversation]]) -> Iterator[ReadConversation]:
    """Yield what readers return. What one of them raises comes last, so that it costs none behind it.

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
        more = f", and {len(problems) - 1:,} more of the file cannot be read" if len(problems) > 1 else ""
        raise Unreadable(problems[0] + more)


def put_in_month(conversation: ReadConversation) -> None:
    """Add to the folder of a conversation the month in UTC in which it, or its first message, was written."""
    times = [conversation.created_at, *(message.get("timestamp") for message in conversation["messages"])]
    moments = (normalize_timestamp(time) for time in times if time)
    month = next((f"{moment[:4]}/{moment[5:7]}" for moment in moments if is_moment(moment)), None)
    if month is not None:
        conversation.undated_folder = folder = str(conversation.get("folder") or "")
        conversation["folder"] = f"{folder.rstrip('/')}/{month}" if folder else month


def add_counts(total: dict[str, int], counts: object) -> None:
    """Add what is counted by kind; nothing if it is no such thing."""
    if isinstance(counts, Mapping):
        for kind, number in cast("Mapping[str, int]", counts).items():
            total[kind] = total.get(kind, 0) + number
