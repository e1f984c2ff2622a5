# Generated from src/sekha/_async/controller/syncing.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Sync of a folder of notes with the server."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Optional, Union

from sekha._transport.preload import load_ahead
from sekha.types import ImportProgress, SyncReport

from .importing import ImportMixin, check_import_options

load_ahead(f"{__package__}.sync_run")


class SyncMixin(ImportMixin):
    """Mixin of `MemoryController` that syncs notes."""

    def sync_notes(
        self,
        path: Union[str, os.PathLike[str]],
        *,
        folder: Optional[str] = None,
        split: bool = False,
        delete: bool = False,
        dry_run: bool = False,
        concurrency: int = 4,
        journal: Union[str, os.PathLike[str], None] = None,
        on_progress: Optional[Callable[[ImportProgress], object]] = None,
    ) -> SyncReport:
        """Sync a folder of notes: store new notes, and replace those that have changed since the last import or sync.

        The notes are read by `sekha.exports.read_notes`. An unchanged note takes no request; a new note takes one, plus
        one per thousand stored conversations for all new notes together; a changed note takes an export, a create and a
        delete; a note with only a new label or folder takes one or two. Importance is kept, and so is a label or folder
        that was changed only on the server. The same call resumes an interrupted sync, as with `import_conversations`.

        Args:
            path: The folder with the notes, or one file.
            folder: Folder to store the notes in; default ``notes``.
            split: Whether to store each Markdown heading as a separate conversation.
            delete: Whether to delete conversations whose files no longer exist; if the server cannot delete, they are
                archived.
            dry_run: Whether to only report what would be done; no request is made.
            concurrency: How many are stored at a time, 1 to 100; ``max_concurrent_writes`` is a limit too.
            journal: File that records what is stored; it belongs to one folder. Default: ``.sekha-journal`` in the
                folder, so that it moves with the folder.
            on_progress: Called after each note with the counts so far: seen, stored, replaced and so on; called once if
                no note is new or has changed.

        Returns:
            The report, with the same counts, ``deleted``, ``archived``, ``gone``, ``left_out``, ``failures``, and
            ``changes`` (place, label and action of each changed note).

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaConfigError: The journal belongs to another server, or the file is not a journal; or ``delete`` is True
                and none of the notes in the journal exists.
            SekhaInUseError: Another import or sync is using the journal.
            SekhaError: The server rejected the key or cannot be reached; call again to resume. ``report`` of the error
                has the result so far.
            OSError: The folder or the journal cannot be read or written.

        Warns:
            SekhaWarning: As for `sekha.exports.read_notes`; or the server cannot delete, so conversations are archived.

        Example:
            ```python
            from pathlib import Path

            Path("garden").mkdir()
            Path("garden/tomatoes.md").write_text("Sow them in March.")
            report = client.controller.sync_notes("garden", folder="/garden")
            print(report["stored"], report["already_stored"])  # 1 0
            Path("garden/tomatoes.md").write_text("Sow them in April.")
            report = client.controller.sync_notes("garden", folder="/garden")
            print(
                report["changes"]
            )  # [{'place': 'garden/tomatoes.md', 'label': 'tomatoes', 'action': 'replaced'}]
            ```
        """
        check_import_options(concurrency, on_progress)
        from .sync_run import sync_all  # imported in advance if there is an event loop

        return sync_all(
            self._transport,
            self._capabilities,
            self._view,
            path,
            folder=folder,
            split=split,
            delete=delete,
            dry_run=dry_run,
            concurrency=concurrency,
            journal=None if journal is None else os.fspath(journal),
            on_progress=on_progress,
        )
