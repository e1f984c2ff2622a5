"""The elements of an export file: the items of its list, its lines, or its single object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import IO, NamedTuple, Union

from sekha.exports._building import REPLACED
from sekha.exports._decoding import TextReader
from sekha.exports._json_values import BrokenJSON, CutOff, JSONValues, TooDeep
from sekha.exports._kind import Kind
from sekha.exports._kinds import find_kind
from sekha.types import UnreadableConversation

NO_JSON = "invalid JSON"
UNUSABLE = "unusable numbers"
_WRAPPERS = ("conversations", "chats")
"""Keys of lists of conversations, whatever is in them."""


class Element(NamedTuple):
    """An object of a file.

    Attributes:
        place: Its position, for messages.
        data: The object, or another value in its place.
        group: The number of its list; 0 if it is not in a list.
    """

    place: str
    data: object
    group: int = 0


ElementOrBroken = Union[Element, UnreadableConversation]


class Elements:
    """Reads the objects of a file, one after another.

    A file is a list, or has one object per line, or is one object; an object that contains a list is treated as the
    list. Invalid JSON is reported, and reading continues after it.

    Args:
        name: The display name of the file.
        file: The file, at its beginning.

    Attributes:
        kind: The kind of the file, once known: after invalid JSON, only objects of that kind are searched for.
        is_blank: Whether nothing was found so far.
        unread: Number of skipped parts of the object around the list, by kind.
        is_cut: Whether the file ended in the middle of an object.
    """

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self.kind: Kind | None = None
        self.is_blank = True
        self.unread: Counter[str] = Counter()
        self.is_cut = False
        self._name = name
        self._text = TextReader(file)
        self._values = JSONValues(iter(self._text))
        self._number = 0
        self._group = 0

    @property
    def left_out(self) -> dict[str, int]:
        """Number of invalid or skipped items so far, by kind."""
        counts = {REPLACED: self._text.replaced + self._values.replaced, UNUSABLE: self._values.unusable, **self.unread}
        return {kind: number for kind, number in counts.items() if number}

    def __iter__(self) -> Iterator[ElementOrBroken]:
        values, is_first = self._values, True
        while begin := values.peek():
            self.is_blank = False
            if begin == "[":
                yield from self._read_list()
            elif begin == "{" and is_first and self._enter_object():
                yield from self._read_list()
                yield from self._read_rest()
            elif begin == "{":
                yield self._read_object(is_first)
            elif begin == "," and not is_first:
                values.skip()
            else:
                yield self._not_json(values.line)
                values.skip_line()
            is_first = False

    def _enter_object(self) -> bool:
        """Move to the list of conversations in the current object, and count the parts before it; otherwise stay."""
        passed = self._values.enter(_is_list_of_conversations)
        for key, value in passed or ():
            self._leave_out(key, value)
        return passed is not None

    def _read_object(self, is_first: bool) -> ElementOrBroken:
        values, line = self._values, self._values.line
        try:
            data = values.value()
        except BrokenJSON as error:
            self.is_cut = self.is_cut or isinstance(error, CutOff)
            values.skip_line()
            return self._not_json(line, str(error) if isinstance(error, (CutOff, TooDeep)) else NO_JSON)
        is_alone = is_first and values.line > line and not values.peek()
        return Element(self._name if is_alone else f"{self._name}, line {line}", data)

    def _not_json(self, line: int, problem: str = NO_JSON) -> UnreadableConversation:
        return UnreadableConversation(f"{self._name}, line {line}", problem)

    def _read_list(self) -> Iterator[ElementOrBroken]:
        values = self._values
        values.skip()
        self._group += 1
        while True:
            try:
                for data in values.items():
                    self._number += 1
                    yield Element(f"{self._name}, conversation {self._number}", data, self._group)
                return
            except BrokenJSON as error:
                self.is_cut = self.is_cut or isinstance(error, CutOff)
                self._number += 1
                place, problem = f"{self._name}, conversation {self._number}", str(error)
            if not values.find(self._is_wanted):
                yield UnreadableConversation(place, f"invalid JSON; stopped reading here ({problem})")
                return
            yield UnreadableConversation(place, f"invalid JSON; this conversation was skipped ({problem})")

    def _read_rest(self) -> Iterator[ElementOrBroken]:
        """Read the parts of an object after its list of conversations."""
        values = self._values
        while (begin := values.peek()) and begin != "}":
            if begin == ",":
                values.skip()
                continue
            try:
                key = values.value()
                if values.peek() != ":":
                    raise BrokenJSON("missing colon")
                values.skip()
                if values.peek() == "[" and values.is_list_of(_is_conversation):
                    yield from self._read_list()
                else:
                    self._leave_out(str(key), values.value())
            except BrokenJSON as error:
                yield UnreadableConversation(self._name, f"invalid JSON after the conversations ({error})")
                values.skip_all()
        values.skip()

    def _leave_out(self, key: str, value: object) -> None:
        """Count a part of the object around a list of conversations, unless it is empty or a number."""
        if value and not isinstance(value, (int, float)):
            self.unread[f"{key[:60]!r} beside the conversations"] += 1

    def _is_wanted(self, data: object) -> bool:
        kind = find_kind(data)
        return kind is not None and (kind.reads_objects if self.kind is None else kind is self.kind)


def _is_conversation(item: object) -> bool:
    kind = find_kind(item)
    return kind is not None and kind.reads_objects


def _is_list_of_conversations(key: str, item: object) -> bool:
    kind = find_kind(item)
    is_part = kind is not None and kind.parse_file is not None  # for example, a message of the only conversation
    return _is_conversation(item) or (key in _WRAPPERS and not is_part)
