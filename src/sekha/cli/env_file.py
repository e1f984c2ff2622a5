"""Settings files such as `.env`: lines `NAME=value`, as `SekhaConfig.from_env` reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from sekha.cli.exits import CommandError
from sekha.cli.files import atomic_write

ENV_FILE = ".env"
_PLAIN = re.compile(r"[\w.:/+@%,=~-]+", re.ASCII)
"""A value that has no special characters for a shell or a parser of `.env` files."""


def format_setting(name: str, value: str) -> str:
    """Return the line of a setting; quote a value with special characters.

    Raises:
        CommandError: The value cannot be written to such a file.
    """
    if "${" in value:
        raise CommandError(f"{name}: the value contains ${{, which a .env file would replace by another variable")
    if not _PLAIN.fullmatch(value):
        value = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return f"{name}={value}"


def merge_settings(text: str, settings: Mapping[str, str]) -> tuple[str, list[str]]:
    """Add settings to the text of a file, or replace them; keep other lines unchanged.

    Args:
        text: Current contents of the file.
        settings: Variables and their values.

    Returns:
        The new text, and the variables that had a different value.
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
            for number in reversed(places[1:]):  # readers of the file would use the last one
                del lines[number]
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines), replaced


def read_env_file(path: str) -> str:
    """Return the text of a settings file; empty if it does not exist.

    Raises:
        CommandError: The file cannot be read.
    """
    if not os.path.lexists(path):
        return ""
    if not os.path.isfile(path):
        raise CommandError(f"{path} is not a file")
    try:
        return Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8; save it as UTF-8 (> in PowerShell writes UTF-16)") from None
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None


def write_env_file(path: str, settings: Mapping[str, str], *, force: bool) -> None:
    """Write settings to a file that only its owner can read; keep its other lines.

    Args:
        path: Path of the file.
        settings: Variables and their values.
        force: Whether to replace different values of these variables.

    Raises:
        CommandError: The file has different values, or cannot be read or written.
    """
    text, replaced = merge_settings(read_env_file(path), settings)
    if replaced and not force:
        raise CommandError(f"{path} has a different {' and '.join(replaced)}; use --force to replace it")
    with atomic_write(path, force=True) as file:
        file.write(text)
