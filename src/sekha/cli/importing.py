"""`sekha import`: import chats of other applications, and notes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Dict, List, Optional, Union, cast

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import FAILED, OK
from sekha.cli.import_details import echo_changes, echo_failures, echo_imported, echo_left_out, echo_splits
from sekha.cli.import_preview import preview
from sekha.cli.import_progress import import_progress
from sekha.cli.import_sources import NOTES_FOLDER, ImportSource, find_sources
from sekha.cli.import_sync import echo_gone, echo_plan, echo_synced
from sekha.cli.options import Json, Url, not_blank
from sekha.cli.terminal import echo_err, echo_json
from sekha.errors import SekhaConfigError, SekhaError
from sekha.exports._note_files import JOURNAL
from sekha.types import ImportReport, SyncReport

DETAILS = "A journal records the progress: run the same command again to resume an interrupted import."
EXAMPLES = (
    "sekha import conversations.json --dry-run",
    "sekha import export.zip --folder /chatgpt",
    "sekha import notes/ --sync",
)

Report = Union[ImportReport, SyncReport]


def run(
    files: Annotated[
        List[Path],
        typer.Argument(
            metavar="PATH",
            exists=True,
            readable=True,
            help="Export of ChatGPT, Claude, DeepSeek, Gemini and others (conversations.json, .zip or folder), "
            "sessions of coding agents, JSON lines, or notes (Markdown and text files, or a folder of them). "
            "docs/guides/import.md lists all formats.",
        ),
    ],
    folder: Annotated[
        Optional[str],
        typer.Option(
            "--folder",
            metavar="FOLDER",
            callback=not_blank,
            help="Folder to store everything in.  [default: one for each application, or /notes]",
        ),
    ] = None,
    dated: Annotated[
        bool,
        typer.Option(
            "--dated", help="For chats: append the month of their creation to the folder, such as /chatgpt/2023/11."
        ),
    ] = False,
    with_memories: Annotated[
        bool, typer.Option("--with-memories", help="Also import memories and projects of Claude, as notes.")
    ] = False,
    split: Annotated[
        bool, typer.Option("--split", help="For notes: create one conversation for each heading.")
    ] = False,
    sync: Annotated[
        bool, typer.Option("--sync", help="For notes: replace the ones that have changed since the last import.")
    ] = False,
    delete: Annotated[
        bool,
        typer.Option(
            "--delete",
            help="With --sync: delete notes whose files were deleted (archive them if the server cannot delete).",
        ),
    ] = False,
    journal: Annotated[
        Optional[Path],
        typer.Option(
            "--journal",
            metavar="FILE",
            dir_okay=False,
            help=f"Journal file used to resume an import.  [default: {JOURNAL} next to the first file, or in it]",
        ),
    ] = None,
    drop_images: Annotated[
        bool, typer.Option("--drop-images", help="Drop images in messages if the server supports only text.")
    ] = False,
    concurrency: Annotated[
        int, typer.Option("--concurrency", metavar="N", min=1, max=100, help="Number of simultaneous requests.")
    ] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be imported, and exit.")] = False,
    url: Url = None,
    json: Json = False,
) -> int:
    """Import files. A journal records the progress, so that running the command again resumes the import."""
    for file in files:
        if not file.is_file() and not file.is_dir():
            raise typer.BadParameter(
                f"{file} is not a regular file (it is read twice): save the output of a pipe to a file first"
            )
    sources = find_sources(files, folder, split=split, dated=dated, with_memories=with_memories)
    _check_options(sources, split=split, sync=sync, delete=delete, dated=dated, with_memories=with_memories)
    if journal is not None:
        _check_journal(sources, journal)
    if dry_run and not sync:
        return preview(sources, json, drop_images, journal)
    from sekha import SekhaClient

    config = config_from(url)
    report: Report
    reports: Dict[str, Report] = {}
    with SekhaClient(config) as client:
        for source in sources:
            try:
                with import_progress(source.name, source.read, config) as on_progress:
                    if sync:
                        report = client.controller.sync_notes(
                            source.path,
                            folder=folder or NOTES_FOLDER,
                            split=split,
                            delete=delete,
                            dry_run=dry_run,
                            concurrency=concurrency,
                            journal=journal or source.journal,
                            on_progress=on_progress,
                        )
                    else:
                        report = client.controller.import_conversations(
                            source.read(),
                            concurrency=concurrency,
                            journal=journal or source.journal,
                            drop_images=drop_images,
                            on_progress=on_progress,
                        )
            except SekhaConfigError:
                raise
            except (SekhaError, OSError, KeyboardInterrupt) as error:
                begun: Optional[Report] = getattr(error, "report", None)
                if begun is not None:
                    reports[str(source.path)] = begun
                    _echo_details(source.name, begun, json or sync)
                _echo_reports(reports, json, sync, dry_run)
                echo_err(f"import of {source.name} was interrupted; run the same command to resume")
                raise
            reports[str(source.path)] = report
            _echo_details(source.name, report, json or sync)
    _echo_reports(reports, json, sync, dry_run)
    return FAILED if any(report["failed"] for report in reports.values()) else OK


def _check_options(
    sources: Sequence[ImportSource], *, split: bool, sync: bool, delete: bool, dated: bool, with_memories: bool
) -> None:
    """Raise BadParameter for an option that does not apply to the files, or requires another option."""
    for option, is_given in (("--split", split), ("--sync", sync)):
        if is_given and not all(source.is_notes for source in sources):
            raise typer.BadParameter(f"{option} is only for notes")
    if dated and any(source.is_notes for source in sources):
        raise typer.BadParameter("--dated is only for chats")
    if with_memories and all(source.is_notes for source in sources):
        raise typer.BadParameter("--with-memories is only for exports")
    if delete and not sync:
        raise typer.BadParameter("--delete requires --sync")


def _check_journal(sources: Sequence[ImportSource], journal: Path) -> None:
    """Raise BadParameter if the files cannot use this journal."""
    if len(sources) > 1 and any(source.is_notes for source in sources):
        raise typer.BadParameter("--journal: pass only one folder of notes, since each requires a separate journal")
    for source in sources:
        if journal.exists() and journal.samefile(source.path):
            raise typer.BadParameter("--journal: must not be the file to import")


def _echo_details(name: str, report: Report, only_failures: bool) -> None:
    """Print the details of an import: failures, changes, splits and omissions."""
    echo_failures(name, report["failures"])
    if not only_failures:
        echo_changes(name, cast(ImportReport, report)["changes"])
        echo_splits(name, report["split"], "stored")
        echo_left_out(name, report["left_out"])


def _echo_reports(reports: Mapping[str, Report], json: bool, sync: bool, dry_run: bool) -> None:
    """Print the counts of each file."""
    synced = cast("Dict[str, SyncReport]", reports) if sync else {}
    if not reports:
        return
    if json:
        echo_json(reports)
    elif dry_run:
        echo_plan(synced)
    elif sync:
        echo_synced(synced)
    else:
        echo_imported(cast("Mapping[str, ImportReport]", reports))
    echo_gone(synced)
