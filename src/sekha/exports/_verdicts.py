"""What a file or a folder is, by what it begins with."""

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
"""Bytes of a first conversation that are read to see whether a file is an export."""
_MAX_LOOK = 50
"""Objects that are looked at for the same."""
_MAX_DEPTH = 3
"""Archives in each other that are looked at."""
_HEAD = 4096
"""Characters that show the kind of a text."""
_MAX_STYLES = 3
"""Pieces of HTML behind the first that are looked at for the same."""


class _Begin:
    """The begin of a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = _MAX_FIRST

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


def judge(name: str, file: IO[bytes], *, with_memories: bool = False, depth: int = 0) -> Verdict:
    """Return what a file is: its name says so, or what it begins with, or what is in the archive that it is.

    Args:
        name: The name of the file.
        file: The file, at its beginning.
        with_memories: Whether memories count as exports.
        depth: In how many archives it is.

    Raises:
        SekhaConfigError: It is an archive, and broken.
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
        return Verdict.BROKEN  # such as a page that was stored instead
    if kind is None:
        return Verdict.BROKEN if is_cut and not is_note(name) else Verdict.UNKNOWN
    if kind in LAST and is_note(name):  # a note may begin like a table
        return Verdict.UNKNOWN
    if kind.is_memory and not with_memories:
        return Verdict.MEMORY
    return Verdict.EXPORT if kind.is_read else Verdict.NAMED


def verdict_of(path: str, *, with_memories: bool = False) -> Verdict:
    """Return what a file is, or the files of a folder."""
    look = partial(judge, with_memories=with_memories)
    try:
        if os.path.isdir(path):
            return folder_of(path, path).verdict(look)
        with open(path, "rb") as file:
            return look(os.path.basename(path), file)
    except Exception:
        return Verdict.BROKEN


def head_of(file: IO[bytes]) -> str:
    """Return the begin of the text of a file, and go back there: of HTML more, whose styles come first."""
    pieces = iter(TextReader(file))
    head = next(pieces, "")
    head = "".join((head, *islice(pieces, _MAX_STYLES))) if head.lstrip()[:1] == "<" else head[:_HEAD]
    file.seek(0)
    return head


def _first_kind(file: IO[bytes]) -> tuple[Kind | None, bool]:
    """Return the kind of a file, by its first objects or its text, and whether it ends in the middle of the first."""
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
