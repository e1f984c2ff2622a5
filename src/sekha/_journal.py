"""The journal of an import: what is about to be stored is noted before, what was stored after, so that nothing is
stored twice and nothing is lost, wherever the program ends."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Literal, NamedTuple

try:
    import fcntl
except ModuleNotFoundError:  # Windows, where nobody looks whether another import uses the file
    fcntl = None  # type: ignore[assignment]  # there is none

from sekha._dialect import as_text
from sekha._json import as_object, get
from sekha.errors import SekhaConfigError, SekhaValidationError
from sekha.type_guards import extract_text

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
        began: When it was about to be stored, in seconds since 1970, if nobody knows how that ended; else None.
        id: The id under which it is stored; None if it is not known to be.
    """

    key: str
    began: float | None
    id: str | None


class Journal:
    """Notes in a file, or in memory alone; one import at a time.

    Args:
        path: The file; None for none.
        server: Address of the server: the notes say nothing about another one.
    """

    def __init__(self, path: str | None, server: str) -> None:
        self._path = path
        self._server = server
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()  # several threads take notes
        self._met: Counter[str] = Counter()
        self._open: dict[str, float] = {}  # begun, and nobody knows how that ended
        self._ids: dict[str, str] = {}
        self.since: str | None = None

    @property
    def ids(self) -> set[str]:
        """What is known to be stored."""
        with self._lock:
            return set(self._ids.values())

    def is_open(self, key: str) -> bool:
        """Whether it, or another that is just alike, was begun and nobody knows how that ended."""
        alike = key.rpartition(".")[0]
        with self._lock:
            return any(each.rpartition(".")[0] == alike for each in self._open)

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
            _lock(self._file, self._path)
            self._file.seek(0)
            lines = self._file.read().split(b"\n")
            for number, line in enumerate(lines):
                self._take(line, is_first=number == 0, is_last=number == len(lines) - 1)
            if lines[-1]:
                self._file.write(b"\n")  # a line that was cut when the program ended
        except BaseException:
            self.close()
            raise

    def start(self, since: str | None) -> None:
        """Note that the import begins, and what the server's clock says; a journal that goes on keeps what it has."""
        if self.since is None:
            self.since = since or ""
            self._note({"sekha_import": 1, "server": self._server, "since": self.since})

    def entry(self, conversation: Mapping[str, Any]) -> Entry:
        """What is known of the next conversation; the second of two that are alike is another one."""
        print_ = fingerprint(conversation)
        self._met[print_] += 1
        key = f"{print_}.{self._met[print_]}"
        return Entry(key, self._open.get(key), self._ids.get(key))

    def begin(self, key: str) -> None:
        """A conversation is about to be sent."""
        with self._lock:
            self._open[key] = time.time()
            self._note({"begin": key, "at": round(self._open[key], 3)})

    def done(self, key: str, id: str) -> None:
        """It is stored."""
        with self._lock:
            self._note({"done": key, "id": id})
            self._ids[key] = id
            self._open.pop(key, None)

    def refused(self, key: str) -> None:
        """It is certain that nothing was stored."""
        with self._lock:
            self._note({"refused": key})
            self._open.pop(key, None)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _note(self, data: Mapping[str, object]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(data).encode() + b"\n")

    def _take(self, line: bytes, *, is_first: bool, is_last: bool) -> None:
        try:
            data = as_object(json.loads(line)) if line else None
        except ValueError:
            data = None
        if is_first and line and get(data, "sekha_import") != 1 and not is_last:
            raise SekhaConfigError(
                f"journal: {os.path.basename(self._path or '')} is another file, no journal of an import"
            )
        if data is None:
            return
        if "sekha_import" in data:
            if data.get("server") != self._server:
                raise SekhaConfigError(f"journal: it belongs to an import into {data.get('server')}; name another file")
            self.since = str(data.get("since") or "")
        elif "begin" in data:
            self._open[str(data["begin"])] = float(data.get("at") or 0)
        elif "done" in data:
            self._ids[str(data["done"])] = str(data.get("id"))
            self._open.pop(str(data["done"]), None)
        elif "refused" in data:
            self._open.pop(str(data["refused"]), None)


def _lock(file: BinaryIO, path: str) -> None:
    """Take the file for this process; the system lets it go with the process."""
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise SekhaConfigError(f"journal: {os.path.basename(path)} is in use by another import") from None
