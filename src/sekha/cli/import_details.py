"""Output of `sekha import`: counts, failures, changes, splits and omissions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sekha.cli.import_sources import name_of
from sekha.cli.tables import echo_table
from sekha.cli.terminal import echo_err, one_line
from sekha.exports._containers import MEMORIES
from sekha.types import ImportChange, ImportFailure, ImportReport, ImportSplit

_MAX_ALIKE = 10
_DIGITS = re.compile(r"\d+")
_COUNTS = ("stored", "already_stored", "grown", "renamed", "replaced", "empty", "failed")
_ALWAYS = ("stored", "already_stored", "empty", "failed")
_CHANGES = {
    "continued": "has new messages; this server cannot delete, so they were stored as a separate conversation",
    "mended": "was incomplete in the memory after an interruption; now complete",
    "restored": "was deleted from the memory and has changed since; stored again",
    "gone": "was deleted from the memory; not stored again",
}


def echo_imported(reports: Mapping[str, ImportReport]) -> None:
    """Print the number of conversations by outcome."""
    counts: list[Mapping[str, object]] = [{**report} for report in reports.values()]
    shown = [kind for kind in _COUNTS if kind in _ALWAYS or any(count[kind] for count in counts)]
    header = ("FILE", *(kind.upper().replace("_", " ") for kind in shown))
    rows = [(name_of(name), *(f"{count[kind]:,}" for kind in shown)) for name, count in zip(reports, counts)]
    echo_table(header, rows)


def echo_failures(name: str, failures: Iterable[ImportFailure]) -> None:
    """Print the conversations that were not imported, with the reasons."""
    echo_problems(
        (f"not imported: {_describe(name, one['place'], one['position'], one['label'])}", one["error"])
        for one in sorted(failures, key=lambda one: one["position"])
    )


def echo_changes(name: str, changes: Iterable[ImportChange]) -> None:
    """Print the outcome of chats that were imported before, if the table does not contain it."""
    echo_problems(
        (one_line(change["place"] or name) + f" ({one_line(change['label'], 60)})", _CHANGES[change["action"]])
        for change in changes
        if change["action"] in _CHANGES
    )


def echo_splits(name: str, splits: Iterable[ImportSplit], verb: str) -> None:
    """Print which conversations are too large for one request."""
    echo_problems(
        (
            _describe(name, one["place"], one["position"], one["label"]),
            f"too large for one request; {verb} in {one['parts']} parts",
        )
        for one in sorted(splits, key=lambda one: one["position"])
    )


def echo_problems(lines: Iterable[tuple[str, str]]) -> None:
    """Print problems; of those that differ only in numbers, print the first ones and the number of the others."""
    alike: dict[str, int] = {}
    for what, problem in lines:
        kind = _DIGITS.sub("", problem)
        alike[kind] = alike.get(kind, 0) + 1
        if alike[kind] <= _MAX_ALIKE:
            echo_err(f"{what}: {one_line(problem, 400)}")
    for kind, number in alike.items():
        if number > _MAX_ALIKE:
            echo_err(f"and {number - _MAX_ALIKE:,} more: {one_line(kind, 400)} (use --json to list all)")


def echo_left_out(name: str, left_out: Mapping[str, int]) -> None:
    """Print what was omitted from a file, by kind, most frequent first."""
    kinds = sorted(left_out.items(), key=lambda one: (-one[1], one[0]))
    if kinds:
        echo_err(f"{name}: omitted: {', '.join(f'{number:,} {one_line(kind, 80)}' for kind, number in kinds)}")
    if MEMORIES in left_out:
        echo_err(f"{name}: use --with-memories to import the memories and projects as notes")


def _describe(name: str, place: str | None, position: int, label: str | None) -> str:
    """Return the position of a conversation, with its label."""
    return one_line(place or f"{name}, conversation {position}") + (f" ({one_line(label, 60)})" if label else "")
