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
    """Write a text file in UTF-8 atomically: it appears under its name when it is complete.

    Only the owner can read the file; on Windows, the permissions of its folder apply. If a complete file cannot be
    renamed, it is kept, and the error has its path.

    Args:
        path: Path of the file.
        force: Whether to overwrite an existing file.

    Yields:
        The open file.

    Raises:
        CommandError: The file exists, or cannot be written.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise CommandError(f"{path} is not a file")
    if target.exists() and not force:
        raise CommandError(f"{path} already exists; use --force to overwrite it")
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None
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
    except OSError as error:  # the file was created in the meantime, or (on Windows) is open
        exists = isinstance(error, FileExistsError)
        problem = f"{path} was created in the meantime" if exists else f"cannot write {path}: {error.strerror}"
        raise CommandError(f"{problem}; the complete output is in {name}") from None


def read_key(path: str | os.PathLike[str]) -> str:
    """Return the API key in a file, with surrounding whitespace stripped.

    Raises:
        CommandError: The file cannot be read, or does not contain a key.
    """
    try:
        key = Path(path).read_text("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise CommandError(f"{os.fspath(path)} is not UTF-8") from None
    except OSError as error:
        raise CommandError(f"cannot read {os.fspath(path)}: {error.strerror}") from None
    if not key or "\n" in key:
        raise CommandError(f"{os.fspath(path)} must contain an API key on a single line", USAGE)
    return key


def rename_to_new(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Rename a file, unless the new name exists: `os.rename` alone fails in that case only on Windows.

    Raises:
        FileExistsError: The new name exists.
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
        # FAT and many network drives have no hard links: create the new name exclusively, then replace it.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            os.replace(source, target)
        except BaseException:
            os.unlink(target)
            raise
    else:
        os.unlink(source)
