"""The vectors in the database of the local server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple, Union

from sekha.local.database import MAX_INTEGER
from sekha.local.store_file import StoreFile
from sekha.local.vectors import SQUARES, pack

BLOCK_SIZE = 4096
"""Size of a block of message numbers, for an index in memory that is updated by blocks."""

_HAS_ITS_LENGTH = f"""LENGTH(v.vector) = {SQUARES.size} + (SELECT dimension FROM models WHERE number = :model)"""
"""A vector of another length cannot be compared, and is computed again."""


class VectorStore(StoreFile):
    """The vectors of messages; a message may have none, or one of another model."""

    def __init__(self, path: Union[str, Path, None] = None) -> None:
        super().__init__(path)
        self._changed_blocks: Set[int] = set()
        self._file_version: Optional[Tuple[int]] = None

    def model(self, name: str, dimension: int) -> int:
        """Return the number of a model in the store; add the model if it is new."""
        query = "SELECT number FROM models WHERE name = ? AND dimension = ?"
        row = self._db.execute(query, (name, dimension)).fetchone()
        if row is not None:
            return int(row[0])
        with self.write():
            insert = "INSERT INTO models (name, dimension) VALUES (?, ?)"
            return int(self._db.execute(insert, (name, dimension)).lastrowid or 0)

    def set_vectors(self, model: int, vectors: Mapping[int, Optional[Sequence[float]]]) -> None:
        """Store or replace the vectors of messages, by number; None if the model rejects the text.

        Messages that were deleted in the meantime are skipped.
        """
        insert = """INSERT OR REPLACE INTO vectors (message, model, vector)
            SELECT number, ?, ? FROM messages WHERE number = ?"""
        rows = [(model, None if vector is None else pack(vector), number) for number, vector in vectors.items()]
        with self.write():
            self._db.executemany(insert, rows)
        self._note_changes(vectors)

    def vectors(self, model: int, numbers: Optional[Sequence[int]] = None) -> Iterator[Tuple[int, bytes]]:
        """Yield number and vector of messages with a vector of a model: of all messages, or of some numbers."""
        query = f"SELECT v.message, v.vector FROM vectors v WHERE v.model = :model AND {_HAS_ITS_LENGTH}"
        if numbers is None:
            yield from self._db.execute(f"{query} ORDER BY v.message", {"model": model})
        else:
            only = " AND v.message IN (SELECT value FROM json_each(:numbers))"
            yield from self._db.execute(query + only, {"model": model, "numbers": json.dumps([*numbers])})

    def message_block(self, block: int, model: Optional[int]) -> Iterator[Tuple[int, int, str, Optional[bytes]]]:
        """Yield number, conversation, timestamp and vector (of a model) of the messages of a block."""
        query = f"""SELECT m.number, m.conversation, m.timestamp, v.vector
            FROM messages m LEFT JOIN vectors v ON v.message = m.number AND v.model = :model AND {_HAS_ITS_LENGTH}
            WHERE m.number BETWEEN :first AND :last"""
        first = block * BLOCK_SIZE
        yield from self._db.execute(query, {"model": model, "first": first, "last": first + BLOCK_SIZE - 1})

    def take_changed_blocks(self) -> Optional[Set[int]]:
        """Return the blocks with messages that were added, embedded or deleted since the last call.

        None means all blocks, after another connection has written to the file.
        """
        changed, self._changed_blocks = self._changed_blocks, set()
        known, self._file_version = self._file_version, self._db.execute("PRAGMA data_version").fetchone()
        return changed if known == self._file_version else None

    def without_vector(self, model: int, limit: int, below: int = MAX_INTEGER) -> List[Tuple[int, str]]:
        """Return numbers and contents of messages without a vector of a model, newest first.

        Args:
            model: The number of the model.
            limit: Maximum number of results.
            below: Only messages with a smaller number.
        """
        query = f"""SELECT m.number, m.content FROM messages m LEFT JOIN vectors v ON v.message = m.number
            WHERE (v.model IS NOT :model OR v.vector IS NOT NULL AND NOT {_HAS_ITS_LENGTH}) AND m.number < :below
            ORDER BY m.number DESC LIMIT :limit"""
        return [*self._db.execute(query, {"model": model, "below": below, "limit": limit})]

    def contents_below(self, below: int, limit: int) -> List[Tuple[int, str]]:
        """Return numbers and contents of messages below a number, newest first."""
        query = "SELECT number, content FROM messages WHERE number < ? ORDER BY number DESC LIMIT ?"
        return [(number, content) for number, content in self._db.execute(query, (below, limit))]

    def _note_changes(self, numbers: Iterable[int]) -> None:
        self._changed_blocks.update(number // BLOCK_SIZE for number in numbers)
