"""The data of the local Sekha: conversations, messages, vectors and a full-text index in one SQLite database."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import uuid
from array import array
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from operator import itemgetter, mul
from pathlib import Path
from typing import AbstractSet, Any, Dict, Generator, List, NamedTuple, Optional, Sequence, Tuple, Union

_APPLICATION_ID = 0x53454B48  # "SEKH"; the database of another application is refused
_MAX_INT = 2**63 - 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, label TEXT NOT NULL, folder TEXT NOT NULL,
    status TEXT NOT NULL, importance INTEGER NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    conversation_id TEXT NOT NULL REFERENCES conversations (id),
    role TEXT NOT NULL, timestamp TEXT NOT NULL, model TEXT, vector BLOB, content TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS messages_of ON messages (conversation_id);
CREATE VIRTUAL TABLE IF NOT EXISTS message_words USING fts5 (content, tokenize = 'porter unicode61');
CREATE TRIGGER IF NOT EXISTS message_added AFTER INSERT ON messages
    BEGIN INSERT INTO message_words (rowid, content) VALUES (new.number, new.content); END;
CREATE TRIGGER IF NOT EXISTS message_removed AFTER DELETE ON messages
    BEGIN DELETE FROM message_words WHERE rowid = old.number; END;
"""
_SELECT_CONVERSATIONS = """
    SELECT c.id, c.label, c.folder, c.status, c.importance, c.created_at, c.updated_at,
           COUNT(m.number), COALESCE(SUM(LENGTH(CAST(m.content AS BLOB))), 0)
    FROM (SELECT * FROM conversations c WHERE {} ORDER BY updated_at DESC, number DESC LIMIT ? OFFSET ?) c
    LEFT JOIN messages m ON m.conversation_id = c.id
    GROUP BY c.number ORDER BY c.updated_at DESC, c.number DESC"""
_MESSAGE_COLUMNS = "m.id, m.conversation_id, m.role, m.content, m.timestamp, c.label, c.folder, c.status, c.importance"


class Conversation(NamedTuple):
    """A stored conversation; times are ``YYYY-MM-DDTHH:MM:SS.nnnnnnnnn`` in UTC."""

    id: str
    label: str
    folder: str
    status: str
    importance: int
    created_at: str
    updated_at: str
    message_count: int
    bytes: int


class Message(NamedTuple):
    """A stored message, with the fields of its conversation that filters and results need."""

    id: str
    conversation_id: str
    role: str
    content: str
    timestamp: str
    label: str
    folder: str
    status: str
    importance: int


class NewMessage(NamedTuple):
    """A message to be stored; without a timestamp it has the time at which it is stored."""

    role: str
    content: str
    timestamp: Optional[str] = None


class Dates(NamedTuple):
    """When a conversation was begun and changed last, None for the time at which it is stored; and its status."""

    created_at: Optional[str] = None
    updated_at: Optional[str] = None
    status: str = "active"


NO_DATES = Dates()


class SearchResult(NamedTuple):
    """A message that a search has found, and its score: the similarity (0 to 1), in controller 0.1 the distance."""

    score: float
    message: Message


class PruneCandidate(NamedTuple):
    """A conversation that has not been changed for long, with a recommendation."""

    conversation: Conversation
    tokens: int
    preview: str
    recommendation: str


class NotFound(Exception):
    """There is no conversation with this id."""


class Filter(NamedTuple):
    """Conditions on conversations and their messages; None stands for any."""

    labels: Optional[Sequence[str]] = None
    folder: Optional[str] = None
    status: Optional[str] = None
    not_status: Optional[str] = None
    min_importance: Optional[float] = None
    below_importance: Optional[float] = None
    start: Optional[str] = None
    end: Optional[str] = None

    def intersect(self, other: Filter) -> Filter:
        """Return a filter that matches what both match."""
        labels = other.labels if self.labels is None else self.labels
        if self.labels is not None and other.labels is not None:
            labels = [label for label in self.labels if label in other.labels]
        disjoint = None not in (self.folder, other.folder) and self.folder != other.folder
        return self._replace(
            labels=[] if disjoint else labels,
            folder=self.folder if other.folder is None else other.folder,
            min_importance=max((x for x in (self.min_importance, other.min_importance) if x is not None), default=None),
            start=max((x for x in (self.start, other.start) if x is not None), default=None),
            end=min((x for x in (self.end, other.end) if x is not None), default=None),
        )

    def where(self, time_column: str) -> Tuple[str, List[Any]]:
        """Return the condition in SQL and its parameters; times are compared with ``time_column``."""
        tests: List[Tuple[str, Any]] = [
            ("c.folder = ?", self.folder),
            ("c.status = ?", self.status),
            ("c.status <> ?", self.not_status),
            ("c.importance >= ?", self.min_importance),
            ("c.importance < ?", self.below_importance),
            (f"{time_column} >= ?", self.start),
            (f"{time_column} <= ?", self.end),
        ]
        used = [(test, value) for test, value in tests if value is not None]
        parts, values = [test for test, _ in used], [value for _, value in used]
        if self.labels is not None:
            parts.append("c.label IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(self.labels)))
        return " AND ".join(parts) or "1", values


def format_timestamp(nanoseconds: int) -> str:
    """Format a time as the store does: UTC, nine digits, no zone, so that strings sort like times."""
    seconds, fraction = divmod(max(0, min(nanoseconds, 253_402_300_799 * 10**9)), 10**9)
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}"


