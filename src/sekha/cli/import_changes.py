"""What `sekha import` prints of chats that an earlier import has stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sekha.cli.import_sources import name_of
from sekha.cli.tables import echo_table
from sekha.types import ImportChange, ImportReport

_COUNTS = ("stored", "already_stored", "grown", "renamed", "replaced", "empty", "failed")
_ALWAYS = ("stored", "already_stored", "empty", "failed")
_WORDS = {
    "continued": "it has grown; this server cannot delete, so the new messages are stored beside the earlier ones",
    "mended": "only a part of it was in the memory, since the server was interrupted; now all of it is",
    "restored": "it was deleted in the memory, and has changed since: it is stored again",
    "gone": "it was deleted in the memory, and does not come back",
}


def echo_imported(reports: Mapping[str, ImportReport]) -> None:
    """Print how many conversations were stored, and what became of those that are not new, if there are any."""
    counts: list[Mapping[str, object]] = [{**report} for report in reports.values()]
    shown = [kind for kind in _COUNTS if kind in _ALWAYS or any(count[kind] for count in counts)]
    header = ("FILE", *(kind.upper().replace("_", " ") for kind in shown))
    rows = [(name_of(name), *(f"{count[kind]:,}" for kind in shown)) for name, count in zip(reports, counts)]
    echo_table(header, rows)


def describe_changes(changes: Iterable[ImportChange]) -> Iterable[tuple[ImportChange, str]]:
    """Return of what became of chats that which the table does not tell, in words."""
    return ((change, _WORDS[change["action"]]) for change in changes if change["action"] in _WORDS)
