"""The data file: who uses it, whether it is still there, a full disk, damage, and what is left of what was deleted."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Dict, Iterator, List

import httpx
import pytest

from local.conftest import KEY, create, python, running, wait_for
from sekha import SekhaClient, SekhaServerError
from sekha.local import LocalSekha, LocalSekhaError, database, upkeep
from sekha.local.data_file import RESERVE_BYTES, DataFileError, is_served
from sekha.local.records import Filter, NewMessage
from sekha.local.store import Store

SERVE = """
import json, sys, time
from sekha.local import LocalSekha
with LocalSekha(data=sys.argv[1], no_key=True) as sekha:
    print(json.dumps(sekha.options), flush=True)
    time.sleep(60)
"""
posix = pytest.mark.skipif(os.name == "nt", reason="Windows removes no file that is open, and has no modes")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_IDLE_SECONDS", 0.02)


def api_of(sekha: LocalSekha) -> httpx.Client:
    headers = {"authorization": f"Bearer {sekha.api_key}"}
    return httpx.Client(verify=False, base_url=sekha.controller_url, headers=headers)


def count(api: httpx.Client) -> int:
    return int(api.get("/api/v1/conversations/count").json()["count"])


def wal(file: Path) -> int:
    return Path(f"{file}-wal").stat().st_size


# Who uses it


def test_a_second_server_is_refused_by_the_name_of_the_file(file: Path) -> None:
    with LocalSekha(file) as sekha:
        assert is_served(file)
        with pytest.raises(LocalSekhaError) as caught:
            LocalSekha(file).start()
        assert str(caught.value) == f"cannot use the data file {file}: another server uses this file"
        link = file.with_name("link.db")
        if os.name != "nt":
            link.symlink_to(file)
            with pytest.raises(LocalSekhaError, match="another server uses this file"):
                LocalSekha(link).start()
        with api_of(sekha) as api:
            create(api, "It goes on.")
    assert not is_served(file)
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        assert count(api) == 1


def test_a_kill_leaves_no_lock(file: Path) -> None:
    command, environment = python("-c", SERVE, str(file))
    with running(command, environment) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())
        with pytest.raises(LocalSekhaError, match="another server uses this file"):
            LocalSekha(file).start()
        process.kill()
        process.wait()
    with LocalSekha(file):
        pass


@posix
def test_only_its_owner_can_read_what_is_there(file: Path) -> None:
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        create(api, "A secret.")
        modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
    assert set(modes) == {f"memory.db{end}" for end in ("", "-wal", "-shm", ".key", ".lock", ".reserve")}
    assert set(modes.values()) == {0o600}


def test_a_file_of_the_other_profile_is_refused(file: Path) -> None:
    with LocalSekha(file):
        pass
    with pytest.raises(LocalSekhaError) as caught:
        LocalSekha(file, profile="controller-0.1").start()
    assert str(caught.value) == (
        f"cannot use the data file {file}: it was created with the profile documented:"
        " use that profile, or another file"
    )
    with LocalSekha(file):
        pass


@pytest.mark.parametrize("what", ["foreign", "text", "folder", "half"])
def test_what_is_no_data_file_is_left_alone(what: str, file: Path) -> None:
    if what == "foreign":
        with closing(sqlite3.connect(file)) as foreign:
            foreign.execute("CREATE TABLE bookmarks (url)")
    elif what == "text":
        file.write_text("Dear diary. " * 100)
    elif what == "half":
        Store(file).close()
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2 // 512 * 512])
        Path(f"{file}.lock").unlink()
        Path(f"{file}.reserve").unlink()
    else:
        file.mkdir()
    before = file.read_bytes() if file.is_file() else b""
    with pytest.raises(LocalSekhaError, match=f"^cannot use the data file {re.escape(str(file))}: ") as caught:
        LocalSekha(file).start()
    assert "\n" not in str(caught.value)
    assert (file.read_bytes() if file.is_file() else b"") == before
    assert {path.name for path in file.parent.iterdir()} - {"memory.db-wal", "memory.db-shm"} == {"memory.db"}


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_said(tmp_path: Path) -> None:
    Store(tmp_path / "memory.db").close()
    (tmp_path / "memory.db.lock").unlink()
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(LocalSekhaError, match="its folder is not writable"):
            LocalSekha(tmp_path / "memory.db").start()
    finally:
        tmp_path.chmod(0o700)


def test_a_file_that_another_program_has_locked_is_said_and_asked_for_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr("sekha.local.store_file.BUSY_SECONDS", 0.05)
    with LocalSekha(file) as sekha, api_of(sekha) as api, closing(sqlite3.connect(file)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        refused = api.post("/api/v1/conversations", json={"label": "x", "folder": "/", "messages": []})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["error"] == "another program has locked the data file"
        assert api.get("/health").status_code == 200
        other.execute("ROLLBACK")
        create(api, "Now it works.")
    with closing(sqlite3.connect(file)) as other:
        other.isolation_level = None
        other.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LocalSekhaError, match="another program has locked the data file"):
            LocalSekha(file).start()


# Whether it is still there


@posix
@pytest.mark.parametrize("how", ["removed", "replaced", "emptied"])
def test_what_would_be_lost_is_not_accepted(how: str, file: Path) -> None:
    other = file.with_name("other.db")
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        kept = create(api, "Kept.")
        assert api.get("/health").status_code == 200
        wait_for(lambda: wal(file) == 0)
        if how == "emptied":
            shutil.copyfile(file, other)
            os.truncate(file, 0)
        else:
            file.rename(other)
            if how == "replaced":
                file.write_bytes(other.read_bytes())
        health = api.get("/health")
        advice = "stop the server, restore the file, and start the server again"
        reason = f"the data file was {how} while it was in use: {advice}"
        assert (health.status_code, health.json()["error"]) == (503, reason)
        with SekhaClient(**sekha.options) as client:
            with pytest.raises(SekhaServerError, match=f"the data file was {how} .* nothing was stored") as caught:
                client.controller.create_conversation(messages=[{"role": "user", "content": "Lost."}])
            assert (caught.value.may_have_been_applied, caught.value.attempts) == (False, 1)
            assert client.health_check()["controller"].get("error") == reason
            for change in (client.controller.pin_conversation, client.controller.delete_conversation):
                with pytest.raises(SekhaServerError):
                    change(kept)
    other.replace(file)
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        assert count(api) == 1


# Health is not delayed


def test_nothing_delays_health(file: Path) -> None:
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        create(api, "x")
        assert sekha._running is not None
        done = threading.Event()
        busy = sekha._running.runner.run(done.wait, 10)
        work = asyncio.run_coroutine_threadsafe(busy, sekha._running.serving.loop)
        try:
            begin = time.monotonic()
            assert api.get("/health").status_code == 200
            assert time.monotonic() - begin < 1.0
            assert not work.done()
        finally:
            done.set()
        assert work.result(10)


def test_health_counts_again_after_each_change(file: Path) -> None:
    for data in (file, None):
        with LocalSekha(data) as sekha, api_of(sekha) as api:
            for number in range(1, 4):
                identity = create(api, "x")
                wait_for(lambda: api.get("/health").json()["searchable"]["embedded"] == number)  # noqa: B023  # at once
                assert api.get("/health").json()["searchable"]["messages"] == number
            assert api.delete(f"/api/v1/conversations/{identity}").status_code == 200
            assert api.get("/health").json()["searchable"]["messages"] == 2


# A copy, and what was deleted


def test_a_plain_copy_of_an_idle_file_has_everything(file: Path) -> None:
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        for number in range(3):
            create(api, f"Number {number}.")
        wait_for(lambda: wal(file) == 0)
        copy = Path(shutil.copyfile(file, file.with_name("copy.db")))
        with closing(sqlite3.connect(copy)) as found:
            assert found.execute("SELECT COUNT(*) FROM messages").fetchone() == (3,)


def test_a_server_that_is_written_to_all_the_time_tidies_even_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_IDLE_SECONDS", 60.0)
    monkeypatch.setattr(upkeep, "_BUSY_SECONDS", 0.2)
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        sizes: List[int] = []

        def is_empty() -> bool:
            create(api, "x")
            sizes.append(wal(file))
            time.sleep(0.02)
            return wal(file) == 0

        wait_for(is_empty)
        assert max(sizes) > 0


def words_in(folder: Path, word: str) -> List[str]:
    return [path.name for path in folder.iterdir() if word.encode() in path.read_bytes()]


@pytest.mark.parametrize("stops", [False, True], ids=["running", "stopped"])
def test_deleted_words_are_gone_from_the_files(stops: bool, file: Path) -> None:
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        for number in range(200):
            create(api, f"Filler {number} of the harbour.", f"Another {number} of it.")
        secret = create(api, *["The password is swordfish, swordfishes are fish."] * 40, label="marlinspike")
        create(api, "A last one.")
        wait_for(lambda: wal(file) == 0)
        assert words_in(file.parent, "swordfish") == ["memory.db"]
        assert api.delete(f"/api/v1/conversations/{secret}").status_code == 200
        if not stops:
            wait_for(lambda: words_in(file.parent, "swordfish") == [] and wal(file) == 0)
            assert words_in(file.parent, "marlinspike") == []
            assert api.post("/api/v1/search/fts", json={"query": "harbour", "limit": 999}).json()["total"] == 200
    assert words_in(file.parent, "swordfish") == words_in(file.parent, "marlinspike") == []
    with closing(sqlite3.connect(file)) as found:
        found.execute("INSERT INTO message_words (message_words) VALUES ('integrity-check')")
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_was_deleted_before_a_kill_is_removed_by_the_next_start(file: Path) -> None:
    store = Store(file)
    for number in range(20):
        store.add("x", "/", 5, [NewMessage("user", f"Filler {number}.")])
    secret, _ = store.add("x", "/", 5, [NewMessage("user", "swordfish")])
    store.delete(secret.id)
    store.close()
    assert words_in(file.parent, "swordfish") == ["memory.db"], "the index has it still"
    with LocalSekha(file):
        wait_for(lambda: words_in(file.parent, "swordfish") == [])


# Damage


def test_damage_is_found_at_the_start(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        for number in range(100):
            create(api, f"{number} {'x' * 2000}")
    size = file.stat().st_size
    with open(file, "r+b") as damaged:
        damaged.seek(size // 2 // 4096 * 4096)
        damaged.write(b"\xff" * 40_960)
    with caplog.at_level(logging.ERROR, "sekha.local"), LocalSekha(file) as sekha, api_of(sekha) as api:
        wait_for(lambda: api.get("/health").status_code == 503)
        assert api.get("/health").json()["error"].startswith("the data file is damaged: ")
        with SekhaClient(**sekha.options) as client:
            assert "is damaged" in str(client.health_check()["controller"].get("error"))
        for path, body in (
            ("/api/v1/conversations", {"label": "x", "folder": "/", "messages": [{"role": "user", "content": "x"}]}),
            ("/api/v1/query", {"query": "x"}),
        ):
            answer = api.post(path, json=body)
            assert answer.status_code == 503 or path.endswith("query"), "what a backup would not have is refused"
            if answer.status_code == 503:
                assert answer.json()["error"].startswith("the data file is damaged: ")
    assert [
        record.message for record in caplog.records if "stop the server, and start it with a backup" in record.message
    ]


def test_stopping_does_not_wait_for_the_check(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        create(api, "x")
    begun = threading.Event()

    def endless(connection: sqlite3.Connection) -> List[str]:
        begun.set()
        query = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            connection.execute(query).fetchall()
        return []

    monkeypatch.setattr(upkeep, "find_damage", endless)
    with LocalSekha(file) as sekha:
        assert begun.wait(10)
        begin = time.monotonic()
    assert time.monotonic() - begin < 5


# A full disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if (
        sys.platform != "linux"
        or shutil.which("mount") is None
        or subprocess.run(command, capture_output=True).returncode
    ):
        pytest.skip("only root can mount a small disk, on Linux")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Takes all room of a disk."""
    filler = folder / "filler"
    with open(filler, "ab", buffering=0) as rest:
        for size in (2**16, 2**12, 1):
            try:
                while True:
                    rest.write(b"x" * size)
            except OSError:
                pass
    return filler


