"""The files of a folder of notes, in an order that is always the same."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter
from typing import NamedTuple

ENDINGS = (".md", ".markdown", ".txt")
"""Of the names of notes, in small letters."""
JOURNAL = ".sekha-journal"
"""The journal in a folder of notes, and the suffix of that of a file."""
LINKED_TWICE = "links to what is read already"
HIDDEN = "hidden"


class NoteFile(NamedTuple):
    """A file, or a folder that cannot be read.

    Attributes:
        name: Its path below the folder of notes, with ``/``, in the same form on each system.
        path: Its path for the system.
        problem: Why it cannot be read; None if nothing is known against it.
        is_folder: Whether it is a folder that cannot be read: nobody knows what is in it.
    """

    name: str
    path: str
    problem: str | None = None
    is_folder: bool = False


class Folder(NamedTuple):
    """What is in a folder.

    Attributes:
        notes: The notes, and what cannot be read, in order of their names.
        others: The other files, in the same order.
        left_out: How many files and folders were left out, by ending, or as ``hidden``, or as links.
    """

    notes: list[NoteFile]
    others: list[NoteFile]
    left_out: Counter[str]


def scan_folder(path: str) -> Folder:
    """Find the files of a folder and of those below it; what is hidden (its name begins with a point) is left out.

    Links are followed, unless they lead to what is read already, or to what the folder itself is in.
    """
    found = Folder([], [], Counter())
    root = os.path.realpath(path)
    visited = {root}
    linked: list[NoteFile] = []
    _scan(NoteFile("", path), found, linked, visited)
    files = _real_paths(found) if linked else set[str]()
    while linked:  # links come last, those to files after all others: what they lead to keeps its own place
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
                        if real in visited:  # a junction of Windows, which is no link
                            found.left_out[LINKED_TWICE] += 1
                        else:
                            visited.add(real)
                            folders.append(one)
                    else:
                        _add(one, found)
        except OSError as error:
            found.notes.append(folder._replace(problem=f"it cannot be read ({error.strerror})", is_folder=True))


def _add(file: NoteFile, found: Folder) -> None:
    if not is_note(file.name):
        found.others.append(file)
        return
    problem = None
    try:
        mode = os.stat(file.path).st_mode
        if not stat.S_ISREG(mode):
            problem = "it is no file"
        elif _printable(file.name) != file.name:
            problem = "its name is no UTF-8"
    except OSError as error:
        reason = "it is a link that leads nowhere" if os.path.islink(file.path) else error.strerror
        problem = f"it cannot be read ({reason})"
    found.notes.append(file._replace(name=_printable(file.name), problem=problem))


def _join(folder: str, name: str) -> str:
    name = unicodedata.normalize("NFC", name)  # macOS takes names apart, others do not
    return f"{folder}/{name}" if folder else name


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace") if os.name != "nt" else name.encode("utf-8", "replace").decode()


def _order(file: NoteFile) -> list[str]:
    return file.name.split("/")


def _without_twins(notes: list[NoteFile]) -> list[NoteFile]:
    """Mark all but the first of files whose names differ in their Unicode form only."""
    return [
        note._replace(problem="another file has the same name but for its Unicode form")
        if number and note.name == notes[number - 1].name and note.problem is None
        else note
        for number, note in enumerate(notes)
    ]
