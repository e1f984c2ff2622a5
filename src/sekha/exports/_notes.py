"""Read notes: Markdown and text files as conversations, one for each file or for each heading."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any, Dict, NamedTuple, Optional, Union, cast

from sekha._api.compat.requests import MAX_BODY_BYTES
from sekha._api.validation import argument_error
from sekha._utils.frames import warn_user
from sekha._utils.public import exported_from
from sekha.errors import SekhaValidationError
from sekha.exports._building import Unreadable
from sekha.exports._conversations import ExportItem
from sekha.exports._front_matter import take_front_matter
from sekha.exports._note_files import HIDDEN, Folder, NoteFile, scan_folder
from sekha.exports._note_text import Section, decode, split_sections
from sekha.types import CreateConversationRequest, UnreadableConversation
from sekha.types._base import normalize_folder

DEFAULT_FOLDER = "notes"
"""A relative path, so that it is below the folder of a view."""
_MAX_FILE_BYTES = 16 * 2**20
"""Maximum size of a file in bytes."""


class Source(NamedTuple):
    """The source of a note: the path of its file in the folder of notes, and a hash of the headings of a section."""

    file: str
    section: str = ""


class Note(Dict[str, Any]):
    """A note: arguments of `create_conversation`, with its source.

    Attributes:
        source: The source.
        place: The source for messages: the file, and the first line unless it is line 1.
    """

    source: Source
    place: str


class UnreadableNote(UnreadableConversation):
    """A note that cannot be read.

    Attributes:
        source: The source; its file ends with ``/`` if it is a folder.
    """

    source: Source


class NoteReader:
    """Reads the notes of a folder, or of one file.

    Args:
        path: The folder, or the file.
        folder: Folder of the notes in the memory.
        split: Whether to create one conversation for each Markdown heading.

    Attributes:
        is_folder: Whether the path is a folder.
        left_out: Number of skipped files, by kind.
        warns: Whether to warn about replaced bytes and invalid front matter.
    """

    def __init__(self, path: str, folder: str, split: bool) -> None:
        self.warns = True
        self._folder = folder.rstrip("/")
        self._split = split
        self.is_folder = os.path.isdir(path)
        if self.is_folder:
            self._root = os.path.basename(os.path.abspath(path))
            self._scanned = scan_folder(path)
        else:
            with open(path, "rb"):  # raises an error now, not with the first note
                self._root = ""
            self._scanned = Folder([NoteFile(os.path.basename(path), path)], [], Counter())
        self.left_out: dict[str, int] = dict(sorted(self._scanned.left_out.items()))

    def __iter__(self) -> Iterator[Note | UnreadableNote]:
        for file in self._scanned.notes:
            try:
                yield from self._read(file)
            except Unreadable as error:
                yield self._unreadable(file, str(error))

    def _read(self, file: NoteFile) -> Iterator[Note | UnreadableNote]:
        if file.problem is not None:
            raise Unreadable(file.problem)
        folder = self._folder_of(file)
        decoded = decode(_read_bytes(file.path))
        note = take_front_matter(decoded.text)
        for problem in filter(None, (decoded.problem, *note.problems)) if self.warns else ():
            warn_user(f"{self.place(file)}: {problem}")
        name = os.path.splitext(file.name.rpartition("/")[2])
        stem = " ".join(name[0].split())
        is_split = self._split and name[1].lower() != ".txt"
        sections = list(split_sections(note.body))
        if not is_split:
            is_titled = bool(sections) and sections[0].level == 1 and name[1].lower() != ".txt"
            title = note.title or (sections[0].path[0] if is_titled else "") or stem
            sections = [Section((title,), 1, 1, note.body.strip("\n"))]
        seen: Counter[str] = Counter()
        for number, section in enumerate(sections or [Section((), 0, 1, "")]):
            path, prefix = section.path, note.title or stem
            is_top = bool(path) and (path[0].casefold() == prefix.casefold() or (not note.title and section.level == 1))
            label = " > ".join(filter(None, path if is_top or not is_split else (prefix, *path))) or stem
            source = Source(file.name)
            if is_split and path:
                key = "\n".join(path)
                seen[key] += 1
                source = Source(file.name, hashlib.sha256(f"{key}\n{seen[key]}".encode()).hexdigest()[:16])
            place = self.place(file, note.line + section.line - 1 if number else 1)
            lines = [*note.heads, *(note.rest if number == 0 else ())]
            yield self._make(source, place, folder, label, lines, section.text, note.timestamp)

    def _make(
        self, source: Source, place: str, folder: str, label: str, lines: list[str], text: str, timestamp: str | None
    ) -> Note | UnreadableNote:
        made = Note(label=label, folder=folder, messages=[])
        made.source, made.place = source, place
        if not label:
            del made["label"]  # the first line is enough
        if text.strip() or lines:
            head = "\n".join(lines)
            message = {"role": "user", "content": f"{head}\n\n{text}".strip("\n") if head else text}
            if timestamp is not None:
                message["timestamp"] = timestamp
            made["messages"].append(message)
        size = len(json.dumps(made, ensure_ascii=False).encode("utf-8", "replace"))
        if size <= MAX_BODY_BYTES:
            return made
        advice = "" if self._split else "; split it by headings (split=True, --split), or into several files"
        problem = f"it has {size:,} bytes; the limit for a request is {MAX_BODY_BYTES:,}{advice}"
        return _mark(UnreadableNote(place, problem), source)

    def _folder_of(self, file: NoteFile) -> str:
        below = file.name.rpartition("/")[0]
        folder = f"{self._folder}/{below}" if below else self._folder or "/"
        try:
            normalize_folder(folder)
        except ValueError as error:
            raise Unreadable(f"the name of its folder {error}") from None
        return folder

    def _unreadable(self, file: NoteFile, problem: str) -> UnreadableNote:
        source = Source(f"{file.name}/" if file.is_folder else file.name)
        return _mark(UnreadableNote(self.place(file), problem), source)

    def place(self, file: NoteFile | Source, line: int = 1) -> str:
        """Return the position of a note for messages."""
        name = file.file if isinstance(file, Source) else file.name
        place = "/".join(filter(None, (self._root, name)))
        return place if line == 1 else f"{place}, line {line}"


def _mark(note: UnreadableNote, source: Source) -> UnreadableNote:
    note.source = source
    return note


def _read_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
            if len(data) <= _MAX_FILE_BYTES:
                return data
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror})") from None
    raise Unreadable(f"it has {size:,} bytes; the maximum is {_MAX_FILE_BYTES:,}")


@exported_from("sekha.exports")
def read_notes(
    path: Union[str, os.PathLike[str]], *, folder: Optional[str] = None, split: bool = False
) -> Iterator[ExportItem]:
    """Read the notes of a folder, one after another: Markdown and text files (``.md``, ``.markdown``, ``.txt``).

    A note is a conversation with one user message. Its label is the ``title`` of the front matter, else its first
    heading if the note starts with one, else the name of the file. Subfolders of ``path`` become subfolders of
    ``folder``. ``date`` (or ``created``) of the front matter is returned as ``timestamp`` and in the text; ``tags`` and
    other keys are in the text. The order is stable. Hidden files are skipped; symbolic links are followed, but no file
    is read twice.

    Args:
        path: The folder, or one file.
        folder: The folder for the notes; default ``notes``.
        split: Whether to create one conversation for each Markdown heading; its label contains the headings above it.

    Returns:
        An iterator over arguments of `MemoryController.create_conversation` (without messages for an empty note), and
            over an `UnreadableConversation` with its position for each note that cannot be read.

    Raises:
        OSError: The folder or file does not exist.
        SekhaValidationError: The folder is not valid.
        SekhaConfigError: While iterating: a note has front matter, but PyYAML is not installed (extra ``cli``).

    Warns:
        SekhaWarning: While iterating: bytes that are not UTF-8 were replaced, front matter is not valid, or files that
            are not notes were skipped.

    Example:
        ```python
        from pathlib import Path

        from sekha.exports import read_notes

        Path("garden").mkdir()
        Path("garden/tomatoes.md").write_text("# Tomatoes")
        for note in read_notes("garden"):
            print(note["label"], note["folder"])  # Tomatoes notes
        ```
    """
    return _iterate(NoteReader(check_path(path), check_folder(folder), split))


def check_path(path: object) -> str:
    """Return the path of notes as a string.

    Raises:
        SekhaValidationError: The value is not a path.
    """
    text: object = os.fspath(cast("os.PathLike[str]", path)) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str) or not text:
        raise argument_error("path", "must be a path")
    return text


def check_folder(folder: str | None) -> str:
    """Return the folder for notes unchanged.

    Raises:
        SekhaValidationError: The folder is not valid.
    """
    if folder is None:
        return DEFAULT_FOLDER
    try:
        if not isinstance(cast(object, folder), str):
            raise argument_error("folder", "must be a string")
        normalize_folder(folder)
    except SekhaValidationError:
        raise
    except ValueError as error:
        raise argument_error("folder", str(error)) from None
    return folder


def warn_of_left_out(notes: NoteReader) -> None:
    """Warn of files that are not notes, except hidden ones."""
    others = ", ".join(f"{number} {kind}" for kind, number in notes.left_out.items() if kind != HIDDEN)
    if others:
        warn_user(f"skipped files that are not notes: {others}")


def _iterate(notes: NoteReader) -> Iterator[ExportItem]:
    for note in notes:
        yield note if isinstance(note, UnreadableNote) else cast(CreateConversationRequest, note)
    warn_of_left_out(notes)
