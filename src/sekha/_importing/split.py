"""Split conversations that are too large for one request into parts with complete messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sekha._api.compat.requests import MAX_BODY_BYTES, without_images
from sekha._api.model import to_json
from sekha.types import ImportFailure, ImportSplit

_MAX_ESCAPE = 6
"""Maximum number of bytes of a character in JSON, as in ``\\u0001``; in UTF-8, it is four."""
_MAX_PADDING = 3
"""Maximum number of spaces that a client adds before a message."""
_RESERVE = 300
"""Bytes for the number after the label, and for two dates."""


class Part(NamedTuple):
    """A part of a conversation: its number from 1, the number of parts, and the label of the conversation."""

    number: int
    total: int
    label: str


class TooLarge(Exception):
    """A message is larger than the request limit, so that its conversation cannot be split."""


def split_conversation(
    request: Mapping[str, Any], *, drop_images: bool = False, limit: int = MAX_BODY_BYTES
) -> list[dict[str, Any]]:
    """Split a conversation into parts that are not larger than the request limit.

    Args:
        request: The conversation, validated and complete.
        drop_images: Whether images may be dropped from messages if it is too large.
        limit: Maximum size of a request body in bytes.

    Returns:
        The parts; usually one.

    Raises:
        TooLarge: A single message is larger than the limit.
    """
    whole = dict(request)
    if not may_exceed(whole, limit):
        return [whole]
    room = limit - len(to_json({**whole, "messages": []})) - _RESERVE
    sizes = _sizes_of(whole["messages"])
    if sum(sizes) > room and drop_images:
        whole["messages"] = without_images(whole["messages"])
        sizes = _sizes_of(whole["messages"])
    if sum(sizes) <= room:
        return [whole]
    for i, (message, size) in enumerate(zip(whole["messages"], sizes)):
        if size > room:
            has_image = without_images([message]) != [message]
            advice = "; drop_images=True (--drop-images) omits the image in it" if has_image else ""
            raise TooLarge(f"messages[{i}] has {size:,} bytes; the limit for a request is {limit:,}{advice}")
    groups = _group(whole["messages"], sizes, room)
    return [
        {**whole, "label": f"{whole['label']} ({number} of {len(groups)})", "messages": messages}
        for number, messages in enumerate(groups, start=1)
    ]


def _group(messages: Sequence[Any], sizes: Sequence[int], room: int) -> list[list[Any]]:
    """Return the messages in groups, each as large as possible."""
    groups: list[list[Any]] = [[]]
    free = room
    for message, size in zip(messages, sizes):
        if size > free:
            groups.append([])
            free = room
        groups[-1].append(message)
        free -= size
    return groups


def _sizes_of(messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the size of each message in a request body in bytes, including the comma after it."""
    return [len(to_json(message)) + 1 + _MAX_PADDING for message in messages]


def may_exceed(conversation: Mapping[str, Any], limit: int = MAX_BODY_BYTES) -> bool:
    """Return False if a conversation is certainly small enough, without encoding it, which is slow."""
    return _MAX_ESCAPE * len(repr(conversation)) > limit - _RESERVE  # other values than strings are shorter in JSON


class SplitTally:
    """Counts the parts of a split conversation, which the report counts as one.

    Args:
        part: Any of its parts.
    """

    def __init__(self, part: Part) -> None:
        self._missing = part.total
        self._outcomes: set[str] = set()
        self._failures: list[ImportFailure] = []

    def add(self, outcome: str, failure: ImportFailure | None) -> bool:
        """Add a part; return whether it is the last one."""
        self._missing -= 1
        self._outcomes.add(outcome)
        if failure is not None:
            self._failures.append(failure)
        return self._missing == 0

    @property
    def outcome(self) -> str:
        """The outcome of the conversation: failed if a part failed, stored if a part was stored in this run."""
        return next((one for one in ("failed", "stored") if one in self._outcomes), "already_stored")

    @property
    def has_stored(self) -> bool:
        """Whether a part was stored in this run."""
        return "stored" in self._outcomes

    @property
    def failure(self) -> ImportFailure | None:
        """The failure of the first failed part, with the number of other failed parts."""
        if not self._failures:
            return None
        failure, *others = self._failures
        if others:
            failure["error"] += f" (and {len(others)} more of its parts)"
        failure["may_have_been_applied"] = any(one["may_have_been_applied"] for one in self._failures)
        return failure


def make_split(position: int, place: str | None, part: Part) -> ImportSplit:
    """Return the report entry of a split conversation."""
    return {"position": position, "place": place, "label": part.label, "parts": part.total}