class Store:
    """The database, for one thread at a time.

    Args:
        path: The file, created when missing (readable by its owner only); None keeps everything in memory.

    Raises:
        OSError: The file cannot be opened for writing.
        sqlite3.Error: The file is not a database of the local Sekha.
    """

    def __init__(self, path: Union[str, Path, None] = None) -> None:
        if path is not None:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(
            ":memory:" if path is None else str(path), isolation_level=None, check_same_thread=False
        )
        try:
            owner = self._db.execute("PRAGMA application_id").fetchone()[0]
            if owner != _APPLICATION_ID and self._db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                raise sqlite3.DatabaseError("it is the database of another application")
            self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            # It returns a row; left unread, it would block every COMMIT until its cursor is garbage collected.
            self._db.execute("PRAGMA journal_mode = WAL").fetchall()
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.create_function("FOLD", 1, str.casefold, deterministic=True)
            self._db.executescript(_SCHEMA)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database; its file stays."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Store all that the block writes, or, after an error, nothing of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Conversations

    def add(
        self,
        label: str,
        folder: str,
        importance: int,
        messages: Sequence[NewMessage],
        vectors: Sequence[Optional[Sequence[float]]],
        model: Optional[str],
        dates: Dates = NO_DATES,
    ) -> Conversation:
        """Store a conversation with its messages and their vectors in one transaction; what has no date is of now."""
        identity, now = str(uuid.uuid4()), format_timestamp(time.time_ns())
        created = dates.created_at or dates.updated_at or now
        updated = max(created, dates.updated_at or created)
        with self.transaction():
            self._db.execute(
                "INSERT INTO conversations (id, label, folder, status, importance, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (identity, label, folder, dates.status, importance, created, updated),
            )
            self.append(identity, created, messages, vectors, model)
        size = sum(len(message.content.encode()) for message in messages)
        return Conversation(identity, label, folder, dates.status, importance, created, updated, len(messages), size)

    def append(
        self,
        identity: str,
        now: str,
        messages: Sequence[NewMessage],
        vectors: Sequence[Optional[Sequence[float]]],
        model: Optional[str],
    ) -> None:
        """Store further messages of a conversation."""
        self._db.executemany(
            "INSERT INTO messages (id, conversation_id, role, timestamp, model, vector, content)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    str(uuid.uuid4()),
                    identity,
                    message.role,
                    message.timestamp or now,
                    vector and model,
                    vector and _pack_vector(vector),
                    message.content,
                )
                for message, vector in zip(messages, vectors)
            ],
        )

    def get(self, identity: str) -> Optional[Conversation]:
        """Return a conversation, or None."""
        rows = self._db.execute(_SELECT_CONVERSATIONS.format("c.id = ?"), (identity, 1, 0)).fetchall()
        return Conversation(*rows[0]) if rows else None

    def conversations(self, matching: Filter, limit: int = _MAX_INT, offset: int = 0) -> List[Conversation]:
        """Return conversations, most recently updated first."""
        where, values = matching.where("c.updated_at")
        values += [min(limit, _MAX_INT), min(offset, _MAX_INT)]
        rows = self._db.execute(_SELECT_CONVERSATIONS.format(where), values)
        return [Conversation(*row) for row in rows]

    def count(self, matching: Filter) -> int:
        """Count conversations."""
        where, values = matching.where("c.updated_at")
        return int(self._db.execute(f"SELECT COUNT(*) FROM conversations c WHERE {where}", values).fetchone()[0])

    def count_labels_containing(self, part: str) -> int:
        """Count the conversations whose label contains a text, ignoring case; no character is a wildcard."""
        query = "SELECT COUNT(*) FROM conversations WHERE INSTR(FOLD(label), ?)"
        return int(self._db.execute(query, (part.casefold(),)).fetchone()[0])

    def update(self, identity: str, **columns: Union[str, int]) -> bool:
        """Change columns of a conversation; return False if there is none with this id."""
        columns = {"updated_at": format_timestamp(time.time_ns()), **columns}
        names = ", ".join(f"{name} = ?" for name in columns)
        values = (*columns.values(), identity)
        return self._db.execute(f"UPDATE conversations SET {names} WHERE id = ?", values).rowcount > 0

    def delete(self, identity: str) -> bool:
        """Delete a conversation with its messages; return False if there was none."""
        with self.transaction():
            self._db.execute("DELETE FROM messages WHERE conversation_id = ?", (identity,))
            return self._db.execute("DELETE FROM conversations WHERE id = ?", (identity,)).rowcount > 0

    def clear(self) -> None:
        """Delete all conversations."""
        with self.transaction():
            self._db.execute("DELETE FROM messages")
            self._db.execute("DELETE FROM conversations")

    def count_all(self) -> Tuple[int, int]:
        """Count all conversations and all messages."""
        query = "SELECT (SELECT COUNT(*) FROM conversations), (SELECT COUNT(*) FROM messages)"
        conversations, messages = self._db.execute(query).fetchone()
        return int(conversations), int(messages)

    # Messages

    def messages(self, matching: Filter, conversation: Optional[str] = None) -> List[Message]:
        """Messages in the order in matching they were stored."""
        where, values = matching.where("m.timestamp")
        if conversation is not None:
            where, values = f"{where} AND c.id = ?", [*values, conversation]
        return [
            Message(*row)
            for row in self._db.execute(self._select(_MESSAGE_COLUMNS, where) + " ORDER BY m.number", values)
        ]

    def nearest(
        self, target: Sequence[float], model: str, matching: Filter, limit: int, offset: int = 0
    ) -> Tuple[List[Tuple[float, Message]], int]:
        """Return the messages nearest to a vector of length 1, best first, with their cosine, and how many there are.

        Only vectors of the same model can be compared. It is a full scan: about 10 ms for a thousand messages.
        """
        used = [place for place, number in enumerate(target) if number]
        if not used:
            return [], 0
        pick = itemgetter(*used, used[0])  # never a single item: that would not be a tuple
        weights = (*(target[place] for place in used), 0.0)
        where, values = matching.where("m.timestamp")
        query = self._select("m.number, m.vector", f"{where} AND m.model = ? AND m.vector IS NOT NULL")
        size, hidden = 4 * len(target), self.hidden_from_search()
        scored = [
            (sum(map(mul, weights, pick(memoryview(blob).cast("f")))), -number)
            for number, blob in self._db.execute(query, (*values, model))
            if len(blob) == size and number not in hidden
        ]
        scored.sort(reverse=True)
        page = scored[offset : offset + limit]
        found = self._messages_by_number([-number for _, number in page])
        return [(score, found[-number]) for score, number in page], len(scored)

    def hidden_from_search(self) -> AbstractSet[int]:
        """Return the numbers of messages whose vectors a search does not find: none, unless the server has that bug."""
        return frozenset()

    def full_text_search(self, query: str, limit: int, ranked: bool = True) -> List[Message]:
        """Return the messages that match an FTS5 query, the most relevant first (or the oldest, if not `ranked`)."""
        select = f"""
            SELECT {_MESSAGE_COLUMNS} FROM message_words w JOIN messages m ON m.number = w.rowid
            JOIN conversations c ON c.id = m.conversation_id
            WHERE message_words MATCH ? ORDER BY {"w.rank, " if ranked else ""}m.number LIMIT ?"""
        return [Message(*row) for row in self._db.execute(select, (query, min(limit, _MAX_INT)))]

    def contents_after(self, after: int, limit: int) -> List[Tuple[int, str]]:
        """Return numbers and contents of the messages after a number, to rebuild their vectors."""
        query = "SELECT number, content FROM messages WHERE number > ? ORDER BY number LIMIT ?"
        return [(int(number), str(content)) for number, content in self._db.execute(query, (after, limit))]

    def set_vectors(self, model: str, vectors: Dict[int, Sequence[float]]) -> None:
        """Replace the vectors of messages, by number."""
        with self.transaction():
            self._db.executemany(
                "UPDATE messages SET model = ?, vector = ? WHERE number = ?",
                [(model, _pack_vector(vector), number) for number, vector in vectors.items()],
            )

    def _messages_by_number(self, numbers: Sequence[int]) -> Dict[int, Message]:
        query = self._select(f"m.number, {_MESSAGE_COLUMNS}", "m.number IN (SELECT value FROM json_each(?))")
        return {number: Message(*row) for number, *row in self._db.execute(query, (json.dumps(numbers),))}

    @staticmethod
    def _select(columns: str, where: str) -> str:
        return f"SELECT {columns} FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE {where}"


def _pack_vector(vector: Sequence[float]) -> bytes:
    return array("f", vector).tobytes()
