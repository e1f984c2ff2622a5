"""What `sekha import` is given: files of exports, notes, and folders of one or the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Callable, NamedTuple

from sekha.cli.exits import CommandError
from sekha.cli.terminal import echo_err, one_line
from sekha.exports import ExportItem, read_export, read_notes
from sekha.exports._files import is_export
from sekha.exports._note_files import JOURNAL, is_note, scan_folder

NOTES_FOLDER = "/notes"
_EXPORT_ENDINGS = (".json", ".jsonl", ".ndjson", ".zip")
_PAGE_ENDINGS = (".html", ".htm")
"""Pages stand in any folder: one that cannot be read makes no export of it."""
_MAX_NAMES = 10


class ImportSource(NamedTuple):
    """One thing to import.

    Attributes:
        path: The file or folder.
        name: What it is called for people.
        journal: The journal's file, unless another is named.
        is_notes: Whether it is a folder of notes, or a note.
        read: Begins to read it from the start.
        left_out: How many files of the folder are no notes, by kind.
    """

    path: Path
    name: str
    journal: Path
    is_notes: bool
    read: Callable[[], Iterable[ExportItem]]
    left_out: dict[str, int]


def find_sources(paths: Iterable[Path], folder: str | None, *, split: bool, dated: bool = False) -> list[ImportSource]:
    """Look at what the paths lead to; what is left out of a folder is printed.

    Raises:
        CommandError: A folder has nothing that can be imported.
    """
    found: list[ImportSource] = []
    journal: Path | None = None  # one for all exports, so that a chat may come back in another file
    for path in paths:
        if not path.is_dir():
            if _is_note(path):
                found.append(_notes(path, folder, split, {}))
            else:
                journal = journal or path.with_name(JOURNAL)
                found.append(_export(path, folder, dated, journal))
            continue
        scanned = scan_folder(str(path))
        candidates = [Path(file.path) for file in scanned.others]
        exports = [one for one in candidates if _is_export(one)]
        journal = journal or path / JOURNAL
        found += [_export(export, folder, dated, journal) for export in exports]
        if exports and scanned.notes:
            names = join_names([note.name for note in scanned.notes])
            echo_err(f"{path} is an export ({join_names([one.name for one in exports])}); left out: {names}")
        if not exports and not scanned.notes:
            raise CommandError(f"{path} has no export that is known, and no notes (.md, .markdown, .txt)")
        if not exports:
            found.append(_notes(path, folder, split, dict(sorted(scanned.left_out.items()))))
    return found


def _is_note(path: Path) -> bool:
    return is_note(path.name) and not _holds_export(path)


def _is_export(path: Path) -> bool:
    ending = path.suffix.lower()
    return ending in (*_EXPORT_ENDINGS, *_PAGE_ENDINGS) and _holds_export(path, is_read=ending in _PAGE_ENDINGS)


def _holds_export(path: Path, *, is_read: bool = False) -> bool:
    try:
        return is_export(str(path), is_read=is_read)
    except OSError:
        return False  # reading it will show what is wrong


def _export(path: Path, folder: str | None, dated: bool, journal: Path) -> ImportSource:
    return ImportSource(path, path.name, journal, False, lambda: read_export(path, folder=folder, dated=dated), {})


def _notes(path: Path, folder: str | None, split: bool, left_out: dict[str, int]) -> ImportSource:
    journal = path / JOURNAL if path.is_dir() else path.with_name(path.name + JOURNAL)
    name = name_of(path)

    def read() -> Iterable[ExportItem]:
        return read_notes(path, folder=folder or NOTES_FOLDER, split=split)

    return ImportSource(path, name, journal, True, read, left_out)


def name_of(path: str | Path) -> str:
    """Return the name of a file or folder, also of ``.``."""
    return Path(path).name or Path(path).resolve().name


def join_names(names: Sequence[str]) -> str:
    """Return some names as a list for people; of many, the first ones and how many more there are."""
    shown = ", ".join(one_line(name, 80) for name in names[:_MAX_NAMES])
    more = len(names) - _MAX_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
