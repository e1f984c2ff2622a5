"""Find the files of a folder of notes, in a stable order."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter
from typing import NamedTuple

ENDINGS = (".md", ".markdown", ".txt")
"""Suffixes of notes, in lower case."""
JOURNAL = ".sekha-journal"
"""Name of the journal in a folder of notes, and suffix of the journal of a single file."""
LINKED_TWICE = "links to what is read already"
HIDDEN = "hidden"


class NoteFile(NamedTuple):
    """A file, or a folder that cannot be read.

    Attributes:
        name: Its path relative to the folder of notes, with ``/``, in the same form on each system.
        path: Its path on the disk.
        problem: The reason why it cannot be read; None if there is no known problem.
        is_folder: Whether it is a folder that cannot be read, so that its contents are unknown.
    """

    name: str
    path: str
    problem: str | None = None
    is_folder: bool = False


class Folder(NamedTuple):
    """The contents of a folder.

    Attributes:
        notes: The notes, and files that cannot be read, ordered by name.
        others: The other files, in the same order.
        left_out: Number of skipped files and folders, by suffix, or as ``hidden``, or as links.
    """

    notes: list[NoteFile]
    others: list[NoteFile]
    left_out: Counter[str]


def scan_folder(path: str) -> Folder:
    """Find the files of a folder and its subfolders; skip hidden ones (names that start with a dot).

    Symbolic links are followed, unless their target was already read, or contains the folder itself.
    """
    found = Folder([], [], Counter())
    root = os.path.realpath(path)
    visited = {root}
    linked: list[NoteFile] = []
    _scan(NoteFile("", path), found, linked, visited)
    files = _real_paths(found) if linked else set[str]()
    while (
        linked
    ):  # links come last, links to files after all others, so that targets in the folder keep their own names
        linked.sort(key=lambda link: (not os.path.isdir(link.path), _order(link)), reverse=True)
        link = linked.pop()
        target = os.path.realpath(link.path)
        if os.path.isdir(target):
            if target in visited or root.startswith(os.path.join(target, "")):
                found.left_out[LINKED_TWICE] += 1
            else:
                visited.add(target)
                _scan(link, found, linked, visited)
                files = _real_paths(found)
        elif target in files:
            found.left_out[LINKED_TWICE] += 1
        else:
            files.add(target)
            _add(link, found)
    found.notes.sort(key=_order)
    found.others.sort(key=_order)
    found.left_out.update(os.path.splitext(other.name)[1].lower() or "no ending" for other in found.others)
    return Folder(_without_twins(found.notes), found.others, found.left_out)


def _real_paths(folder: Folder) -> set[str]:
    return {os.path.realpath(file.path) for file in (*folder.notes, *folder.others)}


def is_note(name: str) -> bool:
    """Return whether a file is a note by its name."""
    return os.path.splitext(name)[1].lower() in ENDINGS


def _scan(start: NoteFile, found: Folder, linked: list[NoteFile], visited: set[str]) -> None:
    folders = [start]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder.path) as entries:
                for entry in entries:
                    one = NoteFile(_join(folder.name, entry.name), os.path.join(folder.path, entry.name))
                    if entry.name == JOURNAL:
                        pass
                    elif entry.name.startswith("."):
                        found.left_out[HIDDEN] += 1
                    elif entry.is_symlink():
                        linked.append(one)
                    elif entry.is_dir():
                        real = os.path.realpath(one.path)
                        if real in visited:  # a junction of Windows, which is not a symbolic link
                            found.left_out[LINKED_TWICE] += 1
                        else:
                            visited.add(real)
                            folders.append(one)
                    else:
                        _add(one, found)
        except OSError as error:
            found.notes.append(folder._replace(problem=f"cannot be read ({error.strerror})", is_folder=True))


def _add(file: NoteFile, found: Folder) -> None:
    if not is_note(file.name):
        found.others.append(file)
        return
    problem = None
    try:
        mode = os.stat(file.path).st_mode
        if not stat.S_ISREG(mode):
            problem = "not a regular file"
        elif _printable(file.name) != file.name:
            problem = "its name is not UTF-8"
    except OSError as error:
        reason = "broken symbolic link" if os.path.islink(file.path) else error.strerror
        problem = f"cannot be read ({reason})"
    found.notes.append(file._replace(name=_printable(file.name), problem=problem))


def _join(folder: str, name: str) -> str:
    name = unicodedata.normalize("NFC", name)  # macOS decomposes characters in names, other systems do not
    return f"{folder}/{name}" if folder else name


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace") if os.name != "nt" else name.encode("utf-8", "replace").decode()


def _order(file: NoteFile) -> list[str]:
    return file.name.split("/")


def _without_twins(notes: list[NoteFile]) -> list[NoteFile]:
    """Mark files whose names differ only in their Unicode form, except the first."""
    return [
        note._replace(problem="another file has the same name in a different Unicode form")
        if number and note.name == notes[number - 1].name and note.problem is None
        else note
        for number, note in enumerate(notes)
    ]
