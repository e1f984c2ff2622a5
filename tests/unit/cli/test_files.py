"""Files that appear when they are complete, also where there are no hard links, and as Windows renames them."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

from sekha.cli.exits import CommandError
from sekha.cli.files import atomic_write, rename_to_new

REFUSALS = [
    PermissionError(errno.EPERM, "Operation not permitted"),  # exFAT and FAT on Linux
    OSError(errno.ENOTSUP, "Operation not supported"),  # network drives on macOS
    OSError(errno.EOPNOTSUPP, "Operation not supported"),
    OSError(errno.ENOSYS, "Function not implemented"),
    OSError(errno.EXDEV, "Invalid cross-device link"),
    OSError(errno.EMLINK, "Too many links"),
    AttributeError("module 'os' has no attribute 'link'"),
    NotImplementedError("link: not available on this platform"),
]


def raising(error: BaseException) -> Callable[..., None]:
    def refuse(*arguments: Any, **named: Any) -> None:
        raise error

    return refuse


def rename_as_windows(source: str, target: str) -> None:
    """What `os.rename` does there."""
    if os.path.exists(target):
        raise FileExistsError(errno.EEXIST, "Cannot create a file when that file already exists")
    os.replace(source, target)


@pytest.fixture(params=["links", "no links", "windows"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A system, or one whose file system has no hard links."""
    if request.param == "no links":
        monkeypatch.setattr(os, "link", raising(REFUSALS[0]), raising=False)
    elif request.param == "windows":
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setattr(os, "link", raising(AssertionError("there is no need of it")), raising=False)
        monkeypatch.setattr(os, "rename", rename_as_windows)
    return str(request.param)


@pytest.mark.parametrize("error", REFUSALS, ids=repr)
def test_without_hard_links_a_file_gets_its_name(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", raising(error), raising=False)
    with atomic_write(str(tmp_path / "new")) as file:
        file.write("äöü\n")
    assert (tmp_path / "new").read_bytes() == "äöü\n".encode()
    assert os.listdir(tmp_path) == ["new"]
    if os.name == "posix":
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_a_system_without_the_function_gets_on_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "link", raising=False)
    with atomic_write(str(tmp_path / "new")) as file:
        file.write("x")
    assert os.listdir(tmp_path) == ["new"]


def test_a_file_appears_when_it_is_complete(system: str, tmp_path: Path) -> None:
    with atomic_write(str(tmp_path / "new")) as file:
        file.write("x")
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "new").read_text("utf-8") == "x"
    assert os.listdir(tmp_path) == ["new"]


def test_a_new_name_that_is_taken_stays_as_it_is(system: str, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("x", "utf-8")
    (tmp_path / "old").write_text("precious", "utf-8")
    with pytest.raises(FileExistsError):
        rename_to_new(str(tmp_path / "new"), str(tmp_path / "old"))
    assert (tmp_path / "new").read_text("utf-8") == "x"
    assert (tmp_path / "old").read_text("utf-8") == "precious"


def write(target: Path, *, force: bool = False, meanwhile: Callable[[], object] = bool) -> None:
    """Write a file, while something else happens."""
    with atomic_write(str(target), force=force) as file:
        file.write("x")
        meanwhile()


def test_a_file_that_appears_meanwhile_loses_nothing(system: str, tmp_path: Path) -> None:
    target = tmp_path / "new"
    with pytest.raises(CommandError, match="was created in the meantime; the complete output is in ") as caught:
        write(target, meanwhile=lambda: target.write_text("precious", "utf-8"))
    assert target.read_text("utf-8") == "precious"
    assert Path(str(caught.value).rpartition(" in ")[2]).read_text("utf-8") == "x"


@pytest.mark.parametrize("force", [False, True])
def test_a_file_that_cannot_get_its_name_is_kept(force: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `os.replace` on Windows, if another program has the file open."""
    target = tmp_path / "new"
    if force:
        target.write_text("before", "utf-8")
    monkeypatch.setattr(os, "link", raising(REFUSALS[0]), raising=False)
    for name in ("replace", "rename"):
        monkeypatch.setattr(os, name, raising(PermissionError(errno.EACCES, "Access is denied")))
    with pytest.raises(CommandError) as caught:
        write(target, force=force)
    message, _, kept = str(caught.value).rpartition("; the complete output is in ")
    assert message == f"cannot write {target}: Access is denied"
    assert Path(kept).read_text("utf-8") == "x"
    assert target.exists() == force, "no empty file stands in its place"


def test_what_is_not_complete_leaves_nothing(system: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "new", meanwhile=raising(KeyboardInterrupt()))
    assert os.listdir(tmp_path) == []


def test_lines_end_alike_everywhere(tmp_path: Path) -> None:
    with atomic_write(str(tmp_path / "new")) as file:
        file.write("one\ntwo\n")
    assert (tmp_path / "new").read_bytes() == b"one\ntwo\n"
