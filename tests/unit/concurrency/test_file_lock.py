"""The lock of a journal, by the functions of this system and by those of Windows."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

import sekha
from sekha import SekhaInUseError
from sekha._concurrency import file_lock
from sekha._concurrency.file_lock import try_lock, unlock
from sekha._importing.journal import Journal
from support.fake_msvcrt import use_msvcrt

SERVER = "http://sekha.test"
HOLD = """
import sys
from sekha._importing.journal import Journal
journal = Journal(sys.argv[1], "http://sekha.test")
journal.open()
journal.start(None)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["of this system", "of Windows"], autouse=True)
def locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "of Windows":
        use_msvcrt(monkeypatch)


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    with open(path, "a+b", buffering=0) as file:
        yield file


def test_a_file_is_locked_once_and_can_be_read_and_written_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    with opened(path) as one, opened(path) as two:
        assert try_lock(one)
        assert not try_lock(two)
        one.write(b"x")
        two.seek(0)
        assert two.read() == b"x", "what is locked lies behind the notes"
        unlock(two)  # it was not locked by this one
        assert not try_lock(two)
        unlock(one)
        one.close()
        assert try_lock(two)
        unlock(two)
    assert path.stat().st_size == 1


def test_two_files_are_locked_apart(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as one, opened(tmp_path / "b") as two:
        assert try_lock(one)
        assert try_lock(two)
        unlock(one)
        unlock(two)


def test_a_journal_is_for_one_import_at_a_time(tmp_path: Path) -> None:
    path = str(tmp_path / "notes")
    first, second = Journal(path, SERVER), Journal(path, SERVER)
    first.open()
    first.start("2026-01-31")
    for _ in range(2):
        with pytest.raises(SekhaInUseError, match="journal: notes is in use by another import"):
            second.open()
    key = first.entry({"messages": [{"role": "user", "content": "x"}]}).key
    first.begin(key)
    first.done(key, "an-id")
    first.close()
    second.open()
    assert (second.since, second.ids) == ("2026-01-31", {"an-id"})
    second.close()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_locks_is_no_error(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, "no locks")

    names = vars(file_lock)
    monkeypatch.setattr(names["fcntl"] or names["msvcrt"], "flock" if names["fcntl"] else "locking", refuse)
    with opened(tmp_path / "notes") as file:
        assert try_lock(file)
        unlock(file)


def test_a_system_without_any_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "fcntl", None)
    monkeypatch.setattr(file_lock, "msvcrt", None)
    with opened(tmp_path / "notes") as file:
        assert try_lock(file)
        unlock(file)


def test_another_process_has_the_lock_until_it_ends(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if "of Windows" in request.node.name:
        pytest.skip("the other process has the functions of this system")
    path = str(tmp_path / "notes")
    source = str(Path(sekha.__file__ or "").parents[1])
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {source!r})\n{HOLD}", path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "locked\n"
            journal = Journal(path, SERVER)
            with pytest.raises(SekhaInUseError, match="in use"):
                journal.open()
        finally:
            process.kill()
    journal.open()
    journal.close()
