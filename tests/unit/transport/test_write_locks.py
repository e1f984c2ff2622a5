"""The files by which processes share write slots, by the locks of this system and by those of Windows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sekha._concurrency.file_lock import PathLock
from sekha._transport.write_locks import WriteLocks, lock_name, runtime_folder
from support.fake_msvcrt import use_msvcrt

URL = "http://localhost:8080"


@pytest.fixture(params=["of this system", "of Windows"], autouse=True)
def locks_of(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    if request.param == "of Windows":
        use_msvcrt(monkeypatch)


# ---- a lock --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[PathLock, PathLock]]:
    one, other = (PathLock(str(tmp_path / "lock")) for _ in range(2))
    yield one, other
    one.close()
    other.close()


def test_a_lock_is_for_one(pair: tuple[PathLock, PathLock]) -> None:
    one, other = pair
    assert one.try_lock()
    assert not other.try_lock()
    assert not other.try_lock(shared=True)
    assert (one.is_open, other.is_open) == (True, False)
    one.close()
    one.close()
    assert other.try_lock()


def test_a_shared_lock_is_for_several(pair: tuple[PathLock, PathLock], tmp_path: Path) -> None:
    one, other = pair
    third = PathLock(str(tmp_path / "lock"))
    assert one.try_lock(shared=True)
    assert other.try_lock(shared=True)
    assert not third.try_lock()
    one.close()
    assert not third.try_lock()
    other.close()
    assert third.try_lock()
    third.close()


def test_a_lock_can_be_shared_later(pair: tuple[PathLock, PathLock]) -> None:
    one, other = pair
    assert one.try_lock()
    assert one.share()
    assert other.try_lock(shared=True)
    other.close()
    assert not other.try_lock()
    one.close()
    assert other.try_lock()


def test_a_lock_that_nobody_has_any_more_is_free(pair: tuple[PathLock, PathLock], tmp_path: Path) -> None:
    lost = PathLock(str(tmp_path / "lock"))
    assert lost.try_lock()
    del lost
    assert pair[0].try_lock()


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    lock = PathLock(str(tmp_path / "missing" / "lock"))
    with pytest.raises(FileNotFoundError):
        lock.try_lock()
    assert not lock.is_open


# ---- the files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://localhost:8080", "127.0.0.1-8080"),
        ("http://LOCALHOST.:8080/prefix", "127.0.0.1-8080"),
        ("http://127.0.0.1:8080", "127.0.0.1-8080"),
        ("http://[::1]:8080", "127.0.0.1-8080"),
        ("http://memory.example", "memory.example-80"),
        ("https://Memory.Example/sekha", "memory.example-443"),
        ("http://[fe80::1%25eth0]:8080", "fe80__1-8080"),
    ],
)
def test_the_name_is_that_of_host_and_port(url: str, name: str) -> None:
    assert lock_name(url) == name


def test_a_long_name_is_shortened() -> None:
    assert len(lock_name(f"http://{'a' * 63}.{'b' * 63}.example:8080")) < 120


@pytest.fixture
def no_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other folders")
def test_without_a_runtime_folder_there_is_a_private_one(no_runtime_folder: Path) -> None:
    found = Path(runtime_folder())
    assert found == no_runtime_folder / f"sekha-{os.geteuid()}"
    assert found.stat().st_mode & 0o777 == 0o700
    assert runtime_folder() == str(found)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other permissions")
@pytest.mark.parametrize("how", ["open to all", "a link", "a file"])
def test_a_folder_that_others_may_have_made_is_refused(how: str, no_runtime_folder: Path) -> None:
    folder = no_runtime_folder / f"sekha-{os.geteuid()}"
    if how == "open to all":
        folder.mkdir()
        folder.chmod(0o777)
    elif how == "a link":
        (no_runtime_folder / "other").mkdir(mode=0o700)
        folder.symlink_to(no_runtime_folder / "other")
    else:
        folder.touch(mode=0o600)
    with pytest.raises(PermissionError, match="only this user can access"):
        runtime_folder()


def test_no_process_overtakes_one_that_waits() -> None:
    mine, theirs = (WriteLocks(URL, 1) for _ in range(2))
    first = mine.turn()
    assert first.try_enter()
    first.leave(stored=True)
    busy, waiting, next_one = mine.turn(), theirs.turn(), mine.turn()
    assert busy.try_enter()
    assert not waiting.try_enter()
    busy.leave(stored=True)
    assert not next_one.try_enter(), "there is one before it"
    assert waiting.try_enter()
    waiting.leave(stored=True)
    assert next_one.try_enter()
    next_one.leave(stored=True)
    for locks in (mine, theirs):
        locks.close()


def test_one_that_is_stopped_at_the_door_stops_nobody_for_long() -> None:
    locks = WriteLocks(URL, 1)
    first = locks.turn()
    assert first.try_enter()
    first.leave(stored=True)
    busy, stopped, other = locks.turn(), locks.turn(), locks.turn()
    assert busy.try_enter()
    assert not stopped.try_enter()
    busy.leave(stored=True)
    tries = 0
    while not other.try_enter():
        tries += 1
    assert tries == 50
    for turn in (other, stopped):
        turn.leave(stored=True)
    locks.close()


def test_the_first_of_all_is_alone_until_it_is_stored() -> None:
    one, other = WriteLocks(URL, 4), WriteLocks(URL, 4)
    first, second = one.turn(), other.turn()
    assert first.try_enter()
    assert not second.try_enter()
    first.leave(stored=False)
    assert second.try_enter(), "the first has failed, so this one is the first"
    assert not first.try_enter()
    second.leave(stored=True)
    assert first.try_enter()
    assert other.turn().try_enter(), "not alone any more"
    first.leave(stored=True)
    one.close()
    other.close()
    third = WriteLocks(URL, 4).turn()
    assert third.try_enter()
    assert not WriteLocks(URL, 4).turn().try_enter(), "all of them are gone: it goes alone again"
    third.leave(stored=False)