def test_a_full_disk_stores_nothing_and_deletes(disk: Path) -> None:
    file = disk / "memory.db"
    text = " ".join(f"word{number}" for number in range(300))
    with LocalSekha(file) as sekha, api_of(sekha) as api, SekhaClient(**sekha.options) as client:
        identities = [create(api, *[text] * 20) for _ in range(12)]
        wait_for(lambda: api.get("/health").json()["searchable"]["embedded"] == 240, 60.0)
        wait_for(lambda: wal(file) == 0)
        filler = fill(disk)
        health = api.get("/health")
        assert (health.status_code, health.json()["error"]) == (503, "the disk is full: 0 MiB free")
        with pytest.raises(SekhaServerError, match="the disk is full; nothing was stored") as caught:
            client.controller.create_conversation(messages=[{"role": "user", "content": text}])
        error = caught.value
        assert (error.status_code, error.may_have_been_applied, error.attempts) == (507, False, 1)
        with pytest.raises(SekhaServerError, match="the disk is full"):
            client.mcp.memory_store(label="x", folder="/", messages=[{"role": "user", "content": text}])
        assert count(api) == 12
        for identity in identities[:6]:
            assert api.delete(f"/api/v1/conversations/{identity}").status_code == 200
        assert count(api) == 6
        assert api.get("/health").status_code == 503
        filler.unlink()
        create(api, text)
        wait_for(lambda: api.get("/health").status_code == 200)
        wait_for(lambda: (disk / "memory.db.reserve").exists())
        assert (disk / "memory.db.reserve").stat().st_size == RESERVE_BYTES
    with closing(sqlite3.connect(file)) as found:
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert found.execute("SELECT COUNT(*) FROM conversations").fetchone() == (7,)


