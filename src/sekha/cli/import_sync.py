"""Output of `sekha import --sync`."""

from __future__ import annotations

from collections.abc import Mapping

from sekha.cli.import_sources import join_names, name_of
from sekha.cli.tables import echo_table
from sekha.cli.terminal import echo_err, one_line
from sekha.types import SyncReport

_COUNTS = {
    "STORED": ("stored",),
    "REPLACED": ("replaced",),
    "MOVED": ("moved",),
    "UNCHANGED": ("already_stored",),
    "REMOVED": ("deleted", "archived"),
    "GONE": ("gone",),
    "EMPTY": ("empty",),
    "FAILED": ("failed",),
}
_FUTURE = {"stored": "store", "replaced": "replace", "moved": "move", "deleted": "delete", "gone": "gone"}


def echo_synced(reports: Mapping[str, SyncReport]) -> None:
    """Print the number of notes by outcome."""
    echo_table(("FILE", *_COUNTS), [(name_of(name), *_counts(report)) for name, report in reports.items()])


def _counts(report: SyncReport) -> list[str]:
    numbers: Mapping[str, object] = {**report}
    return [f"{sum(int(str(numbers[key])) for key in keys):,}" for keys in _COUNTS.values()]


def echo_plan(reports: Mapping[str, SyncReport]) -> None:
    """Print the changes that a sync would make."""
    rows = [
        (
            _FUTURE.get(change["action"], change["action"]),
            one_line(change["label"] or "-", 60),
            one_line(change["place"]),
        )
        for report in reports.values()
        for change in report["changes"]
    ]
    if rows:
        echo_table(("ACTION", "LABEL", "FILE"), rows)
    for name, report in reports.items():
        counts = zip(_COUNTS, _counts(report))
        echo_err(
            f"{name_of(name)}: {', '.join(f'{number} {word.lower()}' for word, number in counts)}; nothing was sent."
        )


def echo_gone(reports: Mapping[str, SyncReport]) -> None:
    """Print the deleted notes that are still in the memory."""
    for report in reports.values():
        gone = [change["place"] for change in report["changes"] if change["action"] == "gone"]
        if gone:
            echo_err(
                f"files were deleted, but are still in the memory: {join_names(gone)}; use --delete to delete them"
            )
