"""Tables for people: which columns a terminal has room for, how wide each of them is, and what is cut."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from enum import Enum
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple, Union

from sekha.cli.terminal import echo, has_colour

if TYPE_CHECKING:
    from rich.text import Text

SHORT_ID = 8
"""Characters of an id in a table, and at least of one that a command takes."""

_GAP = 2
_MIN_WIDTH = 12
"""Characters that are kept of a column that may be narrower; optional columns are left out before that."""
_UNLIMITED_WIDTH = 10_000


class Shrink(Enum):
    """What happens to a column that has no room."""

    NO = "no"
    CUT = "cut"
    WRAP = "wrap"


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: Its heading.
        shrink: Whether its texts may be cut with an ellipsis, or wrapped.
        optional: Whether it is left out where there is no room; the last such column goes first.
    """

    name: str
    shrink: Shrink = Shrink.CUT
    optional: bool = False


def short_id(id: str, *, full: bool) -> str:
    """Return the beginning of an id, which every command takes, or all of it."""
    return id if full else id[:SHORT_ID]


def fit_columns(columns: Sequence[Column], natural: Sequence[int], available: int) -> dict[int, int]:
    """Return the widths of the columns that are shown, by position.

    Args:
        columns: The columns.
        natural: The width of each if it has all the room that it needs.
        available: The width of the terminal.
    """

    def width(positions: Iterable[int], least: int) -> int:
        sizes = [natural[one] if columns[one].shrink is Shrink.NO else min(natural[one], least) for one in positions]
        return sum(sizes) + _GAP * (len(sizes) - 1)

    shown = [*range(len(columns))]
    for position in reversed(range(len(columns))):
        if width(shown, _MIN_WIDTH) > available and columns[position].optional:
            shown.remove(position)
    # The widest columns get narrower until all fit: find the largest limit with which they do.
    limit = max((natural[one] for one in shown), default=0)
    while limit > 1 and width(shown, limit) > available:
        limit -= 1
    return {one: natural[one] if columns[one].shrink is Shrink.NO else min(natural[one], limit) for one in shown}


def echo_table(columns: Sequence[Union[str, Column]], rows: Iterable[Sequence[Union[str, Text]]]) -> None:
    """Print a table as wide as the terminal, or COLUMNS, allows; without them, nothing is cut or wrapped.

    Args:
        columns: The columns; a text is the name of one that may be cut.
        rows: The cells; a text may have styles and several lines.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    specs = [Column(column) if isinstance(column, str) else column for column in columns]
    # Texts, since rich would parse a str as markup.
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    natural = [
        max(cell_len(line) for text in (spec.name, *(row[number].plain for row in cells)) for line in text.split("\n"))
        for number, spec in enumerate(specs)
    ]
    widths = fit_columns(specs, natural, _terminal_width())
    output = StringIO()
    console = Console(
        file=output,
        color_system="auto" if has_colour(sys.stdout) else None,
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
    return shutil.get_terminal_size().columns or 80  # Python 3.9 returns 0 for a terminal that does not know its size
