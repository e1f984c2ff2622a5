# Generated from src/sekha/_async/controller/syncing.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Keeping a folder of notes and the memory in step."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Optional, Union

from sekha._transport.preload import load_ahead
from sekha.types import ImportProgress, SyncReport

from .importing import ImportMixin, check_import_options

load_ahead(f"{__package__}.sync_run")


class SyncMixin(ImportMixin):
    """The part of `MemoryController` that keeps notes and the memory in step."""

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
        """Store what is new and replace what has changed in a folder of notes since it was last imported or synced.

        The notes are those of `sekha.exports.read_notes`. Unchanged ones cost no request; a new one costs one, and all
        new ones together one for each thousand conversations of the memory; a changed one an export, a create and a
        delete; one whose label or folder has changed one or two. Importance, and a label or folder that were changed in
        the memory only, are kept. What broke off is continued by the same call, as with `import_conversations`.

        Args:
            path: The folder, or one file.
            folder: Where the notes are to go; default ``notes``.
            split: Whether each heading of Markdown is a conversation of its own.
            delete: Whether to delete conversations whose files are gone; where the server cannot, they are archived.
            dry_run: Whether only to say what would happen; no request is made.
            concurrency: How many are stored at a time, 1 to 100; ``max_concurrent_writes`` is a limit too.
            journal: File in which is noted what is stored, which belongs to one folder; default ``.sekha-journal`` in
                the folder, so that it moves with it.
            on_progress: Called after each note with how many were seen, stored, replaced and so on; once if no note is
                new or has changed.

        Returns:
            The same numbers, ``deleted``, ``archived``, ``gone``, ``left_out``, ``failures``, and ``changes``: place,
            label and action of all that is not as it was.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: The journal belongs to another server, or is no journal; or none of the notes that it
                knows is there, and they are to be deleted.
            SekhaInUseError: Another import or sync uses the journal.
            SekhaError: The server refuses the key or cannot be reached; call again to go on. ``report`` of the error
                has what was done before it.
            OSError: The folder or the journal cannot be read or written.

        Warns:
            SekhaWarning: As `sekha.exports.read_notes`; or the server cannot delete, and conversations are archived.

        Example:
            ```python
            from pathlib import Path

            Path("garden").mkdir()
            Path("garden/tomatoes.md").write_text("Sow them in March.")
            report = client.controller.sync_notes("garden", folder="/garden")
            print(report["stored"], report["already_stored"])  # 1 0
            Path("garden/tomatoes.md").write_text("Sow them in April.")
            report = client.controller.sync_notes("garden", folder="/garden")
            print(report["changes"])  # [{'place': 'garden/tomatoes.md', 'label': 'tomatoes', 'action': 'replaced'}]
            ```
        """
        check_import_options(concurrency, on_progress)
        from .sync_run import sync_all  # loaded ahead where there is an event loop

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
