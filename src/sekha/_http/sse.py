"""Bytes become server-sent events, however they are cut (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

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
        lines = piece.splitlines()  # of bytes: at no other character than these, not at U+2028, not at U+0085
        ends = piece.endswith((b"\n", b"\r"))
        first = lines[0] if lines else b""
        self._line.append(first)
        self._line_size += len(first)
        self._check(self._line_size)  # before it is put together
        if not ends and len(lines) < 2:
            return
        self._after_cr = piece.endswith(b"\r")
        lines[0] = self._joined()
        rest = b"" if ends else lines.pop()
        self._line, self._line_size = [rest], len(rest)
        for line in lines:
            if line:
                self._take(line)
            elif (event := self._end_event()) is not None:
                yield event
        self._check(len(rest))

    def finish(self) -> list[Event]:
        """What had begun when the bytes ended: servers forget the blank line after the last event."""
        line = self._joined()
        self._line = []
        if line:
            self._take(line)
        event = self._end_event()
        return [] if event is None else [event]

    def _joined(self) -> bytes:
        """The line whose pieces were kept."""
        line = b"".join(self._line)
        if self._at_start:
            self._at_start = False
            return line.removeprefix(_BOM)
        return line

    def _take(self, line: bytes) -> None:
        """Take in a line that is not blank."""
        self._check(len(line))
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(line)
        elif field == b"event":
            self._name = value.removeprefix(b" ")
        # comments, id and retry say nothing about the answer

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
