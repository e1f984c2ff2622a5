"""Detect the kind of a file or folder from its beginning."""

from __future__ import annotations

import os
from functools import partial
from itertools import islice
from typing import IO, cast

from sekha.exports._containers import Verdict, archive_of, folder_of
from sekha.exports._decoding import TextReader
from sekha.exports._elements import Element, Elements
from sekha.exports._kind import Kind
from sekha.exports._kinds import find_kind, find_list_kind, find_text_kind
from sekha.exports._note_files import is_note
from sekha.exports._unsupported import LAST

_MAX_FIRST = 64 * 2**20
"""Maximum number of bytes to read of the first conversation to detect an export."""
_MAX_LOOK = 50
"""Maximum number of objects to check for the detection."""
_MAX_DEPTH = 3
"""Maximum nesting of archives to check."""
_HEAD = 4096
"""Number of characters to detect the kind of a text."""
_MAX_STYLES = 3
"""Maximum number of further chunks of HTML to check."""


class _Begin:
    """The beginning of a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = _MAX_FIRST

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


def judge(name: str, file: IO[bytes], *, with_memories: bool = False, depth: int = 0) -> Verdict:
    """Detect the kind of a file by its name, its beginning, or the contents of the archive.

    Args:
        name: The name of the file.
        file: The file, at its beginning.
        with_memories: Whether memories are treated as exports.
        depth: The number of archives that contain the file.

    Returns:
        The kind.

    Raises:
        SekhaConfigError: The file is a damaged archive.
    """
    base = name.rpartition("/")[2].lower()
    if base.startswith("conversations") and base.endswith(".json"):
        return Verdict.EXPORT
    with archive_of(file, name) as archive:
        if archive is not None:
            if depth == _MAX_DEPTH:
                return Verdict.UNKNOWN
            return archive.verdict(lambda name, file: judge(name, file, with_memories=with_memories, depth=depth + 1))
    kind, is_cut = _first_kind(file)
    if base.endswith(".zip") and (kind is None or not kind.is_read):
        return Verdict.BROKEN  # such as an HTML page that was saved instead
    if kind is None:
        return Verdict.BROKEN if is_cut and not is_note(name) else Verdict.UNKNOWN
    if kind in LAST and is_note(name):  # a note may start like a table
        return Verdict.UNKNOWN
    if kind.is_memory and not with_memories:
        return Verdict.MEMORY
    return Verdict.EXPORT if kind.is_read else Verdict.NAMED


def verdict_of(path: str, *, with_memories: bool = False) -> Verdict:
    """Return the kind of a file, or of the files of a folder."""
    look = partial(judge, with_memories=with_memories)
    try:
        if os.path.isdir(path):
            return folder_of(path, path).verdict(look)
        with open(path, "rb") as file:
            return look(os.path.basename(path), file)
    except Exception:
        return Verdict.BROKEN


def head_of(file: IO[bytes]) -> str:
    """Return the beginning of the text of a file, and rewind; read more of HTML, which starts with styles."""
    pieces = iter(TextReader(file))
    head = next(pieces, "")
    head = "".join((head, *islice(pieces, _MAX_STYLES))) if head.lstrip()[:1] == "<" else head[:_HEAD]
    file.seek(0)
    return head


def _first_kind(file: IO[bytes]) -> tuple[Kind | None, bool]:
    """Return the kind of a file, by its first objects or its text, and whether unexpected end of the first."""
    head = head_of(file)
    kind = find_text_kind(head)
    if kind is not None or head.lstrip()[:1] not in ("[", "{"):
        return kind, False
    begin = Elements("", cast("IO[bytes]", _Begin(file)))
    is_cut = True
    for element in islice(begin, _MAX_LOOK):
        if isinstance(element, Element):
            is_cut = False
            kind = find_kind(element.data) or find_list_kind(element.data)
            if kind is not None:
                break
    return kind, is_cut and begin.is_cut
