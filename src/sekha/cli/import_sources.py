"""Sources of `sekha import`: export files, notes, and folders of either."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Callable, NamedTuple

from sekha.cli.exits import CommandError
from sekha.cli.terminal import echo_err, one_line
from sekha.exports import ExportItem, read_notes
from sekha.exports._containers import Verdict
from sekha.exports._copies import Copies
from sekha.exports._files import ExportReader
from sekha.exports._note_files import JOURNAL, is_note, scan_folder
from sekha.exports._verdicts import verdict_of

NOTES_FOLDER = "/notes"
_MAX_NAMES = 10


class ImportSource(NamedTuple):
    """A file or folder to import.

    Attributes:
        path: The file or folder.
        name: Display name.
        journal: Default path of the journal.
        is_notes: Whether the source is a note or a folder of notes.
        read: Starts to read the source from the beginning.
        left_out: Number of files in the folder that are not notes, by kind.
    """

    path: Path
    name: str
    journal: Path
    is_notes: bool
    read: Callable[[], Iterable[ExportItem]]
    left_out: dict[str, int]


def find_sources(
    paths: Iterable[Path], folder: str | None, *, split: bool, dated: bool = False, with_memories: bool = False
) -> list[ImportSource]:
    """Detect the kind of each path.

    Raises:
        CommandError: A folder contains nothing that can be imported.
    """
    found: list[ImportSource] = []
    journal: Path | None = None  # one for all exports, so that a chat is recognized in another file
    given = _without_twins(paths)
    copies = Copies() if len(given) > 1 else None
    for path in given:
        scanned = scan_folder(str(path)) if path.is_dir() else None
        is_clear = scanned is None and not is_note(path.name)
        verdict = Verdict.EXPORT if is_clear else verdict_of(str(path), with_memories=with_memories)
        if scanned is None and verdict in (Verdict.UNKNOWN, Verdict.BROKEN):
            found.append(_notes(path, folder, split, {}))
        elif scanned is not None and scanned.notes and verdict is not Verdict.EXPORT:
            found.append(_notes(path, folder, split, dict(sorted(scanned.left_out.items()))))
        elif verdict is Verdict.UNKNOWN:
            raise CommandError(f"{path} contains no supported export and no notes (.md, .markdown, .txt)")
        else:
            journal = journal or (path.with_name(JOURNAL) if scanned is None else path / JOURNAL)
            read = partial(ExportReader, str(path), folder, dated=dated, with_memories=with_memories, copies=copies)
            found.append(ImportSource(path, name_of(path), journal, False, read, {}))
    return found


def _without_twins(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if any(path.samefile(other) for other in found):
            echo_err(f"{path} was passed twice; it is read once")
        else:
            found.append(path)
    return found


def _notes(path: Path, folder: str | None, split: bool, left_out: dict[str, int]) -> ImportSource:
    journal = path / JOURNAL if path.is_dir() else path.with_name(path.name + JOURNAL)
    name = name_of(path)

    def read() -> Iterable[ExportItem]:
        return read_notes(path, folder=folder or NOTES_FOLDER, split=split)

    return ImportSource(path, name, journal, True, read, left_out)


def name_of(path: str | Path) -> str:
    """Return the name of a file or folder, including ``.``."""
    return Path(path).name or Path(path).resolve().name


def join_names(names: Sequence[str]) -> str:
    """Format names as a list; of many, the first ones and the number of the others."""
    shown = ", ".join(one_line(name, 80) for name in names[:_MAX_NAMES])
    more = len(names) - _MAX_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
