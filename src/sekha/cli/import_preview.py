"""Output of `sekha import --dry-run`: a preview of the files; nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sekha._api.compat.capabilities import MAX_KEY_WARNINGS
from sekha._api.compat.requests import extra_keys
from sekha._importing.plan import count_left_out, preview_split
from sekha._importing.preview import ImportPreview
from sekha.cli.exits import FAILED, OK
from sekha.cli.import_details import echo_left_out, echo_problems, echo_splits
from sekha.cli.import_sources import ImportSource, name_of
from sekha.cli.tables import echo_table
from sekha.cli.terminal import echo_err, echo_json, one_line
from sekha.exports import ExportItem
from sekha.types import CreateConversationRequest, ImportSplit, UnreadableConversation
from sekha.types._base import normalize_folder

_ROWS = 10


def _no_counts() -> dict[str, int]:
    return {"conversations": 0, "messages": 0, "empty": 0, "unreadable": 0}


@dataclass
class _File:
    """Contents of a file.

    Attributes:
        left_out: Number of omitted items, by kind.
        counts: Number of conversations, messages and so on.
        changes: Number of conversations that have changed since the last import, by outcome.
        splits: Conversations that are too large for one request.
    """

    left_out: dict[str, int]
    counts: dict[str, int] = field(default_factory=_no_counts)
    changes: dict[str, int] = field(default_factory=lambda: {})
    splits: list[ImportSplit] = field(default_factory=lambda: [])


class _Preview:
    """Contents of all files.

    Attributes:
        files: Contents of each file, by path.
        first: The first conversations.
        bad: Conversations that cannot be read.
        keys: Keys of messages that some servers do not store.
    """

    def __init__(self) -> None:
        self.files: dict[str, _File] = {}
        self.first: list[CreateConversationRequest] = []
        self.bad: list[UnreadableConversation] = []
        self.keys: dict[str, None] = {}

    def read(self, source: ImportSource, earlier: ImportPreview, drop_images: bool) -> None:
        """Read a file."""
        file = self.files[str(source.path)] = _File(dict(source.left_out))
        for position, item in enumerate(count_left_out(source.read(), file.left_out), start=1):
            earlier.count(item, file.changes)
            item, splits = preview_split(item, position, source.name, drop_images=drop_images)
            file.splits += splits
            self._count(cast(ExportItem, item), file.counts)

    def _count(self, item: ExportItem, counts: dict[str, int]) -> None:
        if isinstance(item, UnreadableConversation):
            counts["unreadable"] += 1
            self.bad.append(item)
            return
        messages = item.get("messages", ())
        self.keys.update(dict.fromkeys(extra_keys(messages)))
        if not messages:
            counts["empty"] += 1
            return
        counts["conversations"] += 1
        counts["messages"] += len(messages)
        if len(self.first) < _ROWS:
            self.first.append(item)


def preview(sources: Iterable[ImportSource], json: bool, drop_images: bool, journal: Path | None) -> int:
    """Print a preview of the files; send nothing.

    Args:
        sources: The files.
        json: Whether to print JSON.
        drop_images: Whether images may be dropped.
        journal: The journal of all files; None if each has its own.

    Returns:
        The exit code.
    """
    found = _Preview()
    earlier: dict[Path, ImportPreview] = {}
    for source in sources:
        path = journal or source.journal
        if path not in earlier:
            earlier[path] = ImportPreview(str(path))
        found.read(source, earlier[path], drop_images)
    if json:
        echo_json(_as_json(found))
    else:
        _echo(found)
    echo_problems((f"unreadable: {one_line(one.place)}", one.problem) for one in found.bad)
    return FAILED if found.bad else OK


def _as_json(found: _Preview) -> dict[str, Any]:
    files: dict[str, dict[str, Any]] = {}
    for name, file in found.files.items():
        changes = {"since_last_import": file.changes} if file.changes else {}
        files[name] = {**file.counts, "left_out": file.left_out, **changes}
    return {
        "files": files,
        "message_keys": list(found.keys),
        "split": [one for file in found.files.values() for one in file.splits],
        "unreadable": [{"place": one.place, "problem": one.problem} for one in found.bad],
    }


def _echo(found: _Preview) -> None:
    rows = [
        (
            one_line(one.get("label") or "-", 60),
            one_line(normalize_folder(one.get("folder") or "/"), 60),
            str(len(one.get("messages", ()))),
        )
        for one in found.first
    ]
    echo_table(("LABEL", "FOLDER", "MESSAGES"), rows)
    for path, file in found.files.items():
        name = name_of(path)
        echo_err(f"{name}: {_join(file.counts)}; nothing was sent.")
        if file.changes:
            echo_err(f"{name}: since the last import: {_join(file.changes)}.")
        echo_splits(name, file.splits, "to be stored")
        echo_left_out(name, file.left_out)
    for key in list(found.keys)[:MAX_KEY_WARNINGS]:
        echo_err(f"messages have the extra key '{one_line(key, 60)}'; it is sent, but a server may not store it")


def _join(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {kind}" for kind, number in counts.items())
