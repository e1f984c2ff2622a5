"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from sekha.cli.exits import Failure


@contextmanager
def whole_file(path: str, *, force: bool = False) -> Generator[TextIO, None, None]:
    """A text file in UTF-8 that gets its name when it is complete. Only its owner may read it.

    Args:
        path: Its name.
        force: Whether it may take the place of a file.

    Raises:
        Failure: There is such a file, or it cannot be written.
    """
    target = Path(os.path.realpath(path))
    exists = Failure(f"{path} exists; --force overwrites it")
    if target.exists() and not target.is_file():
        raise Failure(f"{path} is no file")
    if target.exists() and not force:
        raise exists
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(name, target)
        else:
            os.link(name, target)  # fails where a file is, unlike a renaming
    except FileExistsError:
        raise exists from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)
