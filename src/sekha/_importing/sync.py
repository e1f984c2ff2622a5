"""The logic of a sync: find notes that are new, changed, moved or deleted since their last record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from sekha._importing.digests import Digests
from sekha._importing.journal import Begun, Journal
from sekha._importing.plan import Item, Rejected, make_failure
from sekha._importing.sources import Known
from sekha.errors import SekhaConfigError
from sekha.exports._notes import NoteReader, Source
from sekha.types import SyncChange, SyncReport

Kind = Literal["unchanged", "moved", "replaced", "new"]

_ACTIONS: Mapping[Kind, Literal["stored", "replaced", "moved"]] = {
    "new": "stored", "replaced": "replaced", "moved": "moved"
}  # fmt: skip


class Step(NamedTuple):
    """The action for a note; ``known`` is its stored conversation, None for a new note."""

    kind: Kind
    known: Known | None


class Gone(NamedTuple):
    """A note whose file no longer exists, and whether to remove its conversation."""

    source: Source
    id: str
    is_removed: bool


class Survey:
    """The current notes by source, including empty and unreadable ones.

    Args:
        items: The notes.

    Attributes:
        notes: Digests of each note.
        requests: Label and folder of each note.
        report: The report before the first action.
    """

    def __init__(self, items: Iterable[Item | Rejected]) -> None:
        self.notes: dict[Source, Digests] = {}
        self.files: set[str] = set()
        self.requests: dict[Source, Mapping[str, Any]] = {}
        self._unreadable: set[Source] = set()
        self.report = new_report({})
        for item in items:
            self.report["seen"] += 1
            if isinstance(item, Rejected):
                self.report["failed"] += 1
                self.report["failures"].append(
                    make_failure(item.position, item.problem, place=item.place, label=item.label)
                )
                if item.source is not None:
                    self._unreadable.add(item.source)
            elif not item.request["messages"]:
                self.report["empty"] += 1
            elif item.origin is not None:
                self.notes[item.origin.source] = item.origin.digests
                self.files.add(item.origin.source.file)
                self.requests[item.origin.source] = {key: item.request[key] for key in ("label", "folder")}

    def is_unknown(self, source: Source) -> bool:
        """Return whether it is unknown if a note still exists, since it or its folder cannot be read."""
        parts = source.file.split("/")
        folders = ("/".join(parts[:count]) + "/" for count in range(len(parts)))
        return any(Source(file) in self._unreadable for file in (source.file, *folders)) or source in self._unreadable


def find_orphans(survey: Survey, begun: Iterable[Begun]) -> list[Begun]:
    """Return the conversations that an interrupted sync was about to store, of notes that have changed since."""
    return [one for one in begun if survey.notes.get(one.origin.source) != one.origin.digests]


class SyncPlan(NamedTuple):
    """The actions of a sync: a step for each note, and deleted notes."""

    steps: dict[Source, Step]
    gone: list[Gone]


def plan_sync(survey: Survey, known: Mapping[Source, Known], *, delete: bool) -> SyncPlan:
    """Compare the notes with the journal.

    Args:
        survey: The current notes.
        known: The notes in the journal.
        delete: Whether to remove conversations of deleted files.

    Returns:
        The actions.

    Raises:
        SekhaConfigError: With `delete`, none of the files in the journal exists.
    """
    missing = {
        source: before
        for source, before in known.items()
        if source not in survey.notes and not survey.is_unknown(source)
    }
    if delete and missing and not any(source.file in survey.files for source in known) and len(missing) == len(known):
        raise SekhaConfigError(
            f"none of the {len(known)} notes in the journal exists in this folder; check its path and that it is"
            " mounted. Nothing was changed. To store the new notes, sync without delete"
        )
    movable: defaultdict[str, list[Source]] = defaultdict(list)
    for source in sorted(missing, reverse=True):
        movable[missing[source].digests.messages].append(source)
    steps: dict[Source, Step] = {}
    for source, digests in survey.notes.items():
        before = known.get(source)
        if before is None and movable[digests.messages]:
            moved_from = _best(movable[digests.messages], missing, digests)
            movable[digests.messages].remove(moved_from)
            before = missing.pop(moved_from)
            steps[source] = Step("moved", before)
        elif before is None:
            steps[source] = Step("new", None)
        elif before.digests == digests:
            steps[source] = Step("unchanged", before)
        else:
            steps[source] = Step("moved" if before.digests.messages == digests.messages else "replaced", before)
    gone = [Gone(source, missing[source].id, delete or source.file in survey.files) for source in sorted(missing)]
    return SyncPlan(steps, gone)


def _best(sources: list[Source], missing: Mapping[Source, Known], digests: Digests) -> Source:
    """Return one of the sources with the same text, with the same label if possible."""
    return next((one for one in reversed(sources) if missing[one].digests.label == digests.label), sources[-1])


def preview_sync(survey: Survey, plan: SyncPlan, reader: NoteReader) -> SyncReport:
    """Return the report of a successful sync without executing it."""
    report = survey.report
    report["left_out"] = reader.left_out
    for source, step in plan.steps.items():
        if step.kind == "unchanged":
            report["already_stored"] += 1
            continue
        action = _ACTIONS[step.kind]
        report[action] += 1
        report["changes"].append(make_change(reader, source, action, survey.requests[source]["label"]))
    for gone in plan.gone:
        how: Literal["deleted", "gone"] = "deleted" if gone.is_removed else "gone"
        report[how] += 1
        report["changes"].append(make_change(reader, gone.source, how))
    report["changes"].sort(key=lambda change: change["place"])
    return report


def make_change(
    reader: NoteReader,
    source: Source,
    action: Literal["stored", "replaced", "moved", "deleted", "archived", "gone"],
    label: str | None = None,
) -> SyncChange:
    """Return the report entry of a changed note."""
    return {"place": reader.place(source), "label": label, "action": action}


def new_report(left_out: dict[str, int]) -> SyncReport:
    """Return an empty report."""
    return {
        "seen": 0, "stored": 0, "already_stored": 0, "empty": 0, "failed": 0, "replaced": 0, "moved": 0, "deleted": 0,
        "archived": 0, "gone": 0, "failures": [], "left_out": left_out, "split": [], "changes": [],
    }  # fmt: skip


def is_unchanged_plan(plan: SyncPlan) -> bool:
    """Return whether no note is new or has changed."""
    return all(step.kind == "unchanged" for step in plan.steps.values())


def needs_server(plan: SyncPlan, journal: Journal) -> bool:
    """Return whether anything will be stored, so that the time of the server's clock is needed."""
    return journal.since is None and any(step.kind in ("new", "replaced") for step in plan.steps.values())
