"""`sekha backup` and `sekha doctor`, on a memory that is served and on one that is not."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from cli.conftest import Run, connect
from sekha import SekhaClient
from sekha.local import LocalSekha
from sekha.local.database import VERSION

VERSION_1 = Path(__file__).parents[1] / "data" / "local-1.db"


@pytest.fixture
def served(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SekhaClient]:
    """A client of a local Sekha whose data file is `memory.db`, and which the environment names."""
    with LocalSekha("memory.db") as sekha, SekhaClient(**sekha.options) as client:
        connect(sekha.options, monkeypatch)
        yield client


@pytest.fixture
def at_rest(here: Path) -> Path:
    """A data file that nobody serves, with two conversations."""
    with LocalSekha("memory.db") as sekha, SekhaClient(**sekha.options) as client:
        for text in ("One.", "Two."):
            remember(client, text)
    return here / "memory.db"


def remember(client: SekhaClient, text: str) -> str:
    return client.controller.create_conversation(messages=[{"role": "user", "content": text}])["id"]


def snapshot(folder: Path) -> Dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# Backup


def test_a_backup_of_the_memory_that_the_settings_name(served: SekhaClient, run: Run, here: Path) -> None:
    remember(served, "A first one.")
    assert run("backup", "copy.db") == (0, "1 conversations, 1 messages, 0.1 MiB: copy.db\n", "")
    assert os.name == "nt" or (here / "copy.db").stat().st_mode & 0o777 == 0o600
    remember(served, "A second one.")
    done = run("backup", "copy.db")
    assert (done.code, done.err) == (1, "sekha backup: copy.db already exists; use --force to overwrite it\n")
    assert run("backup", "copy.db", "--force", "--json").json == {
        "source": str(here / "memory.db"),
        "file": str(here / "copy.db"),
        "conversations": 2,
        "messages": 2,
        "bytes": (here / "copy.db").stat().st_size,
    }
    assert not [path for path in here.iterdir() if path.name.startswith(".")]
    with LocalSekha("copy.db") as sekha, SekhaClient(**sekha.options) as client:
        assert client.controller.count_conversations()["count"] == 2
        assert client.controller.query("second")["results"][0]["content"] == "A second one."
        assert client.controller.full_text_search("first")["total"] == 1


def test_the_time_of_the_last_backup_is_kept(served: SekhaClient, run: Run) -> None:
    remember(served, "x")
    assert "none; create one with `sekha backup FILE`" in run("doctor").out
    assert run("backup", "copy.db").code == 0
    assert re.search(r"last backup +20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", run("doctor").out)


def test_a_backup_while_the_server_writes_has_whole_conversations(served: SekhaClient, run: Run) -> None:
    stop = threading.Event()
    stored: List[str] = []

    def write() -> None:
        while not stop.is_set():
            messages = [{"role": "user", "content": f"{len(stored)}"}] * 7
            stored.append(served.controller.create_conversation(messages=messages)["id"])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            before = len(stored)
            found = run("backup", f"copy-{number}.db", "--json").json
            assert before <= found["conversations"] <= len(stored) + 1
            assert found["messages"] == 7 * found["conversations"]
    finally:
        stop.set()
        writer.join()


def test_a_backup_of_a_file_that_nobody_serves(at_rest: Path, run: Run) -> None:
    assert run("backup", "copy.db", "--data", "memory.db").out == "2 conversations, 2 messages, 0.1 MiB: copy.db\n"
    assert run("doctor", "--data", "copy.db").code == 0
    assert run("backup", "copy-1.db", "--data", str(VERSION_1)).out.startswith("5 conversations, 9 messages, ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["memory.db", "--data", "memory.db", "--force"], "memory.db is the data file itself"),
        (["folder", "--data", "memory.db", "--force"], "folder is not a file"),
        (["no/such", "--data", "memory.db"], "cannot write no/such: No such file or directory"),
        (["copy.db", "--data", "missing.db"], "file not found: missing.db"),
        (["copy.db", "--data", "diary"], "cannot copy diary to copy.db: file is not a database"),
        (["copy.db", "--data", "foreign.db"], "cannot copy foreign.db to copy.db: it is the database of another"),
        (["open.db", "--data", "memory.db", "--force"], "open.db is in use or was not closed"),
        (["served.db", "--data", "memory.db", "--force"], "served.db is the data file of a running local server"),
    ],
)
def test_a_backup_that_cannot_be_made_leaves_all_as_it_was(
    words: List[str], said: str, at_rest: Path, run: Run, here: Path
) -> None:
    (here / "folder").mkdir()
    (here / "diary").write_text("Dear diary. " * 100)
    (here / "open.db").write_bytes(b"")
    (here / "open.db-wal").write_bytes(b"x")
    with closing(sqlite3.connect("foreign.db")) as foreign:
        foreign.execute("CREATE TABLE bookmarks (url)")
    with LocalSekha("served.db"):
        before = snapshot(here)
        done = run("backup", *words)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"sekha backup: {said}")
        assert done.err.count("\n") == 1
        assert snapshot(here) == before


def test_a_memory_without_a_file_or_on_another_machine_is_said(
    run: Run, served: SekhaClient, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    (here / "memory.db").rename(here / "moved.db")
    shutil.copyfile("moved.db", "memory.db")
    done = run("backup", "copy.db")
    assert (done.code, str(here / "memory.db") in done.err) == (1, True)
    assert "which is not on this machine or was replaced" in done.err
    with LocalSekha() as sekha:
        connect(sekha.options, monkeypatch)
        for command in (["backup", "copy.db"], ["doctor"]):
            done = run(*command)
            assert (done.code, done.out) == (1, "")
            assert done.err == (
                f"sekha {command[0]}: the server at {sekha.controller_url} keeps its data in memory;"
                " it has no data file\n"
            )
    with LocalSekha(profile="controller-0.1") as sekha:
        connect(sekha.options, monkeypatch)
        assert "is not a local server that reports its data file; pass --data FILE" in run("doctor").err
    assert run("doctor", "--data", "moved.db", "--url", "http://localhost:1").code == 2


def test_where_the_data_is_takes_the_key(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalSekha("memory.db", api_key="sk-right") as sekha:
        connect({**sekha.options, "api_key": "sk-wrong"}, monkeypatch)
        assert run("doctor").code == 4


# Doctor


def test_the_doctor_changes_nothing(at_rest: Path, run: Run, here: Path) -> None:
    before = snapshot(here)
    done = run("doctor", "--data", "memory.db")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("\nNo problems found.\n")
    found = dict(re.split(r"  +", line, maxsplit=1) for line in done.out.splitlines()[1:-1])
    assert found["file"] == str(at_rest)
    assert (found["version"], found["profile"], found["pages"]) == (str(VERSION), "documented", "intact")
    assert (found["conversations"], found["messages"], found["in use by a server"]) == ("2", "2", "no")
    assert found["messages with a vector"] == "2 (local-hash)"
    assert snapshot(here) == before
    assert run("doctor", "--data", "memory.db", "--json").json["problems"] == []


def test_the_doctor_of_a_memory_that_is_served(served: SekhaClient, run: Run) -> None:
    remember(served, "x")
    found = run("doctor", "--json").json
    assert (found["served"], found["conversations"], found["bytes"] > 0) == (True, 1, True)


def problems(run: Run, file: str = "memory.db") -> List[str]:
    done = run("doctor", "--data", file)
    found = [line[len("PROBLEM: ") :] for line in done.out.splitlines() if line.startswith("PROBLEM: ")]
    assert done.code == (1 if found else 0)
    return found


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_the_doctor_says_who_can_read_it(at_rest: Path, run: Run) -> None:
    at_rest.chmod(0o644)
    assert problems(run) == [f"other users can read the file: its mode is 644; chmod 600 {at_rest}"]


def test_the_doctor_counts_what_a_search_misses(at_rest: Path, run: Run) -> None:
    with closing(sqlite3.connect(at_rest)) as database, database:
        database.execute("DELETE FROM vectors WHERE message = 1")
        database.execute("DELETE FROM message_words_docsize WHERE id = 2")
    (words,) = problems(run)
    assert "1 (local-hash); `sekha serve` computes the others" in run("doctor", "--data", "memory.db").out
    assert words.startswith("1 messages are missing from the full-text index; export everything")


def test_the_doctor_finds_damage(at_rest: Path, run: Run) -> None:
    with open(at_rest, "r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 4)
    assert any("the file is damaged: " in problem or "cannot read the file: " in problem for problem in problems(run))


def test_the_doctor_of_a_file_of_which_no_table_can_be_read(at_rest: Path, run: Run) -> None:
    with closing(sqlite3.connect(at_rest)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'conversations'").fetchone()
    with open(at_rest, "r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xff" * 4096)
    assert any(problem.startswith("the file is damaged: ") for problem in problems(run))


def test_the_doctor_misses_a_column(at_rest: Path, run: Run) -> None:
    with closing(sqlite3.connect(at_rest)) as database:
        database.execute("ALTER TABLE conversations DROP COLUMN bytes")
    assert [line.partition(";")[0] for line in problems(run)] == ["cannot read the file: no such column: bytes"]


def test_the_doctor_names_what_is_no_data_file(here: Path, run: Run, at_rest: Path) -> None:
    (here / "diary").write_text("Dear diary. " * 100)
    (here / "diary").chmod(0o600)
    assert problems(run, "diary") == [
        "cannot read the file: file is not a database; stop the server, and start it with a backup: "
        "sekha serve --data BACKUP"
    ]
    (here / "empty").touch(0o600)
    assert problems(run, "empty") == ["the file is empty; check that the path is correct"]
    with closing(sqlite3.connect(at_rest)) as database:
        database.execute("PRAGMA user_version = 99")
    assert [line.partition(",")[0] for line in problems(run)] == ["it has version 99"]
    assert run("doctor", "--data", "missing").err == "sekha doctor: file not found: missing\n"
    assert run("doctor", "--data", str(here)) == (1, "", f"sekha doctor: {here} is not a file\n")


def test_the_doctor_of_an_older_version_and_of_the_copy_that_its_update_leaves(here: Path, run: Run) -> None:
    shutil.copyfile(VERSION_1, "memory.db")
    (here / "memory.db").chmod(0o600)
    found = run("doctor", "--data", "memory.db", "--json").json
    assert (found["version"], found["messages"], found["vectors"]) == (1, 9, {"local-hash": 8})
    with LocalSekha("memory.db"):
        pass
    assert run("doctor", "--data", "memory.db", "--json").json["older_copies"] == ["memory.db.version-1"]
    assert (
        "memory.db.version-1; delete them: they still contain data that was deleted since"
        in run("doctor", "--data", "memory.db").out
    )


# Moving


def contents(client: SekhaClient) -> List[Any]:
    """What all conversations say, and how they are filed."""
    found: List[Any] = []
    for row in client.controller.iter_conversations():
        texts = [(message["role"], message["content"]) for message in client.controller.get_messages(row["id"])]
        found.append((row["label"], row["folder"], row["metadata"].get("status"), texts))
    return sorted(found)


def test_a_memory_moves_to_a_server_and_back(served: SekhaClient, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for label, folder, texts in (("Plans", "/work", ["When?", "On Fridays."]), ("旅行", "/個人", ["京都へ行きます。"])):
        messages = [{"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(texts)]
        served.controller.create_conversation(label=label, folder=folder, messages=messages)
    served.controller.archive_conversation(remember(served, "An old one."))
    before = contents(served)
    assert run("export", "--all", "--format", "full", "-o", "there.jsonl").code == 0
    for target, file in ((LocalSekha(profile="controller-0.1"), "there.jsonl"), (LocalSekha("again.db"), "back.jsonl")):
        monkeypatch.delenv("SEKHA_MCP_API_KEY", raising=False)
        with target as other, SekhaClient(**other.options) as there:
            connect(other.options, monkeypatch)
            assert run("import", file, "--journal", f"journal of {file}").code == 0
            assert contents(there) == before
            assert run("export", "--all", "--format", "full", "-o", "back.jsonl", "--force").code == 0
