"""How the commands speak: colour where the terminal has it, one line for what went wrong."""

from __future__ import annotations

import os
import sys
from typing import TextIO

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def has_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours and whose user wants them (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, *styles: str, stream: TextIO | None = None) -> str:
    """The text in some of the styles bold, dim, red, green, yellow and cyan; as it is where there is no colour."""
    if not has_colour(stream or sys.stdout):
        return text
    return f"\033[{';'.join(_STYLES[style] for style in styles)}m{text}\033[0m"


def fail(command: str, reason: object) -> int:
    """Say in one line on stderr why a command failed; its exit code."""
    print(f"sekha {command}: {' '.join(str(reason).split())}", file=sys.stderr)
    return 1
