"""What a file of an export holds: the items of its list, its lines, or its one object."""

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

NO_JSON = "it is no JSON"
UNUSABLE = "unusable numbers"
_WRAPPERS = ("conversations", "chats")
"""Keys of lists of conversations, whatever is in them."""


class Element(NamedTuple):
    """An object of a file.

    Attributes:
        place: Where it stands, for people.
        data: The object, or what stands in its place.
        group: The number of the list that it is in; 0 if it is in none.
    """

    place: str
    data: object
    group: int = 0


ElementOrBroken = Union[Element, UnreadableConversation]


class Elements:
    """Reads the objects of a file, one after another.

    A file is a list, or has one object in each line, or is one object; an object around a list counts as the list.
    What is broken is named, and reading goes on behind it.

    Args:
        name: The name of the file, for people.
        file: The file, at its beginning.

    Attributes:
        kind: The kind of the file, as soon as it is known: only objects of that kind are looked for behind what is
            broken.
        is_blank: Whether nothing was found so far.
        unread: How many parts of the object around the list were not read, by kind.
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
        """How much was broken or was not read so far, by kind."""
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
        """Go to the list of conversations that the object here has, and count what it has before; else stay."""
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
                yield UnreadableConversation(
                    place, f"the file is broken here, and what follows cannot be read ({problem})"
                )
                return
            yield UnreadableConversation(place, f"the file is broken here, and this conversation is lost ({problem})")

    def _read_rest(self) -> Iterator[ElementOrBroken]:
        """Read what an object has behind a list of conversations."""
        values = self._values
        while (begin := values.peek()) and begin != "}":
            if begin == ",":
                values.skip()
                continue
            try:
                key = values.value()
                if values.peek() != ":":
                    raise BrokenJSON("there is no colon")
                values.skip()
                if values.peek() == "[" and values.is_list_of(_is_conversation):
                    yield from self._read_list()
                else:
                    self._leave_out(str(key), values.value())
            except BrokenJSON as error:
                yield UnreadableConversation(self._name, f"the file is broken behind its conversations ({error})")
                values.skip_all()
        values.skip()

    def _leave_out(self, key: str, value: object) -> None:
        """Count a part of the object around a list of conversations, unless it is empty or a mere number."""
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
    is_part = kind is not None and kind.parse_file is not None  # such as a message of the one conversation
    return _is_conversation(item) or (key in _WRAPPERS and not is_part)
