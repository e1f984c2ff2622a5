"""The data file: its version, and files of older versions."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Optional

import pytest

from local.conftest import change, python, running
from sekha.local.match import or_phrases
from sekha.local.records import Filter
from sekha.local.store import Store
from sekha.local.text import hash_embedding
from sekha.local.vectors import Target, pack

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
            assert store.word_hits(" OR ".join(or_phrases(word))), word
    finally:
        store.close()


def test_vectors_of_version_1_are_those_that_are_made_today(version_1: Path) -> None:
    store = Store(version_1)
    try:
        vectors = dict(store.vectors(store.model("local-hash", 384)))
        assert vectors
        for number, message in store.messages_by_number([*vectors]).items():
            assert Target(pack(hash_embedding(message.content))).similarity(vectors[number]) > 0.9999
    finally:
        store.close()


def test_a_copy_is_made_before_a_step(version_1: Path, caplog: pytest.LogCaptureFixture) -> None:
    Store(version_1).close()
    assert f"upgrading {version_1} from version 1 to 2, which may take a minute" in caplog.text
    copy = version_1.with_name("memory.db.version-1")
    assert rows(copy, "SELECT content FROM messages") == rows(_VERSION_1, "SELECT content FROM messages")
    assert rows(copy, "PRAGMA user_version") == [(0,)]
    assert rows(version_1, "PRAGMA user_version") == [(2,)]
    assert copy.stat().st_mode & 0o777 == 0o600
    before = copy.stat()
    Store(version_1).close()
    assert copy.stat() == before


def changed(folder: Path, script: str) -> Path:
    """An empty data file that another program has changed."""
    file = folder / "memory.db"
    Store(file).close()
    change(file, script)
    return file


def test_a_newer_file_is_refused_by_its_version(tmp_path: Path) -> None:
    file = changed(tmp_path, "PRAGMA user_version = 99")
    before = file.read_bytes()
    with pytest.raises(sqlite3.DatabaseError, match=r"version 99, but this release .* up to 2"):
        Store(file)
    assert file.read_bytes() == before


def test_a_file_with_a_missing_column_is_refused(tmp_path: Path) -> None:
    file = changed(tmp_path, "ALTER TABLE messages RENAME COLUMN role TO part")
    with pytest.raises(sqlite3.OperationalError, match="no such column: role"):
        Store(file)


# Kills in the middle of a step

OPEN = """
import sys
from sekha.local.store import Store
print("opening", flush=True)
Store(sys.argv[1]).close()
"""


def make_large(file: Path, conversations: int) -> None:
    """Fills a file of version 1 with conversations of ten messages each."""
    database = sqlite3.connect(file)
    model, vector = database.execute("SELECT model, vector FROM messages WHERE vector IS NOT NULL").fetchone()
    for number in range(conversations):
        identity = str(uuid.uuid4())
        row = (identity, f"Label {number}", "/large", "active", 5, "2024-01-01", "2024-01-01")
        columns = "id, label, folder, status, importance, created_at, updated_at"
        database.execute(f"INSERT INTO conversations ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        columns = "id, conversation_id, role, timestamp, model, vector, content"
        for turn in range(10):
            message = (str(uuid.uuid4()), identity, "user", "2024-01-01", model, vector, f"Text {turn} of {number}.")
            database.execute(f"INSERT INTO messages ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", message)
    database.commit()
    database.close()


def open_and_kill(file: Path, seconds: Optional[float]) -> float:
    """Opens a file in another process, kills that after some time, and gives the time that it took."""
    command, environment = python("-c", OPEN, str(file))
    with running(command, environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "opening\n"
        begin = time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        process.wait()
        return time.monotonic() - begin


@pytest.mark.slow
def test_kills_in_the_middle_of_a_step_lose_nothing(version_1: Path, tmp_path: Path) -> None:
    make_large(version_1, 200)
    expected = rows(version_1, "SELECT id, content FROM messages ORDER BY number")
    timed = tmp_path / "timed.db"
    shutil.copyfile(version_1, timed)
    duration = open_and_kill(timed, None)
    in_the_middle = 0
    for kill in range(5):
        open_and_kill(version_1, duration * (kill + 0.5) / 6)
        in_the_middle += rows(version_1, "PRAGMA user_version") == [(0,)]
        assert rows(version_1, "PRAGMA integrity_check") == [("ok",)]
        assert rows(version_1, "SELECT id, content FROM messages ORDER BY number") == expected
        copy = version_1.with_name("memory.db.version-1")
        if copy.exists():
            assert rows(copy, "PRAGMA integrity_check") == [("ok",)]
            assert rows(copy, "SELECT id, content FROM messages ORDER BY number") == expected
    assert in_the_middle >= 2, "the kills came too late"
    store = Store(version_1)
    try:
        assert store.count_all() == (205, len(expected))
        assert len(dict(store.vectors(store.model("local-hash", 384)))) == len(expected) - 1
        assert len(store.word_hits('"Text"')) == 2000
    finally:
        store.close()
    assert rows(version_1, "PRAGMA user_version") == [(2,)]
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".part") == []
