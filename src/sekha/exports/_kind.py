"""The description of a kind of export, with its reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Optional

from sekha.exports._building import ReadConversation


def never(_data: object) -> bool:
    """Return False, for kinds that are not JSON."""
    return False


def has_keys(*names: str) -> Callable[[dict[str, Any]], bool]:
    """Return the condition that an object has all these keys."""

    def fits(data: dict[str, Any]) -> bool:
        return all(name in data for name in names)

    return fits


def begins_with(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    """Return the condition that a text begins with a pattern."""

    def fits(head: str) -> bool:
        return pattern.match(head) is not None

    return fits


class Kind(NamedTuple):
    """A kind of export.

    Attributes:
        name: Display name.
        fits: Returns whether an object of a file is of this kind.
        parse: Reads one conversation from an object and the requested folder.
        parse_several: Reads several conversations from an object and the requested folder.
        is_memory: Whether it is not a chat but a memory of an application, which is read only on request.
        application: The name of another kind with the same IDs; empty if there is none.
        parse_file: Reads a file whose objects are not conversations, from all objects and the requested folder.
        advice: Advice for a kind that is not supported.
        fits_text: Returns whether a file is of this kind, by the first characters of its text.
        parse_text: Reads such a file from chunks of its text and the requested folder.
        locate: Completes the result of `parse` with the position of the file and the requested folder.
    """

    name: str
    fits: Callable[[dict[str, Any]], bool]
    parse: Optional[Callable[[dict[str, Any], Optional[str]], ReadConversation]] = None
    parse_file: Optional[Callable[[Iterable[Any], Optional[str]], Iterator[ReadConversation]]] = None
    advice: str = ""
    fits_text: Callable[[str], bool] = never
    parse_text: Optional[Callable[[Iterable[str], Optional[str]], Iterator[ReadConversation]]] = None
    locate: Optional[Callable[[ReadConversation, str, Optional[str]], None]] = None
    parse_several: Optional[Callable[[dict[str, Any], Optional[str]], Iterator[ReadConversation]]] = None
    is_memory: bool = False
    application: str = ""

    @property
    def reads_objects(self) -> bool:
        """Whether an object is a complete conversation, or several."""
        return self.parse is not None or self.parse_several is not None

    @property
    def is_read(self) -> bool:
        """Whether there is a reader for it."""
        return self.reads_objects or self.parse_file is not None or self.parse_text is not None
