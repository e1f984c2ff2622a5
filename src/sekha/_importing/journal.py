"""The journal of an import: what is about to be stored is noted before, what was stored after, so that nothing is
stored twice and nothing is lost, wherever the process ends."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Literal, NamedTuple

try:
    import fcntl
except ModuleNotFoundError:  # Windows, where nobody looks whether another import uses the file
    fcntl = None  # type: ignore[assignment]  # there is none

from sekha._api.compat import as_text
from sekha._utils.json_access import as_object
from sekha.errors import SekhaConfigError, SekhaValidationError
from sekha.type_guards import extract_text

_HEADER = b'{"sekha_import": 1,'
Match = Literal["same", "part", "other"]


def fingerprint(conversation: Mapping[str, Any]) -> str:
    """The same for conversations that would be stored alike."""
    parts = [conversation.get(key) for key in ("label", "folder", "importance_score")]
    told = [[message["role"], message["content"]] for message in conversation["messages"]]
    data = json.dumps([parts, told], sort_keys=True, default=str)
    return hashlib.sha256(data.encode()).hexdigest()[:32]


def compared(sent: Sequence[Mapping[str, Any]], stored: Sequence[Mapping[str, Any]]) -> Match:
    """Whether messages in the memory are those that were sent, or their beginning; a server may store text only."""
    if len(stored) > len(sent) or not all(_alike(mine, theirs) for mine, theirs in zip(sent, stored)):
        return "other"
    return "same" if len(stored) == len(sent) else "part"


def _alike(sent: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    text = extract_text(stored["content"]).strip()  # spaces may have been put in front (D51)
    return bool(sent["role"] == stored["role"] and text in (extract_text(sent["content"]).strip(), _flat(sent)))


def _flat(message: Mapping[str, Any]) -> str:
    try:
        return str(as_text([message], drop_images=True)[0]["content"]).strip()
    except SekhaValidationError:
        return ""


class Entry(NamedTuple):
    """What the journal knows of a conversation.

    Attributes:
        key: Its name there.
        is_open: Whether it was about to be stored, and nobody knows how that ended.
        breaks: How often it was sent and nobody knew what became of it.
        id: The id under which it is stored; None if it is not known to be.
    """

    key: str
    is_open: bool
    breaks: int
    id: str | None


class Journal:
    """Notes in a file, or in memory alone; one import at a time.

    Args:
        path: The file; None for none.
        server: Address of the server: the notes say nothing about another one.

    Attributes:
        since: What the server's clock said when the import began; empty if that is not known, None if it has not begun.
    """

    def __init__(self, path: str | None, server: str) -> None:
        self.since: str | None = None
        self._path = path
        self._server = server
        self._file: BinaryIO | None = None
        self._is_whole = True
        self._lock = threading.Lock()  # several threads take notes
        self._met: Counter[str] = Counter()
        self._open: set[str] = set()  # begun, and nobody knows how that ended
        self._alike: Counter[str] = Counter()  # how many of those are alike
        self._breaks: Counter[str] = Counter()
        self._ids: dict[str, str] = {}

    def open(self) -> None:
        """Read what is noted; the file is ours until `close`.

        Raises:
            SekhaConfigError: It is no journal, belongs to another server, or is in use.
            OSError: It cannot be read or written.
        """
        if self._path is None:
            return
        self._file = open(self._path, "a+b", buffering=0)  # noqa: SIM115 - closed by close()
        try:
            _take_lock(self._file, self._path)
            self._file.seek(0)
            *lines, rest = self._file.read().split(b"\n")
            if not lines and rest and _HEADER.startswith(rest[: len(_HEADER)]):
                self._file.truncate(0)  # it was cut in its first line: nothing was begun
            elif lines or rest:
                self._read([*lines, rest])
                if rest:
                    self._file.write(b"\n")  # a line that was cut when the program ended
        except BaseException:
            self.close()
            raise

    def _read(self, lines: Sequence[bytes]) -> None:
        header = _data(lines[0])
        name = os.path.basename(self._path or "")
        if header.get("sekha_import") != 1:
            raise SekhaConfigError(f"journal: {name} is no journal of an import")
        if header.get("server") != self._server:
            raise SekhaConfigError(
                f"journal: {name} belongs to an import into {header.get('server')}; give the address as it was then, "
                "or name another file if this is another memory"
            )
        self.since = str(header.get("since") or "")
        for line in lines[1:]:
            self._apply(_data(line))

    def start(self, since: str | None) -> None:
        """Note that the import begins, and what the server's clock says; a journal that goes on keeps what it has."""
        self.since = since or ""
        self._note({"sekha_import": 1, "server": self._server, "since": self.since})

    @property
    def ids(self) -> set[str]:
        """What is known to be stored."""
        with self._lock:
            return set(self._ids.values())

    def entry(self, conversation: Mapping[str, Any]) -> Entry:
        """What is known of the next conversation; the second of two that are alike is another one."""
        alike = fingerprint(conversation)
        self._met[alike] += 1
        key = f"{alike}.{self._met[alike]}"
        return Entry(key, key in self._open, self._breaks[key], self._ids.get(key))

    def is_open(self, key: str) -> bool:
        """Whether it, or another that is just alike, was begun and nobody knows how that ended."""
        return self._alike[_print_of(key)] > 0

    def begin(self, key: str) -> None:
        """A conversation is about to be sent.

        Raises:
            OSError: That cannot be noted: it must not be sent.
        """
        self._note({"begin": key})

    def done(self, key: str, id: str) -> None:
        """It is stored."""
        self._note({"done": key, "id": id})

    def broke(self, key: str) -> None:
        """It was sent, and nobody knows what became of it."""
        self._note({"broke": key})

    def left_out(self, key: str) -> None:
        """That was so too often: one import does without it, and the next tries it again."""
        self._note({"left out": key})

    def refused(self, key: str) -> None:
        """It is certain that nothing was stored."""
        self._note({"refused": key})

    def close(self) -> None:
        """Let go of the file; no more notes can be taken."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _note(self, data: Mapping[str, object]) -> None:
        line = json.dumps(data).encode() + b"\n"
        with self._lock:
            if self._path is not None:
                if self._file is None or not self._is_whole:
                    raise OSError("the journal of the import cannot be written any more")
                self._is_whole = False
                if self._file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, "the journal of the import cannot be written", self._path)
                self._is_whole = True
            self._apply(data)

    def _apply(self, data: Mapping[str, Any]) -> None:
        if isinstance(key := data.get("begin"), str):
            self._close_one(key)
            self._open.add(key)
            self._alike[_print_of(key)] += 1
        elif isinstance(key := data.get("done"), str):
            self._close_one(key)
            self._ids[key] = str(data.get("id"))
        elif isinstance(key := data.get("refused"), str):
            self._close_one(key)
        elif isinstance(key := data.get("broke"), str):
            self._breaks[key] += 1
        elif isinstance(key := data.get("left out"), str):
            self._breaks[key] = 0

    def _close_one(self, key: str) -> None:
        if key in self._open:
            self._open.remove(key)
            self._alike[_print_of(key)] -= 1


def _print_of(key: str) -> str:
    return key.rpartition(".")[0]


def _data(line: bytes) -> dict[str, Any]:
    """What a line says; nothing, where it was cut."""
    try:
        return as_object(json.loads(line)) or {}
    except ValueError:
        return {}


def _take_lock(file: BinaryIO, path: str) -> None:
    """Take the file for this process; the system lets it go with the process."""
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SekhaConfigError(f"journal: {os.path.basename(path)} is in use by another import") from None
    except OSError:
        pass  # a file system without locks
