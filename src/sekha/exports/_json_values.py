"""Read JSON values from a long text, one after another, and continue after invalid ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Callable, cast

from sekha._utils.json_access import as_list, as_object
from sekha.exports._decoding import REPLACEMENT

_BLANK = re.compile(f"[ \t\r\n\ufeff{REPLACEMENT}]*")
_CANDIDATE = re.compile('[\\[,\n][ \t\r\n]*(?=\\{[ \t\r\n]*")')
"""Text before an object of a list, or of a line."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACED = re.compile(f"{REPLACEMENT}+")
_SUSPECT = re.compile(r"\\u(?:[dD]|0000)")
"""Escapes of surrogates and of NUL."""
_LONE = re.compile(
    r"\\(?:u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..\\)u[dD][c-fC-F]|\\u[dD]|u0000)", re.DOTALL
)
"""Escapes that may be lone surrogates; before a second backslash, this requires a closer check."""
_OVERLAP = 4096
"""Characters to keep at the end of a chunk, since a match may start there."""
_MAX_TOKEN = 40
"""Minimum number of characters for a literal or an escape; numbers may be longer."""
ENDS_EARLY = "unexpected end"
_MAX_REPAIRS = 100
_MAX_DIGITS = 20


class BrokenJSON(ValueError):
    """A text is not JSON here."""


class CutOff(BrokenJSON):
    """The text ends before the value does."""


class TooDeep(BrokenJSON):
    """The JSON has more levels than Python's parser supports (some hundred, in older versions)."""


