"""Containers of export files: archives, nested archives, and folders."""

from __future__ import annotations

import filecmp
import os
import stat
import tempfile
import zipfile
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import IO, Any, Callable, NamedTuple

from sekha.errors import SekhaConfigError
from sekha.exports._note_files import ENDINGS as NOTE_ENDINGS
from sekha.exports._note_files import NoteFile, scan_folder

ENDINGS = (".json", ".jsonl", ".ndjson", ".html", ".htm", ".csv", ".txt")
"""Suffixes of files that may be exports, in lower case."""
COPIES = "copies"
MEMORIES = "files of memories and projects"
"""Kinds of omitted items."""
_MAX_NAMES = 10
_ENCRYPTED = 1


class Verdict(Enum):
    """The kind of a file: an export, memories (without `with_memories`), unsupported, unknown, or unreadable."""

    EXPORT = 1
    MEMORY = 2
    NAMED = 3
    UNKNOWN = 4
    BROKEN = 5


Judge = Callable[[str, IO[bytes]], Verdict]
"""Looks at a file, which is at its beginning, and its name."""


class Member(NamedTuple):
    """A file of an archive or of a folder.

    Attributes:
        name: Its path in the container, with ``/``.
        open: Opens the file.
        mark: A value that is equal for copies of the file; None if unknown.
        path: Its path on the disk, if any; then the contents of copies are compared.
    """

    name: str
    open: Callable[[], Any]
    mark: object = None
    path: str | None = None


class Container:
    """An archive or a folder.

    Args:
        name: Display name.
        members: Its files.
        is_archive: Whether it is an archive. Nested archives are read only if it contains no exports itself.

    Attributes:
        left_out: Number of skipped files, by kind.
    """

    def __init__(self, name: str, members: Sequence[Member], *, is_archive: bool) -> None:
        self.name = name
        self.is_archive = is_archive
        self.left_out: Counter[str] = Counter()
        self._members = sorted(members, key=lambda member: member.name.split("/"))

    def choose(self, judge: Judge) -> list[Member]:
        """Return the files to read: exports and unreadable files; of copies, only the first.

        Without exports, return files of unsupported kinds, so that they are reported. Memories are counted if there are
        exports, and reported otherwise.

        Returns:
            The files.

        Raises:
            SekhaConfigError: There are no such files.
        """
        judged = self._judge(judge)
        has_exports = any(verdict is Verdict.EXPORT for _, verdict in judged)
        wanted = {Verdict.EXPORT} if has_exports else {Verdict.NAMED, Verdict.MEMORY}
        chosen = [member for member, verdict in judged if verdict in wanted or verdict is Verdict.BROKEN]
        memories = [member for member, verdict in judged if verdict is Verdict.MEMORY and has_exports]
        if memories:
            self.left_out[MEMORIES] += len(memories)
        numbers = set(map(id, (*chosen, *memories)))
        unread = [member for member in self._members if id(member) not in numbers]
        if not chosen:
            raise SekhaConfigError(f"{self.name} contains no supported export: {self._describe(unread)}")
        for kind in _kinds_of(unread):
            self.left_out[kind] += 1
        originals = _without_copies(chosen)
        numbers = set(map(id, originals))
        for kind in _kinds_of([member for member in chosen if id(member) not in numbers], " (a copy)"):
            self.left_out[kind] += 1
        return originals

    def verdict(self, judge: Judge) -> Verdict:
        """Return the kind of the container: export, if one of its files is."""
        found = {verdict for _, verdict in self._judge(judge)}
        order = (Verdict.EXPORT, Verdict.BROKEN, Verdict.MEMORY, Verdict.NAMED)
        return next((verdict for verdict in order if verdict in found), Verdict.UNKNOWN)

    def _judge(self, judge: Judge) -> list[tuple[Member, Verdict]]:
        """Return the files that may be exports, with their kinds."""
        judged = [(member, _verdict_of(member, judge)) for member in self._members if _ending(member.name) in ENDINGS]
        archives = [member for member in self._members if _ending(member.name) == ".zip"]
        if self.is_archive:
            if any(verdict is Verdict.EXPORT for _, verdict in judged):
                return judged
            archives = [member for member in archives if "conversation" in member.name.lower()] or archives
        return judged + [(member, _verdict_of(member, judge)) for member in archives]

    def _describe(self, members: Sequence[Member]) -> str:
        names = [member.name for member in members]
        more = len(names) - _MAX_NAMES
        shown = ", ".join(names[:_MAX_NAMES]) or "nothing"
        return f"it has {shown}" + (f" and {more} more" if more > 0 else "")


