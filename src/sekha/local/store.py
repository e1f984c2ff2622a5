"""The data of the local server: conversations, messages, vectors and a full-text index in one SQLite database."""

from __future__ import annotations

import json
import time
import uuid
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

from sekha.local.database import MAX_INTEGER
from sekha.local.match import full_text_query
from sekha.local.records import (
    NO_DATES,
    Conversation,
    Dates,
    Filter,
    Message,
    NewMessage,
    NotFound,
    Statistics,
    format_timestamp,
)
from sekha.local.store_vectors import BLOCK_SIZE, VectorStore

_CONVERSATION_COLUMNS = "id, label, folder, status, importance, created_at, updated_at, message_count, bytes"
_MESSAGE_COLUMNS = "m.id, c.id, m.role, m.content, m.timestamp, c.label, c.folder, c.status, c.importance"
_JOINED = "messages m JOIN conversations c ON c.number = m.conversation"


class Embedded(NamedTuple):
    """Number of messages, and of messages with a vector of a model."""

    messages: int
    with_vector: int


class Store(VectorStore):
    """The database. Use it on one thread at a time."""

    _counted: Optional[Tuple[Tuple[Optional[int], int, int], Embedded]] = None  # data version of SQLite, and counts

    @staticmethod
    def full_text_query(query: str) -> str:
        """Return an FTS5 query in the form for this index."""
        return full_text_query(query)

    # Conversations

    def add(
        self, label: str, folder: str, importance: int, messages: Sequence[NewMessage], dates: Dates = NO_DATES
    ) -> Tuple[Conversation, List[int]]:
        """Store a conversation with its messages in one transaction; missing timestamps are the current time.

        Returns:
            The conversation, and the numbers of its messages, which have no vectors yet.
        """
        identity = str(uuid.uuid4())
        created = dates.created_at or dates.updated_at or format_timestamp(time.time_ns())
        updated = max(created, dates.updated_at or created)
        with self.write():
            self._db.execute(
                "INSERT INTO conversations (id, label, folder, status, importance, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (identity, label, folder, dates.status, importance, created, updated),
            )
            numbers = self._insert_messages(identity, created, messages)
        size = _count_bytes(messages)
        stored = Conversation(identity, label, folder, dates.status, importance, created, updated, len(messages), size)
        return stored, numbers

    def append(self, identity: str, now: str, messages: Sequence[NewMessage]) -> List[int]:
        """Add messages to a conversation in one transaction; return their numbers."""
        with self.write():
            return self._insert_messages(identity, now, messages)

    def _insert_messages(self, identity: str, now: str, messages: Sequence[NewMessage]) -> List[int]:
        query = "SELECT number FROM conversations WHERE id = ?"
        (conversation,) = self._db.execute(query, (identity,)).fetchone()
        insert = "INSERT INTO messages (id, conversation, role, timestamp, content) VALUES (?, ?, ?, ?, ?)"
        numbers: List[int] = []
        for message in messages:
            row = (str(uuid.uuid4()), conversation, message.role, message.timestamp or now, message.content)
            numbers.append(int(self._db.execute(insert, row).lastrowid or 0))
        self._note_changes(numbers)
        self._db.executemany(
            "INSERT INTO message_words (rowid, content) VALUES (?, ?)",
            [(number, self.searchable_text(message.content)) for number, message in zip(numbers, messages)],
        )
        self._db.execute(
            "UPDATE conversations SET message_count = message_count + ?, bytes = bytes + ? WHERE number = ?",
            (len(messages), _count_bytes(messages), conversation),
        )
        return numbers

    def get(self, identity: str) -> Optional[Conversation]:
        """Return a conversation, or None."""
        row = self._db.execute(
            f"SELECT {_CONVERSATION_COLUMNS} FROM conversations WHERE id = ?", (identity,)
        ).fetchone()
        return Conversation(*row) if row else None

    def conversations(self, matching: Filter, limit: int = MAX_INTEGER, offset: int = 0) -> List[Conversation]:
        """Return conversations, most recently updated first."""
        where, values = matching.where("c.updated_at")
        query = f"""SELECT {_CONVERSATION_COLUMNS} FROM conversations c WHERE {where}
            ORDER BY updated_at DESC, number DESC LIMIT ? OFFSET ?"""
        rows = self._db.execute(query, (*values, min(limit, MAX_INTEGER), min(offset, MAX_INTEGER)))
        return [Conversation(*row) for row in rows]

    def useless(
        self, matching: Filter, min_importance: float, limit: int = MAX_INTEGER
    ) -> Tuple[List[Conversation], int, int]:
        """Return conversations: first those below an importance, each group least recently updated first.

        Returns:
            The conversations, and the number and tokens (four bytes each) of all that match.
        """
        where, values = matching.where("c.updated_at")
        query = f"""SELECT {_CONVERSATION_COLUMNS} FROM conversations c WHERE {where}
            ORDER BY importance >= ?, updated_at, number LIMIT ?"""
        rows = self._db.execute(query, (*values, min_importance, min(limit, MAX_INTEGER))).fetchall()
        sums = f"SELECT COUNT(*), COALESCE(SUM(bytes / 4), 0) FROM conversations c WHERE {where}"
        total, tokens = self._db.execute(sums, values).fetchone()
        return [Conversation(*row) for row in rows], int(total), int(tokens)

    def count(self, matching: Filter) -> int:
        """Count conversations."""
        where, values = matching.where("c.updated_at")
        return int(self._db.execute(f"SELECT COUNT(*) FROM conversations c WHERE {where}", values).fetchone()[0])

    def count_labels_containing(self, part: str) -> int:
        """Count the conversations whose label contains a text, ignoring case; no character is a wildcard."""
        query = """SELECT COALESCE(SUM(n), 0) FROM (SELECT label, COUNT(*) AS n FROM conversations GROUP BY label)
            WHERE INSTR(FOLD(label), ?)"""
        return int(self._db.execute(query, (part.casefold(),)).fetchone()[0])

    def labels(self, other_than: str) -> List[str]:
        """Return the distinct labels of all other conversations, most recently updated first."""
        query = "SELECT label FROM conversations WHERE id <> ? GROUP BY label ORDER BY MAX(updated_at) DESC, label"
        return [label for (label,) in self._db.execute(query, (other_than,))]

    def statistics(self, matching: Filter) -> Statistics:
        """Count the conversations that match a filter, and their messages, labels and folders."""
        where, values = matching.where("c.updated_at")
        query = f"SELECT COUNT(*), SUM(message_count), AVG(importance) FROM conversations c WHERE {where}"
        count, messages, importance = self._db.execute(query, values).fetchone()
        names = (f"SELECT DISTINCT {name} FROM conversations c WHERE {where}" for name in ("label", "folder"))
        labels, folders = (sorted(name for (name,) in self._db.execute(query, values)) for query in names)
        return Statistics(int(count), int(messages or 0), float(importance or 0.0), labels, folders)

    def update(self, identity: str, **columns: Union[str, int]) -> bool:
        """Change columns of a conversation; return False if it does not exist."""
        columns = {"updated_at": format_timestamp(time.time_ns()), **columns}
        names = ", ".join(f"{name} = ?" for name in columns)
        values = (*columns.values(), identity)
        with self.write():
            return self._db.execute(f"UPDATE conversations SET {names} WHERE id = ?", values).rowcount > 0

    def archive(self, identities: Sequence[str], now: str) -> None:
        """Archive conversations at a time: all, or none if one of them does not exist (raises NotFound)."""
        with self.write():
            for identity in identities:
                if not self.update(identity, status="archived", updated_at=now):
                    raise NotFound(identity)

    def delete(self, identity: str) -> Optional[List[int]]:
        """Delete a conversation; return the numbers of its messages, or None if it does not exist.

        On a full disk, the reserve file is removed first.
        """
        return self.with_reserve(lambda: self._delete(identity))

    def _delete(self, identity: str) -> Optional[List[int]]:
        with self.write():
            row = self._db.execute("SELECT number FROM conversations WHERE id = ?", (identity,)).fetchone()
            if row is None:
                return None
            found = self._db.execute("SELECT number, content FROM messages WHERE conversation = ?", row).fetchall()
            self._db.executemany(
                "INSERT INTO message_words (message_words, rowid, content) VALUES ('delete', ?, ?)",
                [(number, self.searchable_text(content)) for number, content in found],
            )
            self._db.executemany("DELETE FROM vectors WHERE message = ?", [(number,) for number, _ in found])
            self._db.execute("DELETE FROM messages WHERE conversation = ?", row)
            self._db.execute("DELETE FROM conversations WHERE number = ?", row)
            self.note_deleted_words()
        numbers = [number for number, _ in found]
        self._note_changes(numbers)
        return numbers

    def clear(self) -> None:
        """Delete all conversations."""
        self._note_changes(range(0, self.last_number() + BLOCK_SIZE, BLOCK_SIZE))
        with self.write():
            self._db.execute("INSERT INTO message_words (message_words) VALUES ('delete-all')")
            for table in ("vectors", "messages", "conversations"):
                self._db.execute(f"DELETE FROM {table}")

    def count_all(self) -> Tuple[int, int]:
        """Count all conversations and all messages."""
        query = "SELECT COUNT(*), COALESCE(SUM(message_count), 0) FROM conversations"
        conversations, messages = self._db.execute(query).fetchone()
        return int(conversations), int(messages)

    # Messages

    def messages(self, matching: Filter, conversation: Optional[str] = None) -> List[Message]:
        """Return messages in the order in which they were stored."""
        where, values = matching.where("m.timestamp")
        if conversation is not None:
            where, values = f"{where} AND c.id = ?", [*values, conversation]
        query = f"SELECT {_MESSAGE_COLUMNS} FROM {_JOINED} WHERE {where} ORDER BY m.number"
        return [Message(*row) for row in self._db.execute(query, values)]

    def newest_messages(self, matching: Filter, limit: int) -> List[Message]:
        """Return the last messages of matching conversations, in the order in which they were stored."""
        where, values = matching.where("c.updated_at")
        query = f"""SELECT number FROM messages WHERE conversation IN
            (SELECT c.number FROM conversations c WHERE {where} ORDER BY c.number DESC LIMIT ?)
            ORDER BY number DESC LIMIT ?"""
        found = self.messages_by_number([number for (number,) in self._db.execute(query, (*values, limit, limit))])
        return [found[number] for number in sorted(found)]

    def beginning(self, identity: str, characters: int) -> str:
        """Return the first characters of the messages of a conversation, joined by line ends."""
        text = ""
        query = """SELECT SUBSTR(m.content, 1, ?) FROM messages m JOIN conversations c ON c.number = m.conversation
            WHERE c.id = ? ORDER BY m.number"""
        for (content,) in self._db.execute(query, (characters, identity)):
            text = f"{text}\n{content}" if text else content
            if len(text) >= characters:
                break
        return text[:characters]

    def messages_by_number(self, numbers: Sequence[int]) -> Dict[int, Message]:
        """Return messages by their numbers; numbers that do not exist are omitted."""
        query = f"""SELECT m.number, {_MESSAGE_COLUMNS} FROM {_JOINED}
            WHERE m.number IN (SELECT value FROM json_each(?))"""
        return {number: Message(*row) for number, *row in self._db.execute(query, (json.dumps([*numbers]),))}

    def conversation_numbers(self, matching: Filter) -> Set[int]:
        """Return the numbers of the conversations that match a filter."""
        where, values = matching.where("c.updated_at")
        query = f"SELECT c.number FROM conversations c WHERE {where}"
        return {number for (number,) in self._db.execute(query, values)}

    def last_number(self) -> int:
        """Return the largest number of a message, 0 if there is none."""
        return int(self._db.execute("SELECT COALESCE(MAX(number), 0) FROM messages").fetchone()[0])

    # Words

    def full_text_search(self, query: str, limit: int, ranked: bool = True) -> List[Message]:
        """Return the messages that match an FTS5 query, most relevant first (oldest first if not `ranked`)."""
        select = f"""
            SELECT {_MESSAGE_COLUMNS} FROM message_words w JOIN messages m ON m.number = w.rowid
            JOIN conversations c ON c.number = m.conversation
            WHERE message_words MATCH ? ORDER BY {"w.rank, " if ranked else ""}m.number LIMIT ?"""
        return [
            Message(*row) for row in self._db.execute(select, (self.full_text_query(query), min(limit, MAX_INTEGER)))
        ]

    def count_word_hits(self, query: str) -> int:
        """Count the messages that match an FTS5 query."""
        select = "SELECT COUNT(*) FROM message_words WHERE message_words MATCH ?"
        return int(self._db.execute(select, (query,)).fetchone()[0])

    def word_hits(self, query: str, among: Optional[Sequence[int]] = None) -> List[Tuple[float, int]]:
        """Return rank (less is better) and number of the messages that match an FTS5 query, in no order.

        Args:
            query: The query; an empty one matches nothing.
            among: The numbers of the messages to consider; None for all.
        """
        if not query:
            return []
        # The `+` prevents a lookup of each number by SQLite.
        only = "" if among is None else "AND +rowid IN (SELECT value FROM json_each(?))"
        values = (query,) if among is None else (query, json.dumps([*among]))
        select = f"SELECT bm25(message_words), rowid FROM message_words WHERE message_words MATCH ? {only}"
        return [(rank, number) for rank, number in self._db.execute(select, values)]

    def embedded(self, model: Optional[int]) -> Embedded:
        """Count messages, and messages with a vector of a model; the result is cached until the next write."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()  # changes after writes of other connections
        state = (model, self._db.total_changes, version)
        if self._counted is None or self._counted[0] != state:
            query = "SELECT COUNT(*) FROM vectors WHERE model = ? AND vector IS NOT NULL"
            count = int(self._db.execute(query, (model,)).fetchone()[0])
            self._counted = state, Embedded(self.count_all()[1], count)
        return self._counted[1]


def _count_bytes(messages: Sequence[NewMessage]) -> int:
    return sum(len(message.content.encode()) for message in messages)
