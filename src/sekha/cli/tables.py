"""Tables for terminals: select the columns that fit, and truncate or wrap long cells."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from enum import Enum
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple, Union

from sekha.cli.terminal import echo, has_color

if TYPE_CHECKING:
    from rich.text import Text

SHORT_ID = 8
"""Characters of a short ID in a table; also the minimum length of a prefix that a command accepts."""

_GAP = 2
_MIN_WIDTH = 12
"""Minimum width of a shrunk column; optional columns are omitted before a column gets narrower than this."""
_UNLIMITED_WIDTH = 10_000


class Shrink(Enum):
    """How a column adapts to a narrow terminal: not at all, truncated, or wrapped."""

    NO = "no"
    CUT = "cut"
    WRAP = "wrap"


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: The heading.
        shrink: Whether cells may be truncated with an ellipsis, or wrapped.
        optional: Whether the column is omitted if there is no room; the last optional column is omitted first.
    """

    name: str
    shrink: Shrink = Shrink.CUT
    optional: bool = False


def short_id(id: str, *, full: bool) -> str:
    """Return the first characters of an ID, which every command accepts, or the complete ID."""
    return id if full else id[:SHORT_ID]


def fit_columns(columns: Sequence[Column], natural: Sequence[int], available: int) -> dict[int, int]:
    """Return the widths of the visible columns.

    Args:
        columns: The columns.
        natural: The width that each column needs, in characters.
        available: The width of the terminal, in characters.

    Returns:
        Width of each visible column, by position.
    """

    def width(positions: Iterable[int], least: int) -> int:
        sizes = [natural[one] if columns[one].shrink is Shrink.NO else min(natural[one], least) for one in positions]
        return sum(sizes) + _GAP * (len(sizes) - 1)

    shown = [*range(len(columns))]
    for position in reversed(range(len(columns))):
        if width(shown, _MIN_WIDTH) > available and columns[position].optional:
            shown.remove(position)
    # Find the largest limit for the width of columns with which all of them fit.
    limit = max((natural[one] for one in shown), default=0)
    while limit > 1 and width(shown, limit) > available:
        limit -= 1
    return {one: natural[one] if columns[one].shrink is Shrink.NO else min(natural[one], limit) for one in shown}


def echo_table(columns: Sequence[Union[str, Column]], rows: Iterable[Sequence[Union[str, Text]]]) -> None:
    """Print a table that fits the terminal, or COLUMNS; without either, do not truncate or wrap.

    Args:
        columns: The columns; a str is the name of a column that may be truncated.
        rows: The cells; a Text may have styles and several lines.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    specs = [Column(column) if isinstance(column, str) else column for column in columns]
    # As Text, since rich would parse a str as markup.
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    natural = [
        max(cell_len(line) for text in (spec.name, *(row[number].plain for row in cells)) for line in text.split("\n"))
        for number, spec in enumerate(specs)
    ]
    widths = fit_columns(specs, natural, _terminal_width())
    output = StringIO()
    console = Console(
        file=output,
        color_system="auto" if has_color(sys.stdout) else None,
        force_terminal=sys.stdout.isatty(),
        width=_UNLIMITED_WIDTH,
        legacy_windows=False,
    )
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for number, width in widths.items():
        wraps = specs[number].shrink is Shrink.WRAP
        table.add_column(specs[number].name, width=width, no_wrap=not wraps, overflow="fold" if wraps else "ellipsis")
    for row in cells:
        table.add_row(*(row[number] for number in widths))
    console.print(table)
    for line in output.getvalue().splitlines():
        echo(line.rstrip())


def _terminal_width() -> int:
    wanted = os.environ.get("COLUMNS", "")
    if not (sys.stdout.isatty() or (wanted.isdigit() and int(wanted) > 0)):
        return _UNLIMITED_WIDTH
    return shutil.get_terminal_size().columns or 80  # Python 3.9 returns 0 if the terminal does not report its size
