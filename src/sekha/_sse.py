"""Bytes become server-sent events, however they are cut (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_LINE_END = re.compile(rb"\r\n|\r|\n")  # no other character ends a line: not U+2028, not U+0085
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its data, and its name where it has one."""

    data: str
    name: str = ""


class EventTooLong(ValueError):
    """An event is longer than allowed."""


class EventDecoder:
    """Collects bytes and gives the events that they complete.

    Args:
        limit: Bytes that one event may have.
    """

    def __init__(self, limit: int = 64 * 1024 * 1024) -> None:
        self._limit = limit
        self._line: list[bytes] = []  # pieces of the line that has not ended yet
        self._line_size = 0
        self._size = 0  # bytes of the lines that are kept for the event that has not ended yet
        self._after_cr = False
        self._at_start = True
        self._data: list[bytes] = []
        self._name = b""

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that end in this piece, one after another.

        Raises:
            EventTooLong: The event behind those has more than ``limit`` bytes.
        """
        if self._after_cr and piece:
            self._after_cr = False
            piece = piece[1:] if piece[:1] == b"\n" else piece
        found = _LINE_END.search(piece)
        if found is None:
            self._line.append(piece)
            self._line_size += len(piece)
            self._check(self._line_size)
            return
        self._after_cr = piece[-1:] == b"\r"
        self._check(self._line_size + found.start())  # before it is put together
        *lines, rest = _LINE_END.split(b"".join((*self._line, piece)))
        self._line, self._line_size = [rest], len(rest)
        for line in lines:
            event = self._end_line(line)
            if event is not None:
                yield event
        self._check(len(rest))

    def finish(self) -> list[Event]:
        """What had begun when the bytes ended: servers forget the blank line after the last event."""
        line = b"".join(self._line)
        self._line = []
        found = (self._end_line(line), self._end_line(b"")) if line else (self._end_line(b""),)
        return [event for event in found if event is not None]

    def _end_line(self, line: bytes) -> Event | None:
        """Take in a line; the event that it ends, if it does."""
        if self._at_start:
            self._at_start = False
            line = line[3:] if line.startswith(_BOM) else line
        if not line:
            return self._end_event()
        self._check(len(line))
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if field == b"data":
            self._data.append(value)
            self._size += len(line)
        elif field == b"event":
            self._name = value
        return None  # comments, id and retry say nothing about the answer

    def _check(self, line: int) -> None:
        """Refuse an event that is too long with a further line of that length; the same for every cut."""
        if self._size + line > self._limit:
            raise EventTooLong(f"an event is longer than {self._limit} bytes")

    def _end_event(self) -> Event | None:
        data, name = self._data, self._name
        if not data and name != b"error":
            self._name = b""
            return None
        self._data, self._name, self._size = [], b"", 0
        return Event(b"\n".join(data).decode("utf-8", "replace"), name.decode("utf-8", "replace"))
