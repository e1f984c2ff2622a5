"""Conversations that are larger than servers accept: they are stored in parts, each with whole messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sekha._api.compat.requests import MAX_BODY_BYTES, without_images
from sekha._api.model import to_json
from sekha.types import ImportFailure, ImportSplit

_MAX_ESCAPE = 6
"""Bytes of JSON that one character may need: ``\\u0001``; in UTF-8 it is four at most."""
_MAX_PADDING = 3
"""Spaces that a client may put in front of a message."""
_RESERVE = 300
"""Bytes for the number behind the label, and for two dates."""


class Part(NamedTuple):
    """Which part of a conversation it is: its number from 1, how many there are, and the label of the whole."""

    number: int
    total: int
    label: str


class TooLarge(Exception):
    """A message is larger than servers accept, so that its conversation cannot be split."""


def split_conversation(
    request: Mapping[str, Any], *, drop_images: bool = False, limit: int = MAX_BODY_BYTES
) -> list[dict[str, Any]]:
    """Return a conversation in parts of which none is larger than servers accept; mostly it is one.

    Args:
        request: What is to be stored, validated and complete.
        drop_images: Whether images that are part of its messages may be lost if it is too large.
        limit: Bytes of the body of a request.

    Raises:
        TooLarge: One message is larger than that.
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
            advice = "; an image is part of it, which drop_images leaves out" if has_image else ""
            raise TooLarge(f"messages[{i}] has {size:,} bytes, and servers accept {limit:,} for a conversation{advice}")
    groups = _group(whole["messages"], sizes, room)
    return [
        {**whole, "label": f"{whole['label']} ({number} of {len(groups)})", "messages": messages}
        for number, messages in enumerate(groups, start=1)
    ]


def _group(messages: Sequence[Any], sizes: Sequence[int], room: int) -> list[list[Any]]:
    """Return the messages in groups, each as large as it may be."""
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
    """Return the bytes of each message in the body of a request, with the comma behind it."""
    return [len(to_json(message)) + 1 + _MAX_PADDING for message in messages]


def may_exceed(conversation: Mapping[str, Any], limit: int = MAX_BODY_BYTES) -> bool:
    """Return False if a conversation is certainly small enough; encoding each of them would take far longer."""
    return _MAX_ESCAPE * len(repr(conversation)) > limit - _RESERVE  # whatever is no text is shorter in JSON


class SplitTally:
    """Counts the parts of a conversation that is stored in several: it is one in the report.

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
        """What became of the whole: it has failed if a part has, and is stored if a part was stored now."""
        return next((one for one in ("failed", "stored") if one in self._outcomes), "already_stored")

    @property
    def has_stored(self) -> bool:
        """Whether a part was stored now."""
        return "stored" in self._outcomes

    @property
    def failure(self) -> ImportFailure | None:
        """The failure of the first part that has failed, and how many more have."""
        if not self._failures:
            return None
        failure, *others = self._failures
        if others:
            failure["error"] += f" (and {len(others)} more of its parts)"
        failure["may_have_been_applied"] = any(one["may_have_been_applied"] for one in self._failures)
        return failure


def make_split(position: int, place: str | None, part: Part) -> ImportSplit:
    """Return the entry of the report for a conversation that is stored in parts."""
    return {"position": position, "place": place, "label": part.label, "parts": part.total}
