"""What exports come in: archives, archives in archives, and folders."""

from __future__ import annotations

import filecmp
import os
import tempfile
import zipfile
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import IO, Any, Callable, NamedTuple

from sekha.errors import SekhaConfigError
from sekha.exports._note_files import scan_folder

ENDINGS = (".json", ".jsonl", ".ndjson", ".html", ".htm", ".csv", ".txt")
"""Of the names of files that may be exports, in small letters."""
COPIES = "copies"
_MAX_NAMES = 10


class Verdict(Enum):
    """What a file is: an export, of a kind that is known and not read, or neither."""

    EXPORT = 1
    NAMED = 2
    UNKNOWN = 3


class Member(NamedTuple):
    """A file of an archive or of a folder.

    Attributes:
        name: Its path there, with ``/``.
        open: Opens it.
        digest: What copies of it have in common; None if that is not known.
    """

    name: str
    open: Callable[[], Any]
    digest: object = None


class Container:
    """An archive or a folder.

    Args:
        name: What it is called for people.
        members: Its files.
        reads_archives: Whether archives in it are read beside exports; else only where there are none.

    Attributes:
        left_out: How many files were not chosen, by kind.
    """

    def __init__(self, name: str, members: Sequence[Member], *, reads_archives: bool = False) -> None:
        self.name = name
        self.is_archive = not reads_archives
        self._reads_archives = reads_archives
        self.left_out: Counter[str] = Counter()
        self._members = sorted(members, key=lambda member: member.name.split("/"))

    def choose(self, judge: Callable[[str, IO[bytes]], Verdict]) -> list[Member]:
        """Return the files that are read: exports, else archives, and of copies the first.

        Where there are neither, those of a kind that is known and not read, so that they are named.

        Args:
            judge: Looks at the begin of a file, by its name.

        Raises:
            SekhaConfigError: There are none.
        """
        verdicts = [(member, _judge(member, judge)) for member in self._members if _ending(member.name) in ENDINGS]
        chosen = [member for member, verdict in verdicts if verdict is Verdict.EXPORT]
        archives = [member for member in self._members if _ending(member.name) == ".zip"]
        if self._reads_archives:
            chosen += archives
        elif not chosen:
            chosen = [member for member in archives if "conversation" in member.name.lower()] or archives
        if not chosen:
            chosen = [member for member, verdict in verdicts if verdict is Verdict.NAMED]
        originals = self._without_copies(chosen)
        unread = [member for member in self._members if member not in chosen]
        if not chosen:
            raise SekhaConfigError(f"{self.name} has no export that is known: {self._describe(unread)}")
        for kind in self._kinds(unread):
            self.left_out[kind] += 1
        return originals

    def _without_copies(self, members: Sequence[Member]) -> list[Member]:
        found: list[Member] = []
        for member in sorted(members, key=lambda member: len(member.name)):  # the original has the shorter name
            if any(_is_same(member, other) for other in found):
                self.left_out[COPIES] += 1
            else:
                found.append(member)
        return [member for member in members if member in found]

    def _kinds(self, members: Sequence[Member]) -> Iterator[str]:
        """Yield what each file counts as: a few by their names, others by their endings."""
        names = [member.name for member in members if _ending(member.name) in ENDINGS]
        for member in members:
            ending = _ending(member.name)
            named = member.name in names[:_MAX_NAMES]
            yield f"file {member.name}" if named else f"{ending or 'other'} files"

    def _describe(self, members: Sequence[Member]) -> str:
        names = [member.name for member in members]
        more = len(names) - _MAX_NAMES
        shown = ", ".join(names[:_MAX_NAMES]) or "nothing"
        return f"it has {shown}" + (f" and {more} more" if more > 0 else "")


@contextmanager
def archive_of(file: IO[bytes], name: str) -> Generator[Container | None, None, None]:
    """Open an archive; None if the file is none.

    Raises:
        SekhaConfigError: It is broken.
    """
    if file.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
        file.seek(0)
        yield None
        return
    file.seek(0)
    with tempfile.TemporaryFile() as copy:
        if isinstance(file, zipfile.ZipExtFile):  # an archive is read back and forth
            while piece := file.read(2**20):
                copy.write(piece)
            file = copy
        try:
            archive = zipfile.ZipFile(file)
        except zipfile.BadZipFile as error:
            raise SekhaConfigError(f"{name}: the archive is broken ({error})") from None
        with archive:
            yield Container(name, [_member_of(archive, one) for one in archive.infolist() if _is_file(one)])


def _is_file(info: zipfile.ZipInfo) -> bool:
    parts = info.filename.replace("\\", "/").split("/")
    return bool(parts[-1]) and "__MACOSX" not in parts and not parts[-1].startswith(".")


def _member_of(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    name = info.filename.replace("\\", "/")  # some programs of Windows write it so
    return Member(name, lambda: archive.open(info), (info.CRC, info.file_size))


def folder_of(path: str, name: str) -> Container:
    """Return the files of a folder and of those below it; hidden ones are not among them."""
    scanned = scan_folder(path)
    files = [file for file in (*scanned.notes, *scanned.others) if file.problem is None]
    return Container(name, [_file_member(file.name, file.path) for file in files], reads_archives=True)


def _file_member(name: str, path: str) -> Member:
    return Member(name, lambda: open(path, "rb"), path)


def _is_same(one: Member, other: Member) -> bool:
    if isinstance(one.digest, str) and isinstance(other.digest, str):
        try:
            return os.path.getsize(one.digest) == os.path.getsize(other.digest) and filecmp.cmp(
                one.digest, other.digest, shallow=False
            )
        except OSError:
            return False
    return one.digest is not None and one.digest == other.digest


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _judge(member: Member, judge: Callable[[str, IO[bytes]], Verdict]) -> Verdict:
    try:
        with member.open() as file:
            return judge(member.name, file)
    except Exception:
        return Verdict.EXPORT  # reading it will show what is wrong