def test_a_quota_that_is_used_up_is_a_full_disk(file: Path) -> None:
    """Here a limit of the database stands for it, so that this runs everywhere."""
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        kept = create(api, "Kept.")
        wait_for(lambda: api.get("/health").json()["searchable"]["embedded"] == 1)
        assert sekha._running is not None
        database: sqlite3.Connection = sekha._running.store._db
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        refused = api.post(
            "/api/v1/conversations",
            json={"label": "x", "folder": "/", "messages": [{"role": "user", "content": "x" * 500_000}]},
        )
        assert (refused.status_code, refused.json()["code"]) == (507, 507)
        assert sekha._running.store.file is not None
        assert sekha._running.store.file.was_full
        assert count(api) == 1
        assert api.delete(f"/api/v1/conversations/{kept}").status_code == 200
        assert not sekha._running.store.file.was_full
        assert api.get("/health").status_code == 200


def test_health_tries_whether_there_is_room_again(file: Path) -> None:
    store = Store(file)
    try:
        assert store.file is not None
        store.file.was_full = True
        assert store.file.problem() is None
        assert not store.file.was_full
        assert not Path(f"{file}.reserve.part").exists()
    finally:
        store.close()


def test_a_server_starts_on_a_full_disk_so_that_one_can_delete(disk: Path) -> None:
    file = disk / "memory.db"
    store = Store(file)
    stored, _ = store.add("x", "/", 5, [NewMessage("user", "word " * 1000)])
    store.close()
    fill(disk)
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        assert api.get("/health").status_code == 503
        assert api.delete(f"/api/v1/conversations/{stored.id}").status_code == 200
    with closing(sqlite3.connect(file)) as found:
        assert found.execute("SELECT COUNT(*) FROM messages").fetchone() == (0,)


