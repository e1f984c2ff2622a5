"""`sekha import`: import the chats of other applications, and notes."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union, cast

import typer
from typing_extensions import Annotated

from sekha._api.compat.capabilities import MAX_KEY_WARNINGS
from sekha._api.compat.requests import extra_keys
from sekha._importing.plan import count_left_out, preview_split
from sekha._importing.preview import ImportPreview
from sekha.cli.connection import config_from
from sekha.cli.exits import FAILED, OK
from sekha.cli.import_changes import describe_changes, echo_imported
from sekha.cli.import_progress import import_progress
from sekha.cli.import_sources import NOTES_FOLDER, ImportSource, find_sources, name_of
from sekha.cli.import_sync import echo_gone, echo_plan, echo_synced
from sekha.cli.options import Json, Url, not_blank
from sekha.cli.tables import echo_table
from sekha.cli.terminal import echo_err, echo_json, one_line
from sekha.errors import SekhaConfigError, SekhaError
from sekha.exports import ExportItem
from sekha.exports._containers import MEMORIES
from sekha.exports._note_files import JOURNAL
from sekha.types import (
    CreateConversationRequest,
    ImportChange,
    ImportFailure,
    ImportReport,
    ImportSplit,
    SyncReport,
    UnreadableConversation,
)
from sekha.types._base import normalize_folder

_PREVIEW_ROWS = 10
_MAX_ALIKE = 10
_DIGITS = re.compile(r"\d+")

Counts = Dict[str, Any]
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
            "docs/importing.md lists all kinds.",
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
    for option, is_given in (("--split", split), ("--sync", sync)):
        if is_given and not all(source.is_notes for source in sources):
            raise typer.BadParameter(f"{option} is for notes")
    if dated and any(source.is_notes for source in sources):
        raise typer.BadParameter("--dated is for chats")
    if with_memories and all(source.is_notes for source in sources):
        raise typer.BadParameter("--with-memories is for exports")
    if delete and not sync:
        raise typer.BadParameter("--delete needs --sync")
    if journal is not None and len(sources) > 1 and any(source.is_notes for source in sources):
        raise typer.BadParameter("--journal is for one folder of notes: each has its own")
    for source in sources:
        if journal is not None and journal.exists() and journal.samefile(source.path):
            raise typer.BadParameter("--journal is for notes: it cannot be the file that is imported")
    if dry_run and not sync:
        return _preview(sources, json, drop_images, journal)
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


def _echo_details(name: str, report: Report, only_failures: bool) -> None:
    """Print what of a file was not, or not as it is, imported."""
    _echo_failures(name, report["failures"])
    if not only_failures:
        _echo_changes(name, cast(ImportReport, report)["changes"])
        _echo_splits(name, report["split"], "stored")
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


def _echo_failures(name: str, failures: Iterable[ImportFailure]) -> None:
    lines: List[Tuple[str, str]] = []
    for failure in sorted(failures, key=lambda failure: failure["position"]):
        place = _describe(name, failure["place"], failure["position"], failure["label"])
        lines.append((f"not imported: {place}", failure["error"]))
    _echo_problems(lines)


def _describe(name: str, place: Optional[str], position: int, label: Optional[str]) -> str:
    """Return where a conversation stands, with its label."""
    return one_line(place or f"{name}, conversation {position}") + (f" ({one_line(label, 60)})" if label else "")


def _echo_changes(name: str, changes: Iterable[ImportChange]) -> None:
    """Print what became of chats that are not new, as far as the table does not tell."""
    _echo_problems(
        (one_line(change["place"] or name) + f" ({one_line(change['label'], 60)})", words)
        for change, words in describe_changes(changes)
    )


def _echo_splits(name: str, splits: Iterable[ImportSplit], verb: str) -> None:
    """Print which conversations are too large for one request."""
    _echo_problems(
        (_describe(name, one["place"], one["position"], one["label"]), f"too large, {verb} in {one['parts']} parts")
        for one in sorted(splits, key=lambda one: one["position"])
    )


def _echo_problems(lines: Iterable[Tuple[str, str]]) -> None:
    """Print problems, of those that differ in numbers only the first ones, and how many more there are."""
    alike: Dict[str, int] = {}
    for what, problem in lines:
        kind = _DIGITS.sub("", problem)
        alike[kind] = alike.get(kind, 0) + 1
        if alike[kind] <= _MAX_ALIKE:
            echo_err(f"{what}: {one_line(problem, 400)}")
    for kind, number in alike.items():
        if number > _MAX_ALIKE:
            echo_err(f"and {number - _MAX_ALIKE:,} more: {one_line(kind, 400)} (--json has all)")


def echo_left_out(name: str, left_out: Mapping[str, int]) -> None:
    """Print what was left out of a file, by kind, the most first."""
    kinds = sorted(left_out.items(), key=lambda one: (-one[1], one[0]))
    if kinds:
        echo_err(f"{name}: left out: {', '.join(f'{number:,} {one_line(kind, 80)}' for kind, number in kinds)}")
    if MEMORIES in left_out:
        echo_err(f"{name}: --with-memories imports the memories and projects, as notes")


def _preview(sources: Iterable[ImportSource], json: bool, drop_images: bool, journal: Optional[Path]) -> int:
    """Print what the files contain, without sending it."""
    by_file: Dict[str, Counts] = {}
    bad: List[UnreadableConversation] = []
    first: List[CreateConversationRequest] = []
    keys: Dict[str, None] = {}
    left_out: Dict[str, Dict[str, int]] = {}
    splits: Dict[str, List[ImportSplit]] = {}
    previews: Dict[Path, ImportPreview] = {}
    since_last: Dict[str, Dict[str, int]] = {}
    for source in sources:
        name, path = str(source.path), journal or source.journal
        preview = previews.setdefault(path, previews.get(path) or ImportPreview(str(path)))
        counts = {"conversations": 0, "messages": 0, "empty": 0, "unreadable": 0}
        left_out[name], splits[name] = dict(source.left_out), []
        changes: Dict[str, int] = {}
        for position, item in enumerate(count_left_out(source.read(), left_out[name]), start=1):
            preview.count(item, changes)
            item, split = preview_split(item, position, source.name, drop_images=drop_images)
            splits[name] += split
            _count_item(cast(ExportItem, item), counts, first, bad)
            if not isinstance(item, UnreadableConversation):
                keys.update(dict.fromkeys(extra_keys(cast(CreateConversationRequest, item).get("messages", ()))))
        since_last[name] = changes
        by_file[name] = {**counts, "left_out": left_out[name]} if json else counts
        if changes and json:
            by_file[name]["since_last_import"] = changes
    if json:
        unreadable = [{"place": one.place, "problem": one.problem} for one in bad]
        split = [one for of_file in splits.values() for one in of_file]
        echo_json({"files": by_file, "message_keys": list(keys), "split": split, "unreadable": unreadable})
    else:
        echo_table(
            ("LABEL", "FOLDER", "MESSAGES"),
            [
                (
                    one_line(one.get("label") or "-", 60),
                    one_line(normalize_folder(one.get("folder") or "/"), 60),
                    str(len(one.get("messages", ()))),
                )
                for one in first
            ],
        )
        for name, counts in by_file.items():
            summary = ", ".join(f"{number:,} {kind}" for kind, number in counts.items())
            echo_err(f"{name_of(name)}: {summary}; nothing was sent.")
            if since_last[name]:
                since = ", ".join(f"{number:,} {kind}" for kind, number in since_last[name].items())
                echo_err(f"{name_of(name)}: since the last import: {since}.")
            _echo_splits(name_of(name), splits[name], "to be stored")
            echo_left_out(name_of(name), left_out[name])
        for key in list(keys)[:MAX_KEY_WARNINGS]:
            echo_err(f"'{one_line(key, 60)}' of messages goes along, and is lost where the server does not keep it.")
    _echo_problems((f"unreadable: {one_line(one.place)}", one.problem) for one in bad)
    return FAILED if bad else OK


def _count_item(
    item: ExportItem, counts: Counts, first: List[CreateConversationRequest], bad: List[UnreadableConversation]
) -> None:
    if isinstance(item, UnreadableConversation):
        counts["unreadable"] += 1
        bad.append(item)
    elif not (messages := item.get("messages")):
        counts["empty"] += 1
    else:
        counts["conversations"] += 1
        counts["messages"] += len(messages)
        if len(first) < _PREVIEW_ROWS:
            first.append(item)
