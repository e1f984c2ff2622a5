"""How the commands speak: tables for people, JSON for programs, one line for what went wrong."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.text import Text

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NO_EDGE = 10_000


def has_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours and whose user wants them (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, *styles: str, stream: TextIO | None = None) -> str:
    """The text in some of the styles bold, dim, red, green, yellow and cyan; as it is where there is no colour."""
    if not has_colour(stream or sys.stdout):
        return text
    return f"\033[{';'.join(_STYLES[style] for style in styles)}m{text}\033[0m"


def safe(text: str) -> str:
    """The text without control characters: what was remembered or answered must not steer the terminal."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def line_of(text: str, length: int = 200) -> str:
    """The text in one line, cut where it is too long."""
    line = safe(" ".join(text.split()))
    return line if len(line) <= length else line[: length - 3].rstrip() + "..."


def encoding_of_stdout() -> str:
    """How stdout writes characters."""
    return sys.stdout.encoding or "utf-8"


def say(text: str = "", end: str = "\n") -> None:
    """Print on stdout; what its encoding does not have becomes a question mark."""
    encoding = encoding_of_stdout()
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + end)
    sys.stdout.flush()


def tell(text: str = "", *styles: str, end: str = "\n") -> None:
    """Print a message on stderr, where it is in no program's way."""
    sys.stdout.flush()
    sys.stderr.write((styled(text, *styles, stream=sys.stderr) if styles else text) + end)
    sys.stderr.flush()


def fail(command: str, reason: object, code: int = 1) -> int:
    """Say in one line on stderr why a command failed; its exit code."""
    tell(f"sekha {command}: {safe(' '.join(str(reason).split()))}")
    return code


def say_json(data: object) -> None:
    """Print data as JSON."""
    say(as_json(data, encoding_of_stdout()))


def as_json(data: object, encoding: str = "utf-8", indent: int | None = 2) -> str:
    """Data as JSON; characters are escaped where not every encoding has them."""
    return json.dumps(data, ensure_ascii=not encoding.lower().startswith("utf"), indent=indent)


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a table; its first column is never broken. Without a terminal, lines are as long as they must be."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colour = has_colour(sys.stdout)
    console = Console(
        file=sys.stdout,
        color_system="auto" if colour else None,
        force_terminal=sys.stdout.isatty(),
        width=None if sys.stdout.isatty() else _NO_EDGE,
        legacy_windows=False,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))  # a str would be markup
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        say(line.rstrip())