def test_a_first_start_on_a_full_disk_is_one_line(disk: Path) -> None:
    fill(disk)
    with pytest.raises(LocalSekhaError, match=r"^cannot use the data file .*: its disk is full$"):
        LocalSekha(disk / "memory.db").start()


# Kills


@pytest.mark.slow
def test_kills_during_writes_lose_nothing_that_was_acknowledged(file: Path) -> None:
    kept: Dict[str, int] = {}
    for _ in range(int(os.environ.get("SEKHA_TEST_KILLS", "4"))):
        command, environment = python("-c", SERVE, str(file))
        with running(command, environment) as process:
            assert process.stdout is not None
            options: Dict[str, Any] = json.loads(process.stdout.readline())
            enough = threading.Event()

            def write(number: int, url: str = options["controller_url"], enough: threading.Event = enough) -> None:
                with httpx.Client(verify=False, base_url=url, headers=KEY) as api:
                    mine: List[str] = []
                    try:
                        while True:
                            mine.append(create(api, *(f"Text {number}." for _ in range(number))))
                            kept[mine[-1]] = number
                            if len(mine) % 5 == 0:
                                gone = mine[-3]
                                kept.pop(gone)
                                api.delete(f"/api/v1/conversations/{gone}")
                            if len(mine) > 12:
                                enough.set()
                    except httpx.TransportError:
                        pass

            threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2, 5)]
            for thread in threads:
                thread.start()
            assert enough.wait(30)
            process.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
    with LocalSekha(file) as sekha, api_of(sekha) as api:
        for identity, messages in kept.items():
            assert api.get(f"/api/v1/conversations/{identity}").json()["message_count"] == messages
        total = count(api)
    with closing(sqlite3.connect(file)) as found:
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found.execute("INSERT INTO message_words (message_words) VALUES ('integrity-check')")
        counted = """SELECT COUNT(*) FROM conversations c
            WHERE message_count = (SELECT COUNT(*) FROM messages WHERE conversation = c.number)"""
        assert found.execute(counted).fetchone() == (total,)


def test_a_store_is_locked_like_a_server(file: Path) -> None:
    store = Store(file)
    try:
        with pytest.raises(DataFileError, match="another server uses this file"):
            Store(file)
        assert store.messages(Filter()) == []
    finally:
        store.close()
