"""`sekha import`: import the chats of other applications, and notes."""

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

Report = Union[ImportReport, SyncReport]


def run(
    files: Annotated[
        List[Path],
        typer.Argument(
            metavar="PATH",
            exists=True,
            readable=True,
            help="An export of ChatGPT, Claude, DeepSeek, Gemini and others (conversations.json, the .zip, a folder), "
            "sessions of coding agents, JSON lines, or notes: a folder of Markdown and text files, or one of them. "
            "docs/guides/import.md lists all kinds.",
        ),
    ],
    folder: Annotated[
        Optional[str],
        typer.Option("--folder", metavar="FOLDER", callback=not_blank, help="Where all of it goes."),
    ] = None,
    dated: Annotated[
        bool, typer.Option("--dated", help="Of chats, put the month in which they were begun into the folder.")
    ] = False,
    with_memories: Annotated[
        bool, typer.Option("--with-memories", help="Import Claude's memories and projects too, as notes.")
    ] = False,
    split: Annotated[bool, typer.Option("--split", help="Of notes, one conversation for each heading.")] = False,
    sync: Annotated[bool, typer.Option("--sync", help="Of notes, replace those that have changed.")] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="With --sync, delete those whose files are gone (else archive them).")
    ] = False,
    journal: Annotated[
        Optional[Path],
        typer.Option(
            "--journal",
            metavar="FILE",
            dir_okay=False,
            help=f"What was imported (default: {JOURNAL} beside the first file, or in the folder).",
        ),
    ] = None,
    drop_images: Annotated[
        bool, typer.Option("--drop-images", help="Lose images in messages where the server stores text only.")
    ] = False,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=100, help="How many at a time.")] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be imported, and end.")] = False,
    url: Url = None,
    json: Json = False,
) -> int:
    """Import files. A journal records the progress, so that the same command resumes an interrupted import."""
    for file in files:
        if not file.is_file() and not file.is_dir():
            raise typer.BadParameter(f"{file} is no file, and it is read twice: write what comes out of a pipe to one")
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
                echo_err(f"{source.name} is not imported to its end; the same command goes on from here.")
                raise
            reports[str(source.path)] = report
            _echo_details(source.name, report, json or sync)
    _echo_reports(reports, json, sync, dry_run)
    return FAILED if any(report["failed"] for report in reports.values()) else OK


def _check_options(
    sources: Sequence[ImportSource], *, split: bool, sync: bool, delete: bool, dated: bool, with_memories: bool
) -> None:
    """Raise BadParameter for an option that is for other files, or needs another one."""
    for option, is_given in (("--split", split), ("--sync", sync)):
        if is_given and not all(source.is_notes for source in sources):
            raise typer.BadParameter(f"{option} is for notes")
    if dated and any(source.is_notes for source in sources):
        raise typer.BadParameter("--dated is for chats")
    if with_memories and all(source.is_notes for source in sources):
        raise typer.BadParameter("--with-memories is for exports")
    if delete and not sync:
        raise typer.BadParameter("--delete needs --sync")


def _check_journal(sources: Sequence[ImportSource], journal: Path) -> None:
    """Raise BadParameter if the files cannot have this journal."""
    if len(sources) > 1 and any(source.is_notes for source in sources):
        raise typer.BadParameter("--journal is for one folder of notes: each has its own")
    for source in sources:
        if journal.exists() and journal.samefile(source.path):
            raise typer.BadParameter("--journal is for notes: it cannot be the file that is imported")


def _echo_details(name: str, report: Report, only_failures: bool) -> None:
    """Print what of a file was not, or not as it is, imported."""
    echo_failures(name, report["failures"])
    if not only_failures:
        echo_changes(name, cast(ImportReport, report)["changes"])
        echo_splits(name, report["split"], "stored")
        echo_left_out(name, report["left_out"])


def _echo_reports(reports: Mapping[str, Report], json: bool, sync: bool, dry_run: bool) -> None:
    """Print how much of each file was imported."""
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
