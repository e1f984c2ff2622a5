"""What sessions of coding agents have in common: the folder of a project, and what programs put among the words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sekha.types._base import normalize_folder

SUBAGENTS = "subagents"
"""What is left out of the work of agents that an agent has called."""
_MIN_NAMES = 2
"""A folder below the root of a machine, such as ``/app`` or ``/workspace``, says nothing about a project."""


def project_folder(base: str, directory: object) -> str:
    """Return the folder for a session: below the base, one with the name of the project's folder.

    Args:
        base: The folder of the application.
        directory: Where the agent worked.
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
    """Return the times of the first message that has one, and of the last."""
    times = [message["timestamp"] for message in messages if "timestamp" in message]
    return (times[0], times[-1]) if times else (None, None)


def tag_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """Return what finds an element with one of these names, and what is in it; without an end it goes to the end."""
    joined = "|".join(map(re.escape, names))
    return re.compile(rf"\s*<({joined})(?:\s[^>]*)?>.*?(?:</\1>|\Z)", re.DOTALL)


def strip_begin(text: str, pattern: re.Pattern[str]) -> tuple[str, int]:
    """Return a text without what a pattern finds at its begin, again and again, and how often that was."""
    number = 0
    while (found := pattern.match(text)) is not None and found.end():
        text = text[found.end() :]
        number += 1
    return text, number
