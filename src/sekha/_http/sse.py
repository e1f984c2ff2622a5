"""Server-sent events from bytes, wherever those are split (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import NamedTuple


class Event(NamedTuple):
    """One event: its data, and its name if it has one."""

    data: str
    name: str = ""


class EventTooLong(ValueError):
    """An event is longer than allowed."""


class EventDecoder:
    """Collects bytes, and yields the events that they complete.

    Args:
        limit: Bytes that one event may have.
    """

    def __init__(self, limit: int = 64 * 1024 * 1024) -> None:
        self._limit = limit
        self._line: list[bytes] = []  # parts of the line that is not complete yet
        self._line_size = 0
        self._size = 0  # bytes of the lines that are kept for the event that is not complete yet
        self._after_cr = False
        self._at_start = True
        self._data: list[bytes] = []
        self._name = b""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that end in this chunk.

        Raises:
            EventTooLong: The event after those has more than ``limit`` bytes.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk[1:] if chunk[:1] == b"\n" else chunk
        lines = chunk.splitlines()  # of bytes: only at CR and LF, not at U+2028 or U+0085
        is_complete = chunk.endswith((b"\n", b"\r"))
        first = lines[0] if lines else b""
        self._line.append(first)
        self._line_size += len(first)
        self._check_size(self._line_size)  # before the parts are joined
        if not is_complete and len(lines) < 2:
            return
        self._after_cr = chunk.endswith(b"\r")
        lines[0] = self._join_line()
        rest = b"" if is_complete else lines.pop()
        self._line, self._line_size = [rest], len(rest)
        for line in lines:
            if line:
                self._add_line(line)
            elif (event := self._end_event()) is not None:
                yield event
        self._check_size(len(rest))

    def finish(self) -> list[Event]:
        """Return the event that was not complete when the bytes ended: servers omit the blank line after the last."""
        line = self._join_line()
        self._line = []
        if line:
            self._add_line(line)
        event = self._end_event()
        return [] if event is None else [event]

    def _join_line(self) -> bytes:
        line = b"".join(self._line)
        if self._at_start:
            self._at_start = False
            return line.removeprefix(BOM_UTF8)
        return line

    def _add_line(self, line: bytes) -> None:
        self._check_size(len(line))
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(line)
        elif field == b"event":
            self._name = value.removeprefix(b" ")
        # comments, id and retry do not concern the content

    def _check_size(self, line_size: int) -> None:
        """Refuse an event that is too long with another line; the result is the same wherever the bytes are split."""
        if self._size + line_size > self._limit:
            raise EventTooLong(f"an event is longer than {self._limit} bytes")

    def _end_event(self) -> Event | None:
        data, name = self._data, self._name
        if not data and name != b"error":
            self._name = b""
            return None
        self._data, self._name, self._size = [], b"", 0
        return Event(b"\n".join(data).decode("utf-8", "replace"), name.decode("utf-8", "replace"))
