"""Atomic writes of files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from sekha.cli.exits import CommandError


@contextmanager
def atomic_write(path: str, *, force: bool = False) -> Generator[TextIO, None, None]:
    """Write a text file in UTF-8 that appears when it is complete. Only its owner can read it.

    Args:
        path: Name of the file.
        force: Whether to overwrite an existing file.

    Raises:
        CommandError: The file exists, or cannot be written.
    """
    target = Path(os.path.realpath(path))
    exists = CommandError(f"{path} exists; --force overwrites it")
    if target.exists() and not target.is_file():
        raise CommandError(f"{path} is no file")
    if target.exists() and not force:
        raise exists
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(name, target)
        else:
            os.link(name, target)  # fails if the file exists, unlike a rename
    except FileExistsError:
        raise exists from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)
