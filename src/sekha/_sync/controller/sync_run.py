# Generated from src/sekha/_async/controller/sync_run.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""One run of a sync: an import of notes that also replaces, moves and removes."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, cast

from sekha._api import endpoints
from sekha._api.compat.capabilities import Capabilities
from sekha._api.folder_view import FolderView
from sekha._api.stored import compare_messages, complete_replacement, is_unchanged, label_and_folder
from sekha._concurrency.tasks import for_each, in_thread
from sekha._importing.digests import digests_of
from sekha._importing.failures import judge_failure
from sekha._importing.journal import Journal
from sekha._importing.plan import Item, Rejected, attach_report, iter_items, make_failure
from sekha._importing.sources import Known, Origin, is_chat
from sekha._importing.sync import (
    Step,
    Survey,
    SyncPlan,
    find_orphans,
    is_unchanged_plan,
    make_change,
    needs_server,
    new_report,
    plan_sync,
    preview_sync,
)
from sekha.errors import SekhaError
from sekha.exports._note_files import JOURNAL
from sekha.exports._notes import NoteReader, Source, check_folder, check_path, warn_of_left_out
from sekha.types import ImportProgress, SyncReport

from ..operations.pagination import all_conversations
from ..transport import Transport
from .import_run import ImportRun
from .orphans import Orphans
from .storing import Count


def sync_all(
    transport: Transport,
    capabilities: Capabilities,
    view: FolderView | None,
    path: str | os.PathLike[str],
    *,
    folder: str | None,
    split: bool,
    delete: bool,
    dry_run: bool,
    concurrency: int,
    journal: str | None,
    on_progress: Callable[[ImportProgress], object] | None,
) -> SyncReport:
    """Sync notes; see `MemoryController.sync_notes`.

    Args:
        transport: The transport of the controller.
        capabilities: The known capabilities of the controller.
        view: The folder that the client is restricted to; None for the whole memory.
        path: The folder with the notes, or one file.
        folder: The folder to store the notes in.
        split: Whether to store each heading as a separate conversation.
        delete: Whether to delete conversations whose files no longer exist.
        dry_run: Whether to only report what would be done.
        concurrency: Maximum number of concurrent requests.
        journal: The file of the journal; None for the default.
        on_progress: Called after each note.

    Raises:
        SekhaError: The sync ended early; ``report`` of the error has the result so far.
    """
    root, target = check_path(path), check_folder(folder)
    if view is not None:
        target = view.absolute(target)
    reader = in_thread(partial(NoteReader, root, target, split))
    default = os.path.join(root, JOURNAL) if reader.is_folder else root + JOURNAL
    notes = Journal(default if journal is None else journal, transport.base_url, None if view is None else view.folder)
    in_thread(notes.peek if dry_run else notes.open)
    try:
        survey = in_thread(lambda: Survey(iter_items(reader, notes, view)))
        warn_of_left_out(reader)
        if not dry_run:
            Orphans(transport, notes, view).resolve(find_orphans(survey, notes.begun()))
        plan = plan_sync(survey, notes.notes(), delete=delete)
        if dry_run:
            return preview_sync(survey, plan, reader)
        reader.warns = False
        if needs_server(plan, notes):
            since = (transport.send(endpoints.CONTROLLER_HEALTH.request())).get("timestamp")
            in_thread(partial(notes.start, since))
        run = SyncRun(transport, capabilities, notes, on_progress, reader, plan, view)
        try:
            if is_unchanged_plan(plan):
                run.take_over(survey)
            else:
                run.look_for_new(survey)
                for_each(iter_items(reader, notes, view), run.process, concurrency, run.stop)
                run.resolve_pending()
            run.remove_gone()
        except BaseException as error:
            attach_report(error, run.synced)
            raise
    finally:
        notes.close()
    return run.synced


