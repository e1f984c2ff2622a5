"""Output of the commands: tables for people, JSON for programs, one line for an error."""

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
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_UNLIMITED_WIDTH = 10_000


def has_colour(stream: TextIO) -> bool:
    """Return whether a stream is a terminal with colours, and the user has not disabled them (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, *styles: str, stream: TextIO | None = None) -> str:
    """Style a text (bold, dim, red, green, yellow, cyan); return it unchanged if the stream has no colour."""
    if not has_colour(stream or sys.stdout):
        return text
    return f"\033[{';'.join(_STYLES[style] for style in styles)}m{text}\033[0m"


def strip_controls(text: str) -> str:
    """Replace control characters, so that stored messages and answers cannot control the terminal."""
    return _CONTROL_CHARACTERS.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def one_line(text: str, length: int = 200) -> str:
    """Put a text on one line, and truncate it to a length."""
    line = strip_controls(" ".join(text.split()))
    return line if len(line) <= length else line[: length - 3].rstrip() + "..."


def stdout_encoding() -> str:
    """Return the encoding of stdout."""
    return sys.stdout.encoding or "utf-8"


def echo(text: str = "", end: str = "\n") -> None:
    """Print to stdout; replace characters that its encoding does not have by a question mark."""
    encoding = stdout_encoding()
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + end)
    sys.stdout.flush()


def echo_err(text: str = "", *styles: str, end: str = "\n") -> None:
    """Print a message to stderr, which programs that read stdout do not get."""
    sys.stdout.flush()
    sys.stderr.write((styled(text, *styles, stream=sys.stderr) if styles else text) + end)
    sys.stderr.flush()


def fail(command: str, reason: object, code: int = 1) -> int:
    """Print in one line to stderr why a command failed, and return its exit code."""
    echo_err(f"sekha {command}: {strip_controls(' '.join(str(reason).split()))}")
    return code


def echo_json(data: object) -> None:
    """Print data as JSON."""
    echo(to_json(data, stdout_encoding()))


def to_json(data: object, encoding: str = "utf-8", indent: int | None = 2) -> str:
    """Return data as JSON; escape non-ASCII characters unless the encoding is a Unicode one."""
    return json.dumps(data, ensure_ascii=not encoding.lower().startswith("utf"), indent=indent)


def echo_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a table; its first column is never wrapped. Without a terminal, no line is."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colour = has_colour(sys.stdout)
    console = Console(
        file=sys.stdout,
        color_system="auto" if colour else None,
        force_terminal=sys.stdout.isatty(),
        width=None if sys.stdout.isatty() else _UNLIMITED_WIDTH,
        legacy_windows=False,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(
            *(Text(cell) if isinstance(cell, str) else cell for cell in row)
        )  # rich would parse a str as markup
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        echo(line.rstrip())