class JSONValues:
    """Reads JSON values from chunks of text, and keeps only the current value in memory.

    It accepts control characters in strings, and missing or doubled commas. Lone surrogates are replaced by U+FFFD, and
    NUL characters are removed.

    Args:
        pieces: The chunks of text.

    Attributes:
        replaced: Number of replaced characters so far.
        unusable: Number of values such as NaN, and of numbers with more than 64 bits.
        line: The current line of the text, from 1.
    """

    def __init__(self, pieces: Iterator[str]) -> None:
        self.replaced = 0
        self.unusable = 0
        self.line = 1
        self._pieces = pieces
        self._text = ""
        self._at = 0
        self._is_whole = False
        self._unusable_here = 0
        self._decoder = json.JSONDecoder(strict=False, parse_constant=self._parse_constant, parse_int=self._parse_int)

    def peek(self) -> str:
        """Move to the next non-blank character, and return it; empty at the end."""
        while True:
            self._move_to(cast("re.Match[str]", _BLANK.match(self._text, self._at)).end())
            if self._at < len(self._text) or not self._read_more():
                return self._char(0)

    def skip(self) -> None:
        """Move after the next character."""
        self._move_to(min(self._at + 1, len(self._text)))

    def skip_line(self) -> None:
        """Move to the beginning of the next line."""
        while (end := self._text.find("\n", self._at)) < 0:
            self._move_to(len(self._text))
            if not self._read_more():
                return
        self._move_to(end + 1)

    def skip_all(self) -> None:
        """Move to the end."""
        while True:
            self._move_to(len(self._text))
            if not self._read_more():
                return

    def value(self) -> object:
        """Return the value at the position, and move after it.

        Raises:
            BrokenJSON: There is no valid value; the position is unchanged.
        """
        value, end = self._decode(self._at)
        if _SUSPECT.search(self._text, self._at, end) and _LONE.search(self._text, self._at, end):
            value = self._clean(value)
        self.unusable += self._unusable_here
        self._move_to(end)
        return value

    def enter(self, is_wanted: Callable[[str, object], bool]) -> list[tuple[str, object]] | None:
        """Move to the first wanted list in the current object; otherwise stay, and return None.

        Args:
            is_wanted: Returns whether a list is wanted, by its key and first item (None if it is empty or invalid).

        Returns:
            The keys and values before it.
        """
        offset = 1
        passed: list[tuple[str, object]] = []
        try:
            while True:
                offset = self._skip_blank(offset, ",")
                if self._char(offset) != '"':
                    return None
                key, end = self._decode(self._at + offset)
                offset = self._skip_blank(end - self._at, ":")
                if self._char(offset) == "[" and is_wanted(str(key), self._first_item(offset)):
                    self._move_to(self._at + offset)
                    return passed
                value, end = self._decode(self._at + offset)
                offset = end - self._at
                passed.append((str(key), value))
        except BrokenJSON:
            return None

    def is_list_of(self, is_wanted: Callable[[object], bool]) -> bool:
        """Return whether the first item of the current list is wanted, without moving."""
        return is_wanted(self._first_item(0))

    def _first_item(self, offset: int) -> object:
        offset = self._skip_blank(offset + 1)
        try:
            return self._decode(self._at + offset)[0]
        except BrokenJSON:
            return None

    def _skip_blank(self, offset: int, more: str = "") -> int:
        """Return the offset from the position to the next character that is neither blank nor in `more`."""
        while True:
            at = cast("re.Match[str]", _BLANK.match(self._text, self._at + offset)).end()
            offset = at - self._at
            if at < len(self._text):
                if not more or self._text[at] not in more:
                    return offset
                offset += 1
            elif not self._read_more():
                return offset

    def _char(self, offset: int) -> str:
        return self._text[self._at + offset : self._at + offset + 1]

    def items(self) -> Iterator[object]:
        """Yield the remaining items of the current list.

        Raises:
            BrokenJSON: An item is invalid; after `find`, call this again for the following items.
        """
        while (begin := self.peek()) != "]":
            if not begin:
                raise CutOff(ENDS_EARLY)
            if begin == ",":
                self.skip()
            else:
                yield self.value()
        self.skip()

    def find(self, is_wanted: Callable[[object], bool]) -> bool:
        """Move to the next complete and wanted object of a list or a line; return False if there is none."""
        while True:
            found = _CANDIDATE.search(self._text, self._at)
            if found is None:
                self._move_to(max(self._at, len(self._text) - _OVERLAP))
                if not self._read_more():
                    self._move_to(len(self._text))
                    return False
                continue
            self._move_to(found.end())
            if self._is_broken_soon():
                continue
            try:
                if is_wanted(self._decode(self._at)[0]):
                    return True
            except BrokenJSON:
                pass

    def _is_broken_soon(self) -> bool:
        """Return whether the value has an error in its first characters; errors far into a text are slow to locate."""
        piece = self._text[self._at : self._at + _OVERLAP]
        try:
            self._decoder.raw_decode(piece)
        except json.JSONDecodeError as error:
            is_cut = error.msg.startswith("Unterminated string") or error.pos >= len(piece) - _MAX_TOKEN
            return not is_cut and piece[error.pos] != REPLACEMENT
        except RecursionError:
            pass
        return False

    def _decode(self, at: int) -> tuple[object, int]:
        """Return the value at a position, and its end. The text before `self._at` may be dropped."""
        offset, repairs = at - self._at, 0
        while True:
            at, self._unusable_here = self._at + offset, 0
            try:
                value, end = self._decoder.raw_decode(self._text, at)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _MAX_TOKEN
                if is_cut and self._read_more():
                    continue
                if repairs < _MAX_REPAIRS and self._blank_out(error.pos):
                    repairs += 1
                    continue
                if error.msg.startswith("Unterminated string") or not self._text[error.pos :].strip():
                    raise CutOff(ENDS_EARLY) from None
                raise BrokenJSON(f"{error.msg} in line {self._line_at(error.pos)}") from None
            except RecursionError:
                raise TooDeep("nested too deeply") from None
            if end < len(self._text) or isinstance(value, (dict, list, str)) or not self._read_more():
                return cast(object, value), end

    def _blank_out(self, at: int) -> bool:
        """Replace invalid characters outside of strings by spaces; return whether there were any."""
        found = _REPLACED.match(self._text, at)
        if found is None:
            return False
        self._text = f"{self._text[:at]}{' ' * len(found[0])}{self._text[found.end() :]}"
        return True

    def _read_more(self) -> bool:
        """Drop the processed text, and read as much as is left; return False at the end."""
        if self._is_whole:
            return False
        pieces, size = [self._text[self._at :]], 0
        wanted = len(pieces[0])
        self._at = 0
        while size == 0 or size < wanted:
            piece = next(self._pieces, None)
            if piece is None:
                self._is_whole = True
                break
            pieces.append(piece)
            size += len(piece)
        self._text = "".join(pieces)
        return size > 0

    def _move_to(self, at: int) -> None:
        self.line = self._line_at(at)
        self._at = at

    def _line_at(self, at: int) -> int:
        if self._text.find("\n", self._at, at) < 0:  # faster than counting, and most files are one line
            return self.line
        return self.line + self._text.count("\n", self._at, at)

    def _parse_constant(self, _name: str) -> None:
        self._unusable_here += 1

    def _parse_int(self, digits: str) -> object:
        if len(digits) <= _MAX_DIGITS and -(2**63) <= (number := int(digits)) < 2**64:
            return number
        self._unusable_here += 1
        return float(digits)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            text, number = (value, 0) if value.isascii() else _SURROGATE.subn(REPLACEMENT, value)
            self.replaced += number
            return text.replace("\0", "")
        if (items := as_list(value)) is not None:
            return [self._clean(one) for one in items]
        if (found := as_object(value)) is not None:
            return {self._clean(key): self._clean(one) for key, one in found.items()}
        return value
