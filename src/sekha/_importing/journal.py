"""The journal of an import: one line before each conversation is stored, and one after it.

Thus an interrupted import can be resumed without duplicates or losses.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sekha._importing.digests import Digests, digest, digest_text, fingerprint, fingerprints_of_beginnings
from sekha._importing.journal_file import JournalFile, Line
from sekha._importing.sources import Extent, Known, Origin, SourceIndex, is_chat
from sekha.errors import SekhaConfigError
from sekha.exports._notes import Source

_MAX_DIGITS = 15
"""Maximum number of digits of the number of identical conversations; the hash of a source has more."""


class Begun(NamedTuple):
    """A conversation that was about to be stored: its key, its source, and the hashes of the request."""

    key: str
    origin: Origin
    sent: Digests


class Entry(NamedTuple):
    """The state of a conversation in the journal.

    Attributes:
        key: Its key in the journal.
        is_open: Whether it was about to be stored, with an unknown outcome.
        unknown_outcomes: Number of requests with an unknown outcome.
        id: Its ID if it is stored, else None.
        size: Number of stored messages, if it has new ones; None if all are stored.
    """

    key: str
    is_open: bool
    unknown_outcomes: int
    id: str | None
    size: int | None = None


NO_ENTRY = Entry("", False, 0, None)


def piece_key(source: Source, sent: Digests) -> str:
    """Return the key of a piece of a chat in the journal."""
    return f"{digest_text(''.join(sent))}.{digest_text(' '.join(source))}"


class Journal:
    """The journal, in a file or in memory, for one import at a time.

    Args:
        path: The file; None to keep the journal in memory.
        server: URL of the server, for which the journal is valid. None to read the journal of any server.
        folder: The folder of the client's view, for which the journal is valid; None for the whole memory.
        reads_older: Whether to read other journals in the same folder: older versions created one for each file.

    Attributes:
        since: Time of the server's clock when the import started; empty if unknown, None before the start.
    """

    def __init__(
        self, path: str | None, server: str | None, folder: str | None = None, *, reads_older: bool = False
    ) -> None:
        self._reads_older = reads_older
        self._older_since: str | None = None  # start of the first of the older imports
        self.since: str | None = None
        self._server = server
        self._folder = folder
        self._file = None if path is None else JournalFile(path)
        self._header: dict[str, object] | None = None  # written with the first record: no file for an empty journal
        self._lock = threading.Lock()  # for writes of several threads
        self._seen: Counter[str] = Counter()  # by fingerprint
        self._open: set[str] = set()  # keys of conversations with an unknown outcome
        self._open_by_fingerprint: Counter[str] = Counter()
        self._unknown_outcomes: Counter[str] = Counter()
        self._ids: dict[str, str] = {}
        self._keys: defaultdict[str, list[str]] = defaultdict(list)  # by id
        self._sources = SourceIndex()
        self._begun: dict[str, Begun] = {}  # records of open keys that have a source, by key
        self._numbers: Counter[str] = Counter()  # number of identical conversations, by fingerprint
        self._claimed: set[str] = set()  # keys that were assigned to items with an ID

    def peek(self) -> None:
        """Read the journal without changing it.

        Raises:
            SekhaConfigError: The file is not a journal, or belongs to another server.
            OSError: The file cannot be read.
        """
        if self._file is None:
            return
        lines = self._file.peek()
        if self._server is None and lines:
            self._server = lines[0].get("server")
        if self._reads_older:
            self._read_older(self._file)
        if lines:
            self._read(lines)

    def open(self) -> None:
        """Read the journal, and lock the file until `close`.

        Raises:
            SekhaConfigError: The file is not a journal, or belongs to another server.
            SekhaInUseError: Another import uses the file.
            OSError: The file cannot be read or written.
        """
        if self._file is not None:
            if self._reads_older:
                self._read_older(self._file)
            self._file.open(self._read)

    def _read_older(self, file: JournalFile) -> None:
        """Read chats from other journals in the folder, except those of other servers and of notes."""
        for header, *lines in file.others():
            is_ours = self._server in (None, header.get("server")) and header.get("folder") == self._folder
            if header.get("sekha_import") == 1 and is_ours:
                since = str(header.get("since") or "")
                self._older_since = since if self._older_since is None else min(self._older_since, since)
                for line in lines:
                    if not line.get("source") or is_chat(Source(*line["source"])):
                        self._apply(line)

    def _read(self, lines: Sequence[Line]) -> None:
        header, name = lines[0], "" if self._file is None else self._file.name
        if header.get("sekha_import") != 1:
            raise SekhaConfigError(f"journal: {name} is not a journal of an import")
        if header.get("server") != self._server:
            raise SekhaConfigError(
                f"journal: {name} is for an import into {header.get('server')}; use the same URL, or another "
                "journal file for another server"
            )
        if header.get("folder") != self._folder:
            raise SekhaConfigError(
                f"journal: {name} is for an import into another folder; resume it with the same client or folder view, "
                "or use another journal file"
            )
        self.since = self._earlier(str(header.get("since") or ""))
        for line in lines[1:]:
            self._apply(line)

    def start(self, since: str | None) -> None:
        """Record the start of the import by the server's clock; a resumed journal keeps the earlier start."""
        self.since = self._earlier(since or "")
        folder = {} if self._folder is None else {"folder": self._folder}
        self._header = {"sekha_import": 1, "server": self._server, "since": self.since, **folder}

    def _earlier(self, since: str) -> str:
        """Return the start of the import, or of an older one that has left unknown outcomes."""
        return since if self._older_since is None or not self._open else min(since, self._older_since)

    @property
    def ids(self) -> set[str]:
        """The IDs of all stored conversations."""
        with self._lock:
            return set(self._ids.values())

    def notes(self) -> dict[Source, Known]:
        """Return the record of each note."""
        with self._lock:
            return self._sources.notes()

    def pieces(self, chat: str) -> dict[int, Known]:
        """Return the stored pieces of a chat, by the number of messages before each, in order."""
        with self._lock:
            return self._sources.pieces(chat)

    def stale(self, source: Source | None = None) -> dict[str, Source]:
        """Return the IDs of earlier versions that are still in the memory, with their sources.

        Args:
            source: A note, or any piece of a chat; None for all sources.

        Returns:
            Source of each conversation, by ID.
        """
        with self._lock:
            if source is None:
                return dict(self._sources.stale)
            return {
                id: one
                for id, one in self._sources.stale.items()
                if one == source or (is_chat(one) and one.file == source.file)
            }

    def entry(self, conversation: Mapping[str, Any], source: Source | None = None) -> Entry:
        """Return the state of the next conversation; identical conversations are separate.

        Args:
            conversation: The conversation to store.
            source: Its source; without one, identical conversations are distinguished by their order.

        Returns:
            The state.
        """
        alike = fingerprint(conversation)
        if source is None:
            self._seen[alike] += 1
            key = f"{alike}.{self._seen[alike]}"
        else:
            key = f"{alike}.{digest(source)}"
        return Entry(key, key in self._open, self._unknown_outcomes[key], self._ids.get(key))

    def older_entry(self, conversation: Mapping[str, Any]) -> Entry:
        """Return the state of a conversation with an ID in journals of older versions, which did not record IDs."""
        if not self._numbers:
            return NO_ENTRY
        beginnings = fingerprints_of_beginnings(conversation)
        with self._lock:
            for size in range(len(beginnings), 0, -1):
                alike, is_whole = beginnings[size - 1], size == len(beginnings)
                for number in range(1, self._numbers[alike] + 1):
                    key = f"{alike}.{number}"
                    id, is_open = self._ids.get(key), key in self._open
                    is_free = is_open and is_whole if id is None else not self._sources.owns(id)
                    if is_free and key not in self._claimed:
                        self._claimed.add(key)
                        return Entry(key, is_open, self._unknown_outcomes[key], id, None if is_whole else size)
        return NO_ENTRY

    def unknown_outcomes(self, key: str) -> int:
        """Return the number of requests with an unknown outcome."""
        return self._unknown_outcomes[key]

    def is_open(self, key: str) -> bool:
        """Return whether this or an identical conversation has an unknown outcome."""
        return self._open_by_fingerprint[_fingerprint_of(key)] > 0

    def begun(self, chat: Source | None = None) -> list[Begun]:
        """Return the conversations with an unknown outcome of a chat, or of all notes."""
        with self._lock:
            return [
                one
                for one in self._begun.values()
                if (not is_chat(one.origin.source) if chat is None else one.origin.source.file == chat.file)
            ]

    def begin(self, key: str, origin: Origin | None = None, sent: Digests | None = None) -> None:
        """Record that a conversation is about to be sent, with its source and the hashes of the request.

        Raises:
            OSError: The record cannot be written, so the conversation must not be sent.
        """
        note: dict[str, object] = {"begin": key}
        if origin is not None:
            note.update(_origin_note(origin), **({} if sent == origin.digests else {"sent": sent}))
        self._note(note)

    def done(self, key: str, id: str, origin: Origin | None = None) -> None:
        """Record that it is stored; other versions of the same source are then stale."""
        note: dict[str, object] = {"done": key, "id": id}
        begun = self._begun.get(key)
        if origin is None:
            note.update({} if begun is None else {"source": None})
        elif begun is None or begun.origin != origin or not is_chat(origin.source):  # read by older versions, for notes
            note.update(_origin_note(origin))
        self._note(note)

    def removed(self, id: str) -> None:
        """Record that a conversation is no longer in the memory."""
        self._note({"removed": id})

    def mark_unknown(self, key: str) -> None:
        """Record that it was sent, with an unknown outcome."""
        self._note({"broke": key})

    def mark_skipped(self, key: str) -> None:
        """Record that this run skips it after too many unknown outcomes; the next run retries it."""
        self._note({"left out": key})

    def refused(self, key: str) -> None:
        """Record that it is certainly not stored."""
        self._note({"refused": key})

    def suppose(self, key: str, id: str, origin: Origin | None) -> None:
        """Treat a conversation as stored, without a record: for a preview."""
        with self._lock:
            self._apply({"done": key, "id": id, **({} if origin is None else _origin_note(origin))})

    def close(self) -> None:
        """Close the file; no more records can be written. An empty file is removed."""
        with self._lock:
            if self._file is not None:
                self._file.close()

    def _note(self, data: Line) -> None:
        with self._lock:
            if self._file is not None:
                self._file.append([data] if self._header is None else [self._header, data])
                self._header = None
            self._apply(data)

    def _apply(self, data: Mapping[str, Any]) -> None:
        if isinstance(key := data.get("begin"), str):
            self._mark_closed(key)
            self._open.add(key)
            self._count_number(key)
            if data.get("source"):
                self._begun[key] = Begun(key, _read_origin(data), Digests(*data.get("sent", data["as"])))
            self._open_by_fingerprint[_fingerprint_of(key)] += 1
        elif isinstance(key := data.get("done"), str):
            begun = self._mark_closed(key)
            self._ids[key] = id = str(data.get("id"))
            self._keys[id].append(key)
            self._count_number(key)
            origin = None if begun is None or "source" in data else begun.origin
            if data.get("source"):
                origin = _read_origin(data)
            if origin is not None:
                source, digests, extent = origin
                if self._sources.add(source, Known(id, digests, extent)):
                    for other in self._keys[id]:
                        if other != key:
                            self._ids.pop(other, None)
        elif isinstance(gone := data.get("removed"), str):
            for key in self._keys.pop(gone, ()):
                if self._ids.get(key) == gone:
                    del self._ids[key]
            self._sources.remove(gone)
        elif isinstance(key := data.get("refused"), str):
            self._mark_closed(key)
        elif isinstance(key := data.get("broke"), str):
            self._unknown_outcomes[key] += 1
        elif isinstance(key := data.get("left out"), str):
            self._unknown_outcomes[key] = 0

    def _count_number(self, key: str) -> None:
        alike, _, number = key.rpartition(".")
        if len(number) <= _MAX_DIGITS:
            self._numbers[alike] += 1

    def _mark_closed(self, key: str) -> Begun | None:
        """Record that the outcome is known; return the source, if any."""
        if key not in self._open:
            return None
        self._open.remove(key)
        self._open_by_fingerprint[_fingerprint_of(key)] -= 1
        return self._begun.pop(key, None)


def _fingerprint_of(key: str) -> str:
    return key.rpartition(".")[0]


def _origin_note(origin: Origin) -> dict[str, object]:
    note: dict[str, object] = {"source": origin.source, "as": origin.digests}
    return {**note, "of": origin.extent} if origin.extent.size else note


def _read_origin(data: Line) -> Origin:
    source = data["source"]
    if isinstance(source, Source):  # recorded by this run, not read from the file
        return Origin(source, data["as"], data.get("of", Extent()))
    return Origin(Source(*source), Digests(*data["as"]), Extent(*data.get("of", ())))
