"""Common code for sessions of coding agents: the folder of a project, and text inserted by programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sekha.types._base import normalize_folder

SUBAGENTS = "subagents"
"""Kind of omitted messages of subagents."""
_MIN_NAMES = 2
"""A top-level folder, such as ``/app`` or ``/workspace``, which does not identify a project."""


def project_folder(base: str, directory: object) -> str:
    """Return the folder for a session: a folder below the base, with the name of the project folder.

    Args:
        base: The folder of the application.
        directory: Working directory of the agent.

    Returns:
        The folder.
    """
    names = [name.strip() for name in re.split(r"[\\/]", directory)] if isinstance(directory, str) else []
    names = [name for name in names if name and not re.fullmatch(r"[A-Za-z]:", name)]
    if len(names) < _MIN_NAMES:
        return base
    try:
        return normalize_folder(f"{base}/{names[-1]}")
    except ValueError:
        return base


def period_of_messages(messages: Iterable[Mapping[str, Any]]) -> tuple[str | None, str | None]:
    """Return the first and the last timestamp of the messages."""
    times = [message["timestamp"] for message in messages if "timestamp" in message]
    return (times[0], times[-1]) if times else (None, None)


def tag_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern for elements with one of these names; an unclosed element extends to the end of the text."""
    joined = "|".join(map(re.escape, names))
    return re.compile(rf"\s*<({joined})(?:\s[^>]*)?>.*?(?:</\1>|\Z)", re.DOTALL)


def strip_begin(text: str, pattern: re.Pattern[str]) -> tuple[str, int]:
    """Remove repeated matches of a pattern from the beginning of a text; return the rest and their number."""
    number = 0
    while (found := pattern.match(text)) is not None and found.end():
        text = text[found.end() :]
        number += 1
    return text, number
