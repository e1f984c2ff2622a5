"""What the reader of a kind of export says of itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Optional

from sekha.exports._building import ReadConversation


def never(_data: object) -> bool:
    """Return False: for kinds that are no JSON."""
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
        name: What it is called for people.
        fits: Whether an object of a file is of this kind.
        parse: Reads one conversation: an object, and the folder that was asked for.
        parse_several: Reads an object that becomes several conversations: it, and the folder.
        is_memory: Whether it is no chat, but what an application remembers: that is read only when asked for.
        application: The name of the kind whose ids are the same as those of this one; empty if it is the only one.
        parse_file: Reads a file whose objects are not conversations: all of them, and the folder.
        advice: What to do with a kind that is not read.
        fits_text: Whether a file is of this kind, by the first characters of its text.
        parse_text: Reads such a file: its text in pieces, and the folder.
        locate: Completes what `parse` has returned by the place of the file, for people, and the folder.
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
        """Whether an object is a whole conversation, or several."""
        return self.parse is not None or self.parse_several is not None

    @property
    def is_read(self) -> bool:
        """Whether there is a reader for it."""
        return self.reads_objects or self.parse_file is not None or self.parse_text is not None
