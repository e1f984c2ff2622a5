"""Atomic writes of files."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from sekha.cli.exits import USAGE, CommandError


@contextmanager
def atomic_write(path: str, *, force: bool = False) -> Generator[TextIO, None, None]:
    """Write a text file in UTF-8 that appears when it is complete.

    Only its owner can read it; on Windows, whoever its folder allows. A file that is complete and cannot get its name
    is kept: the error says where.

    Args:
        path: Name of the file.
        force: Whether to overwrite an existing file.

    Raises:
        CommandError: The file exists, or cannot be written.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise CommandError(f"{path} is no file")
    if target.exists() and not force:
        raise CommandError(f"{path} exists; --force overwrites it")
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    try:
        if force:
            os.replace(name, target)
        else:
            rename_to_new(name, target)
    except OSError as error:  # somebody has made such a file meanwhile, or (on Windows) has it open
        problem = "exists now" if isinstance(error, FileExistsError) else f"cannot be written: {error.strerror}"
        raise CommandError(f"{path} {problem}; everything is in {name}") from None


def read_key(path: str | os.PathLike[str]) -> str:
    """Return the key that a file holds, without white space around it.

    Raises:
        CommandError: It cannot be read, or holds none.
    """
    try:
        key = Path(path).read_text("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise CommandError(f"{os.fspath(path)} is not UTF-8") from None
    except OSError as error:
        raise CommandError(f"{os.fspath(path)} cannot be read: {error.strerror}") from None
    if not key or "\n" in key:
        raise CommandError(f"{os.fspath(path)} must hold a key in one line", USAGE)
    return key


def rename_to_new(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Rename a file, unless the new name is taken. On its own, `os.rename` refuses that on Windows only.

    Raises:
        FileExistsError: The new name is taken.
        OSError: The file cannot be renamed.
    """
    if sys.platform == "win32":
        os.rename(source, target)
        return
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except (OSError, AttributeError, NotImplementedError):
        # There are no hard links on FAT, and on many network drives. So take the name first, and then replace it.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            os.replace(source, target)
        except BaseException:
            os.unlink(target)
            raise
    else:
        os.unlink(source)
