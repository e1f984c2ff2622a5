"""The data file: its version, and files of older versions."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from sekha.local.match import or_query
from sekha.local.records import Filter
from sekha.local.store import Store
from sekha.local.text import hash_embedding
from sekha.local.vectors import pack, similarity

DATA = Path(__file__).parents[1] / "data"
_VERSION_1 = DATA / "local-1.db"


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    file = tmp_path / "memory.db"
    shutil.copyfile(_VERSION_1, file)
    return file


def rows(file: Path, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(file)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def test_a_file_of_version_1_keeps_everything(version_1: Path) -> None:
    conversations = """SELECT c.id, c.label, c.folder, c.status, c.importance, c.created_at, c.updated_at,
        (SELECT COUNT(*) FROM messages WHERE conversation_id = c.id) FROM conversations c ORDER BY c.number"""
    messages = "SELECT id, role, timestamp, content FROM messages ORDER BY number"
    before = rows(version_1, conversations), rows(version_1, messages)
    with_vector = rows(version_1, "SELECT id FROM messages WHERE vector IS NOT NULL ORDER BY number")
    store = Store(version_1)
    try:
        found = store.conversations(Filter())
        assert {one[:8] for one in found} == set(before[0])
        assert [(one.id, one.role, one.timestamp, one.content) for one in store.messages(Filter())] == before[1]
        assert [one.bytes for one in found] == [
            sum(len(message.content.encode()) for message in store.messages(Filter(), one.id)) for one in found
        ]
        model = store.model("local-hash", 384)
        vectors = dict(store.vectors(model))
        by_number = store.messages_by_number([*vectors])
        assert [by_number[number].id for number in sorted(vectors)] == [identity for (identity,) in with_vector]
        for word in ("kubernetes", "umbrella", "大学", "京都", "Straßenbahnhaltestelle"):
            assert store.word_hits(or_query(word), Filter(), 9), word
    finally:
        store.close()


def test_vectors_of_version_1_are_those_that_are_made_today(version_1: Path) -> None:
    store = Store(version_1)
    try:
        vectors = dict(store.vectors(store.model("local-hash", 384)))
        assert vectors
        for number, message in store.messages_by_number([*vectors]).items():
            assert similarity(vectors[number], pack(hash_embedding(message.content))) > 0.9999
    finally:
        store.close()


def test_a_copy_is_made_before_a_step(version_1: Path) -> None:
    Store(version_1).close()
    copy = version_1.with_name("memory.db.version-1")
    assert rows(copy, "SELECT content FROM messages") == rows(_VERSION_1, "SELECT content FROM messages")
    assert rows(copy, "PRAGMA user_version") == [(0,)]
    assert rows(version_1, "PRAGMA user_version") == [(2,)]
    assert copy.stat().st_mode & 0o777 == 0o600
    before = copy.stat()
    Store(version_1).close()
    assert copy.stat() == before


def test_a_newer_file_is_refused_by_its_version(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    Store(file).close()
    database = sqlite3.connect(file)
    database.execute("PRAGMA user_version = 99")
    database.close()
    before = file.read_bytes()
    with pytest.raises(sqlite3.DatabaseError, match=r"version 99, and this release .* up to 2"):
        Store(file)
    assert file.read_bytes() == before


def test_a_file_with_a_missing_column_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    Store(file).close()
    database = sqlite3.connect(file)
    database.execute("ALTER TABLE messages RENAME COLUMN role TO part")
    database.close()
    with pytest.raises(sqlite3.OperationalError, match="no such column: role"):
        Store(file)
