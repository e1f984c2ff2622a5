"""Decode the text of an export: any Unicode encoding, with U+FFFD for invalid bytes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import IO

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_CHUNK = 256 * 1024
_ENCODINGS = (  # UTF-32 first: its byte order mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WITHOUT_MARK = (  # JSON and HTML begin with two ASCII characters
    (re.compile(rb"[^\0]\0\0\0[^\0]\0\0\0", re.DOTALL), "utf-32-le"),
    (re.compile(rb"\0\0\0[^\0]\0\0\0[^\0]", re.DOTALL), "utf-32-be"),
    (re.compile(rb"[^\0]\0[^\0]\0", re.DOTALL), "utf-16-le"),
    (re.compile(rb"\0[^\0]\0[^\0]", re.DOTALL), "utf-16-be"),
)
_CONTROLS = bytes(one for one in range(32) if one not in b"\t\n\r")
_CONTROL = re.compile(f"[{re.escape(_CONTROLS.decode())}]")
_SURROGATES = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]|\xed[\xa0-\xbf][\x80-\xbf]")
_PAIR = 6  # bytes


def _repair(error: UnicodeError) -> tuple[str, int]:
    """Return the replacement for invalid UTF-8, and where decoding continues; combine encoded surrogate pairs."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    found = _SURROGATES.match(error.object, error.start)
    if found is None:
        return REPLACEMENT, error.end
    if len(found[0]) < _PAIR:
        return REPLACEMENT, found.end()
    pair = found[0].decode("utf-8", "surrogatepass")
    return pair.encode("utf-16-le", "surrogatepass").decode("utf-16-le"), found.end()


codecs.register_error("sekha-repair", _repair)


class TextReader:
    """Reads a file as text, in chunks.

    Supports UTF-8, UTF-16 and UTF-32, with or without byte order marks. Invalid bytes, and control characters except
    tabs and line ends, are replaced by U+FFFD.

    Args:
        file: The file, at its beginning.

    Attributes:
        replaced: Number of replaced characters so far.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.replaced = 0
        self._file = file

    def __iter__(self) -> Iterator[str]:
        data = self._file.read(_CHUNK)
        encoding = _encoding_of(data)
        errors = "sekha-repair" if encoding == "utf-8" else "replace"
        decoder = codecs.getincrementaldecoder(encoding)
        strict, held, is_first = decoder("strict"), b"", True
        while data or held:
            is_last = not data
            data, held = held + data, b""
            at = -1 if is_last or encoding != "utf-8" else data.find(b"\xed", max(len(data) - _PAIR + 1, 0))
            if at >= 0:  # it may be one of two surrogates, of which the other one is not read yet
                at = max(at - 3, 0) if data[max(at - 3, 0) : at].startswith(b"\xed") else at
                data, held = data[:at], data[at:]
            state = strict.getstate()
            try:
                text = strict.decode(data, is_last)
            except UnicodeDecodeError:
                repairing, ignoring = decoder(errors), decoder("ignore")
                repairing.setstate(state)
                ignoring.setstate(state)
                text = repairing.decode(data, is_last)
                self.replaced += text.count(REPLACEMENT) - ignoring.decode(data, is_last).count(REPLACEMENT)
                strict.setstate(repairing.getstate())
            if encoding != "utf-8" or len(data.translate(None, _CONTROLS)) != len(data):
                text, number = _CONTROL.subn(REPLACEMENT, text)
                self.replaced += number
            if is_first:
                text = text.lstrip("\ufeff")
            if text:
                is_first = False
                yield text
            data = b"" if is_last else self._file.read(_CHUNK)


def _encoding_of(data: bytes) -> str:
    marked = next((encoding for mark, encoding in _ENCODINGS if data.startswith(mark)), None)
    if marked is not None:
        return marked
    return next((encoding for begin, encoding in _WITHOUT_MARK if begin.match(data)), "utf-8")
