"""The journal of an import: a line before each conversation is stored, and one after it.

So nothing is stored twice and nothing is lost, wherever the process ends.
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
"""Digits of the number that tells identical conversations apart; the hash of a source has more."""


class Begun(NamedTuple):
    """A conversation that was about to be stored: its key, where it is from, and the hashes of what was sent."""

    key: str
    origin: Origin
    sent: Digests


class Entry(NamedTuple):
    """What the journal says about a conversation.

    Attributes:
        key: Its name in the journal.
        is_open: Whether it was about to be stored, and the outcome is unknown.
        unknown_outcomes: How often it was sent with an unknown outcome.
        id: Its id if it is known to be stored, else None.
        size: The number of its first messages that are stored, if it has grown since; None for all.
    """

    key: str
    is_open: bool
    unknown_outcomes: int
    id: str | None
    size: int | None = None


NO_ENTRY = Entry("", False, 0, None)


def piece_key(source: Source, sent: Digests) -> str:
    """Return the name of a piece of a chat in the journal."""
    return f"{digest_text(''.join(sent))}.{digest_text(' '.join(source))}"


class Journal:
    """Notes in a file, or in memory alone; one import at a time.

    Args:
        path: The file; None for none.
        server: Address of the server; the notes do not apply to another one. None for any, to look at them only.
        folder: The folder to which the client is confined, to which the notes belong, too; None for the whole memory.
        reads_older: Whether the other journals of its folder count as well: older versions made one for each file.

    Attributes:
        since: Time of the server's clock when the import began; empty if it is unknown, None before it begins.
    """

    def __init__(
        self, path: str | None, server: str | None, folder: str | None = None, *, reads_older: bool = False
    ) -> None:
        self._reads_older = reads_older
        self._older_since: str | None = None  # when the first of the older imports began
        self.since: str | None = None
        self._server = server
        self._folder = folder
        self._file = None if path is None else JournalFile(path)
        self._header: dict[str, object] | None = None  # written with the first note: no journal is made for none
        self._lock = threading.Lock()  # several threads write
        self._seen: Counter[str] = Counter()  # by fingerprint
        self._open: set[str] = set()  # keys of conversations that were begun, with an unknown outcome
        self._open_by_fingerprint: Counter[str] = Counter()
        self._unknown_outcomes: Counter[str] = Counter()
        self._ids: dict[str, str] = {}
        self._keys: defaultdict[str, list[str]] = defaultdict(list)  # by id
        self._sources = SourceIndex()
        self._begun: dict[str, Begun] = {}  # those of the open keys that have a source, by key
        self._numbers: Counter[str] = Counter()  # how many identical conversations it knows, by fingerprint
        self._claimed: set[str] = set()  # keys that an item with an id has found

    def peek(self) -> None:
        """Read the notes as they are, and change nothing.

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
        """Read the notes, and lock the file until `close`.

        Raises:
            SekhaConfigError: The file is not a journal, or belongs to another server.
            SekhaInUseError: Another import uses it.
            OSError: The file cannot be read or written.
        """
        if self._file is not None:
            if self._reads_older:
                self._read_older(self._file)
            self._file.open(self._read)

    def _read_older(self, file: JournalFile) -> None:
        """Read what other journals in the folder know of chats; those of other servers and of notes do not count."""
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
            raise SekhaConfigError(f"journal: {name} is no journal of an import")
        if header.get("server") != self._server:
            raise SekhaConfigError(
                f"journal: {name} belongs to an import into {header.get('server')}; give the address as it was then, "
                "or name another file if this is another memory"
            )
        if header.get("folder") != self._folder:
            raise SekhaConfigError(
                f"journal: {name} belongs to an import into another folder; continue that on the client, or the view, "
                "on which it was begun, or name another file"
            )
        self.since = self._earlier(str(header.get("since") or ""))
        for line in lines[1:]:
            self._apply(line)

    def start(self, since: str | None) -> None:
        """Note that the import begins, and the time of the server's clock; a resumed journal keeps what it has."""
        self.since = self._earlier(since or "")
        folder = {} if self._folder is None else {"folder": self._folder}
        self._header = {"sekha_import": 1, "server": self._server, "since": self.since, **folder}

    def _earlier(self, since: str) -> str:
        """Return when the import began, or an older one that has left something of unknown outcome."""
        return since if self._older_since is None or not self._open else min(since, self._older_since)

    @property
    def ids(self) -> set[str]:
        """The ids of all conversations that are known to be stored."""
        with self._lock:
            return set(self._ids.values())

    def notes(self) -> dict[Source, Known]:
        """Return what is known of each note."""
        with self._lock:
            return self._sources.notes()

    def pieces(self, chat: str) -> dict[int, Known]:
        """Return the pieces of a chat that are stored, each by the number of messages before it, in their order."""
        with self._lock:
            return self._sources.pieces(chat)

    def stale(self, source: Source | None = None) -> dict[str, Source]:
        """Return the ids of earlier versions that are still in the memory, and the source of each.

        Args:
            source: A note, or any piece of a chat whose earlier versions are wanted; None for those of all.
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
        """Return what is known of the next conversation; identical conversations are separate ones.

        Args:
            conversation: What is to be stored.
            source: Where it is from; without one, identical conversations are known by their order.
        """
        alike = fingerprint(conversation)
        if source is None:
            self._seen[alike] += 1
            key = f"{alike}.{self._seen[alike]}"
        else:
            key = f"{alike}.{digest(source)}"
        return Entry(key, key in self._open, self._unknown_outcomes[key], self._ids.get(key))

    def older_entry(self, conversation: Mapping[str, Any]) -> Entry:
        """Return what is known of a conversation with an id from when ids were not noted."""
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
        """Return how often something was sent with an unknown outcome."""
        return self._unknown_outcomes[key]

    def is_open(self, key: str) -> bool:
        """Return whether it or an identical conversation was begun, with an unknown outcome."""
        return self._open_by_fingerprint[_fingerprint_of(key)] > 0

    def begun(self, chat: Source | None = None) -> list[Begun]:
        """Return what was begun and has an unknown outcome: of a chat, or of all notes."""
        with self._lock:
            return [
                one
                for one in self._begun.values()
                if (not is_chat(one.origin.source) if chat is None else one.origin.source.file == chat.file)
            ]

    def begin(self, key: str, origin: Origin | None = None, sent: Digests | None = None) -> None:
        """Note that a conversation is about to be sent, where it is from, and the hashes of what is sent.

        Raises:
            OSError: The note cannot be written, so it must not be sent.
        """
        note: dict[str, object] = {"begin": key}
        if origin is not None:
            note.update(_origin_note(origin), **({} if sent == origin.digests else {"sent": sent}))
        self._note(note)

    def done(self, key: str, id: str, origin: Origin | None = None) -> None:
        """Note that it is stored; another version of the same source is stale then."""
        note: dict[str, object] = {"done": key, "id": id}
        begun = self._begun.get(key)
        if origin is None:
            note.update({} if begun is None else {"source": None})
        elif begun is None or begun.origin != origin or not is_chat(origin.source):  # older versions read it for notes
            note.update(_origin_note(origin))
        self._note(note)

    def removed(self, id: str) -> None:
        """Note that a conversation is not in the memory any more."""
        self._note({"removed": id})

    def mark_unknown(self, key: str) -> None:
        """Note that it was sent, and that the outcome is unknown."""
        self._note({"broke": key})

    def mark_skipped(self, key: str) -> None:
        """Note that this run skips it, because the outcome was unknown too often; the next run tries it again."""
        self._note({"left out": key})

    def refused(self, key: str) -> None:
        """Note that it is certainly not stored."""
        self._note({"refused": key})

    def suppose(self, key: str, id: str, origin: Origin | None) -> None:
        """Take a conversation for stored, and note nothing: for a look at what an import would do."""
        with self._lock:
            self._apply({"done": key, "id": id, **({} if origin is None else _origin_note(origin))})

    def close(self) -> None:
        """Close the file; no more notes can be written. A file without any is removed."""
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
        """Note that the outcome is known; return where it is from, if it has a source."""
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
    if isinstance(source, Source):  # it was noted just now, and not read
        return Origin(source, data["as"], data.get("of", Extent()))
    return Origin(Source(*source), Digests(*data["as"]), Extent(*data.get("of", ())))