def _kinds_of(members: Sequence[Member], more: str = "") -> Iterator[str]:
    """Yield the kind to count each file as: a few by name, others by suffix."""
    named = 0
    for member in members:
        ending = _ending(member.name)
        is_named = named < _MAX_NAMES and ending in (*ENDINGS, *NOTE_ENDINGS, ".zip")
        named += is_named
        yield f"file {member.name}{more}" if is_named else f"{ending or 'other'} files{more}"


def _without_copies(members: Sequence[Member]) -> list[Member]:
    found: dict[object, list[Member]] = {}
    for member in sorted(members, key=lambda member: len(member.name)):  # the original has the shorter name
        same = found.setdefault(member.mark, [])
        if member.mark is None or not any(_has_same_content(member, other) for other in same):
            same.append(member)
    originals = {id(member) for same in found.values() for member in same}
    return [member for member in members if id(member) in originals]


def _has_same_content(one: Member, other: Member) -> bool:
    if one.path is None or other.path is None:
        return True  # their marks are checksums
    try:
        return filecmp.cmp(one.path, other.path, shallow=False)
    except OSError:
        return False


@contextmanager
def archive_of(file: IO[bytes], name: str) -> Generator[Container | None, None, None]:
    """Open an archive; return None if the file is not an archive.

    Raises:
        SekhaConfigError: The archive is damaged.
    """
    if file.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
        file.seek(0)
        yield None
        return
    file.seek(0)
    with tempfile.TemporaryFile() as copy:
        if isinstance(file, zipfile.ZipExtFile):  # reading an archive requires a seekable file
            while piece := file.read(2**20):
                copy.write(piece)
            file = copy
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # usually BadZipFile
            raise SekhaConfigError(f"{name}: the archive is damaged ({error}); download it again") from None
        with archive:
            files = [info for info in archive.infolist() if _is_file(info)]
            if files and all(info.flag_bits & _ENCRYPTED for info in files):
                raise SekhaConfigError(f"{name}: the archive is encrypted; extract it, and import the folder")
            yield Container(name, [_member_of(archive, info) for info in files], is_archive=True)


def _is_file(info: zipfile.ZipInfo) -> bool:
    parts = info.filename.replace("\\", "/").split("/")
    return bool(parts[-1]) and "__MACOSX" not in parts and not parts[-1].startswith(".")


def _member_of(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    name = info.filename.replace("\\", "/")  # some Windows programs write backslashes
    return Member(name, lambda: archive.open(info), (info.CRC, info.file_size))


def folder_of(path: str, name: str) -> Container:
    """Return the files of a folder and its subfolders, without hidden ones."""
    scanned = scan_folder(path)
    members = [_file_member(file) for file in (*scanned.notes, *scanned.others)]
    return Container(name, members, is_archive=False)


def _file_member(file: NoteFile) -> Member:
    def open_file() -> IO[bytes]:
        if not file.is_folder and not stat.S_ISREG(os.stat(file.path).st_mode):
            raise OSError("not a regular file")  # opening a pipe would block
        return open(file.path, "rb")

    try:
        size = None if file.is_folder else os.path.getsize(file.path)
    except OSError:
        size = None
    return Member(f"{file.name}/" if file.is_folder else file.name, open_file, size, file.path)


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _verdict_of(member: Member, judge: Judge) -> Verdict:
    try:
        with member.open() as file:
            return judge(member.name, file)
    except Exception:
        return Verdict.BROKEN  # reading the file will report the error
