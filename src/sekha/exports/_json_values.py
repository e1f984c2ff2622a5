"""JSON values out of a long text, one after another, and how to go on behind those that are broken."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Callable, cast

from sekha._utils.json_access import as_list, as_object
from sekha.exports._decoding import REPLACEMENT

_BLANK = re.compile(f"[ \t\r\n\ufeff{REPLACEMENT}]*")
_CANDIDATE = re.compile('[\\[,\n][ \t\r\n]*(?=\\{[ \t\r\n]*")')
"""What stands before an object of a list, or of a line."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACED = re.compile(f"{REPLACEMENT}+")
_SUSPECT = re.compile(r"\\u(?:[dD]|0000)")
"""Escapes of surrogates and of NUL."""
_LONE = re.compile(
    r"\\(?:u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..\\)u[dD][c-fC-F]|\\u[dD]|u0000)", re.DOTALL
)
"""Those that may be half of a character; in front of a second backslash, nobody knows without looking."""
_OVERLAP = 4096
"""Characters that are kept at the end of a piece: what is searched may begin there."""
_MAX_TOKEN = 40
"""Characters of a literal or an escape, at least; those of numbers may be more."""
ENDS_EARLY = "unexpected end"
_MAX_REPAIRS = 100
_MAX_DIGITS = 20


class BrokenJSON(ValueError):
    """A text is not JSON here."""


class CutOff(BrokenJSON):
    """The text ends before the value does."""


class TooDeep(BrokenJSON):
    """It may be JSON, but it has more levels than Python's reader takes: some hundred, on older Pythons."""


class JSONValues:
    """Reads JSON values out of a text that comes in pieces, and keeps no more of it than the value at hand.

    It is lenient where that loses nothing: control characters in strings, missing and doubled commas. Halves of
    characters become U+FFFD, and NUL characters are left out.

    Args:
        pieces: The text.

    Attributes:
        replaced: How many characters were replaced so far.
        unusable: How many numbers were no numbers, or had more than 64 bits.
        line: The line of the text that is read, from 1.
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
        """Go to the next character that is not blank, and return it; empty at the end."""
        while True:
            self._move_to(cast("re.Match[str]", _BLANK.match(self._text, self._at)).end())
            if self._at < len(self._text) or not self._read_more():
                return self._char(0)

    def skip(self) -> None:
        """Go on behind the next character."""
        self._move_to(min(self._at + 1, len(self._text)))

    def skip_line(self) -> None:
        """Go to the begin of the next line."""
        while (end := self._text.find("\n", self._at)) < 0:
            self._move_to(len(self._text))
            if not self._read_more():
                return
        self._move_to(end + 1)

    def skip_all(self) -> None:
        """Go to the end."""
        while True:
            self._move_to(len(self._text))
            if not self._read_more():
                return

    def value(self) -> object:
        """Return the value that begins here, and go on behind it.

        Raises:
            BrokenJSON: There is none; the position is the same as before.
        """
        value, end = self._decode(self._at)
        if _SUSPECT.search(self._text, self._at, end) and _LONE.search(self._text, self._at, end):
            value = self._clean(value)
        self.unusable += self._unusable_here
        self._move_to(end)
        return value

    def enter(self, is_wanted: Callable[[str, object], bool]) -> list[tuple[str, object]] | None:
        """Go to the list that the object here is made for: to the first that is wanted; else stay, and return None.

        Args:
            is_wanted: Whether a list is, by its key and its first item; that is None if it is empty or broken.

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
        """Return whether the first item of the list here is wanted, and stay here."""
        return is_wanted(self._first_item(0))

    def _first_item(self, offset: int) -> object:
        offset = self._skip_blank(offset + 1)
        try:
            return self._decode(self._at + offset)[0]
        except BrokenJSON:
            return None

    def _skip_blank(self, offset: int, more: str = "") -> int:
        """Return the offset of the next character, from the position, that is not blank nor one of `more`."""
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
        """Yield the items up to the end of the list that the position is in.

        Raises:
            BrokenJSON: An item is broken; after `find`, call this again for those that follow.
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
        """Go to the next object of a list or of a line that is whole and wanted; return False if there is none."""
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
        """Return whether the value here is broken within a few characters: errors far into a text cost their place."""
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
        """Return the value at a position, and where it ends. What is before `self._at` may be dropped."""
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
        """Replace what is no character, outside of a string, by a blank; return whether there was any."""
        found = _REPLACED.match(self._text, at)
        if found is None:
            return False
        self._text = f"{self._text[:at]}{' ' * len(found[0])}{self._text[found.end() :]}"
        return True

    def _read_more(self) -> bool:
        """Read as much again as there is, and drop what is done; return False at the end."""
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
