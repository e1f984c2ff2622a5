"""Files with settings, such as `.env`: lines `NAME=value`, as `SekhaConfig.from_env` reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from sekha.cli.exits import CommandError
from sekha.cli.files import atomic_write

ENV_FILE = ".env"
_PLAIN = re.compile(r"[\w.:/+@%,=~-]+", re.ASCII)
"""A value that neither a shell nor a reader of such files takes for anything else than itself."""


def format_setting(name: str, value: str) -> str:
    """Return the line of a setting; a value that is more than plain characters is quoted.

    Raises:
        CommandError: No such line can hold the value.
    """
    if "${" in value:
        raise CommandError(f"{name}: such a file cannot hold ${{, which stands for another variable there")
    if not _PLAIN.fullmatch(value):
        value = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return f"{name}={value}"


def merge_settings(text: str, settings: Mapping[str, str]) -> tuple[str, list[str]]:
    """Put settings into the text of a file; other lines stay as they are.

    Args:
        text: What is in the file.
        settings: Variables and their values.

    Returns:
        The new text, and the variables that had another value before.
    """
    lines = text.rstrip("\n").split("\n") if text.strip() else []
    replaced: list[str] = []
    for name, value in settings.items():
        line = format_setting(name, value)
        known = re.compile(rf"\s*(?:export\s+)?{name}\s*=")
        places = [number for number, one in enumerate(lines) if known.match(one)]
        if any(lines[number].strip() != line for number in places):
            replaced.append(name)
        if places:
            lines[places[0]] = line
            for number in reversed(places[1:]):  # the last one would count
                del lines[number]
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines), replaced


def read_env_file(path: str) -> str:
    """Return the text of a file with settings; it is empty if there is none yet.

    Raises:
        CommandError: It cannot be read.
    """
    if not os.path.lexists(path):
        return ""
    if not os.path.isfile(path):
        raise CommandError(f"{path} is no file")
    try:
        return Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8; save it as UTF-8 (PowerShell writes UTF-16 behind >)") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None


def write_env_file(path: str, settings: Mapping[str, str], *, force: bool) -> None:
    """Put settings into a file that only its owner can read; other lines of it stay.

    Args:
        path: Name of the file.
        settings: Variables and their values.
        force: Whether other values of these variables are replaced.

    Raises:
        CommandError: The file has other values, or cannot be read or written.
    """
    text, replaced = merge_settings(read_env_file(path), settings)
    if replaced and not force:
        raise CommandError(f"{path} has another {' and '.join(replaced)}; --force replaces it")
    with atomic_write(path, force=True) as file:
        file.write(text)