class SyncRun(ImportRun):
    """One run of a sync: an import that also replaces, moves and removes.

    Args:
        transport: The transport of the controller.
        capabilities: The known capabilities of the controller.
        journal: The journal, open.
        on_progress: Called after each note.
        reader: The notes.
        plan: The action for each note.
        view: The folder that the client is restricted to; None for the whole memory.
    """

    def __init__(
        self,
        transport: Transport,
        capabilities: Capabilities,
        journal: Journal,
        on_progress: Callable[[ImportProgress], object] | None,
        reader: NoteReader,
        plan: SyncPlan,
        view: FolderView | None,
    ) -> None:
        self.synced = new_report(reader.left_out)
        super().__init__(transport, capabilities, journal, on_progress, view, self.synced)
        self._reader = reader
        self._plan = plan
        self._candidates: dict[tuple[object, object], list[str]] = {}
        self._claimed: set[str] = set()
        self._stale_before = [(id, source) for id, source in journal.stale().items() if not is_chat(source)]

    def take_over(self, survey: Survey) -> None:
        """Count the notes if nothing has to be stored: they need not be read again."""
        with self._count_lock:
            self.synced["already_stored"] = len(self._plan.steps)
            self.synced["seen"], self.synced["empty"] = survey.report["seen"], survey.report["empty"]
            self.synced["failed"], failures = survey.report["failed"], survey.report["failures"]
            self.synced["failures"].extend(failures)
            self._report()

    def look_for_new(self, survey: Survey) -> None:
        """Find conversations that may be new notes: another machine may have stored them, or the journal was lost."""
        new = [source for source, step in self._plan.steps.items() if step.kind == "new"]
        if not new:
            return
        wanted = {label_and_folder(survey.requests[source]) for source in new}
        known = {*self._journal.ids, *self._journal.stale()}
        rows = self._patiently(
            partial(all_conversations, self._transport, lambda row: label_and_folder(row) in wanted)
        )
        for row in rows:
            is_free = row["metadata"].get("status") != "archived" and row["conversation_id"] not in known
            if is_free and self._is_inside(row["folder"]):
                self._candidates.setdefault(label_and_folder(row), []).append(row["conversation_id"])

    def process(self, item: Item | Rejected) -> None:
        """Carry out the planned action for a note, and count it."""
        step = None
        if isinstance(item, Item) and item.origin is not None and item.request["messages"]:
            step = self._plan.steps.get(item.origin.source)
        if step is None or not isinstance(item, Item) or self._stopped.is_set():
            super().process(item)
        elif step.kind == "unchanged":
            self._count("already_stored")
        elif step.known is not None and item.entry.id in self._journal.stale():
            # It is again as before the last sync, which was interrupted before it removed the earlier version.
            self._finish(item, str(item.entry.id), "replaced")
        else:
            try:
                ready = self._prepare(item, step)
            except SekhaError as error:
                self._report_failure(item, error)
                return
            if ready is not None:
                super().process(ready)

    def _prepare(self, item: Item, step: Step) -> Item | None:
        """Return the conversation to store for a note; None if it is already stored.

        Raises:
            SekhaError: A request failed.
        """
        if step.known is None:
            if self._journal.is_open(item.entry.key):
                return item
            id = self._find_stored(item)
            if id is not None:
                self._finish(item, id, "already_stored")
            return item if id is None else None
        changes = self._changes(item, step.known)
        if step.kind == "moved":
            self._move(step.known.id, changes)
            self._finish(item, step.known.id, "moved")
            return None
        export = self._export(step.known.id)
        if export is None:  # it was deleted on the server
            in_thread(partial(self._journal.removed, step.known.id))
            return item
        replacement = complete_replacement({"messages": item.request["messages"], **changes}, export)
        if is_unchanged(replacement, export):
            self._finish(item, step.known.id, "already_stored")
            return None
        return item._replace(request=replacement)

    def _find_stored(self, item: Item) -> str | None:
        """Return the ID of an existing conversation for a new note, if any; each is used for one note only."""
        for id in self._candidates.get(label_and_folder(item.request), ()):
            export = self._export(id)
            if export is not None and compare_messages(item.request["messages"], export["messages"]) == "same":
                with self._count_lock:
                    if id not in self._claimed:
                        self._claimed.add(id)
                        return id
        return None

    def _changes(self, item: Item, known: Known) -> dict[str, Any]:
        """Return label and folder of a note if they have changed there; otherwise those on the server are kept."""
        now = digests_of(item.request)
        before = known.digests
        return {
            key: item.request[key]
            for key, is_changed in (("label", now.label != before.label), ("folder", now.folder != before.folder))
            if is_changed
        }

    def _finish(self, item: Item, id: str, name: Count) -> None:
        """Record a stored item, remove its earlier version, and count it."""
        source = cast(Origin, item.origin).source
        in_thread(partial(self._journal.done, item.entry.key, id, item.origin))
        earlier = list(self._journal.stale(source))
        try:
            self._remove_earlier(earlier)
        except SekhaError as error:
            self._report_failure(item, error)
            return
        if earlier:
            name = "replaced"
        self._count(name)
        if name in ("stored", "replaced", "moved"):
            self.synced["changes"].append(make_change(self._reader, source, name, item.request["label"]))

    def remove_gone(self) -> None:
        """Remove conversations whose notes no longer exist, and earlier versions that an interrupted sync has left."""
        for id, source in self._stale_before:
            if id in self._journal.stale():
                self._remove_or_report(id, source)
        for gone in self._plan.gone:
            how = self._remove_or_report(gone.id, gone.source) if gone.is_removed else "gone"
            if how is not None:
                self.synced[how] += 1
                self.synced["changes"].append(make_change(self._reader, gone.source, how))
        self.synced["changes"].sort(key=lambda change: change["place"])

    def _remove_or_report(self, id: str, source: Source) -> Literal["deleted", "archived"] | None:
        try:
            return self._remove(id)
        except SekhaError as error:
            verdict = judge_failure(error, self._failure_streak)
            self._failure_streak = verdict.streak
            problem = f"conversation {id} was not deleted: {error}"
            self._count("failed", make_failure(0, problem, place=self._reader.place(source)))
            if verdict.ends_import:
                raise
            return None
