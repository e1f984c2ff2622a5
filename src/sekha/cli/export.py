"""`sekha export`: write conversations as JSON, Markdown, or JSON lines that can be imported again."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from enum import Enum
from typing import TYPE_CHECKING, Any, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.files import atomic_write
from sekha.cli.ids import find_id
from sekha.cli.options import (
    Archived,
    InFolder,
    InLabel,
    Pinned,
    Since,
    Subfolders,
    Until,
    Url,
    check_subfolders,
    not_blank,
)
from sekha.cli.terminal import echo, echo_err, stdout_encoding, to_json
from sekha.errors import SekhaNotFoundError

if TYPE_CHECKING:
    from sekha import SekhaClient
    from sekha.types import MemoryExport

EXAMPLES = (
    "sekha export 5cb1f338 --format markdown",
    "sekha export --folder /work --subfolders",
    "sekha export --all --output memory.jsonl",
)


DEFAULT_IMPORTANCE = 5


class Format(str, Enum):
    """The format of an export."""

    JSON = "json"
    MARKDOWN = "markdown"
    JSONL = "jsonl"
    FULL = "full"


def run(
    id: Annotated[
        Optional[str], typer.Argument(metavar="ID", help="Conversation ID, or its first 8 or more characters.")
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Export all conversations.")] = False,
    label: InLabel = None,
    folder: InFolder = None,
    subfolders: Subfolders = False,
    pinned: Pinned = None,
    archived: Archived = None,
    since: Since = None,
    until: Until = None,
    format: Annotated[
        Optional[Format],
        typer.Option(
            "--format",
            help="Format. jsonl: JSON lines to import again, without IDs, dates and status. full: JSON lines with "
            "these, which `sekha import` stores only once.  [default: json for one conversation, jsonl for several]",
        ),
    ] = None,
    output: Annotated[
        Optional[str],
        typer.Option("--output", "-o", metavar="FILE", callback=not_blank, help="File to write.  [default: stdout]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    url: Url = None,
) -> int:
    """Write conversations to stdout, or atomically to a file."""
    from sekha import SekhaClient

    many = all or any(value is not None for value in (label, folder, pinned, archived, since, until))
    check_subfolders(subfolders, folder)
    if (id is not None) == many:
        raise typer.BadParameter("pass the ID of one conversation, or --all, or filters such as --folder")
    if many and format not in (None, Format.JSONL, Format.FULL):
        raise typer.BadParameter("--format json and markdown are for one conversation; use jsonl or full")
    is_plain = format is Format.JSONL or (many and format is None)
    filters: dict[str, Any] = {
        "label": label,
        "folder": folder,
        "subfolders": subfolders,
        "pinned": pinned,
        "archived": archived,
        "start_date": since,
        "end_date": until,
    }
    with SekhaClient(config_from(url)) as client, ExitStack() as stack:
        file = None if output is None else stack.enter_context(atomic_write(output, force=force))
        encoding = stdout_encoding() if file is None else "utf-8"
        lines = _export_many(client, filters, _plain_line if is_plain else _full_line, encoding)
        if id is not None:
            lines = _export_one(client, find_id(client, id), format or Format.JSON, encoding)
        count = 0
        for text in lines:
            if file is None:
                echo(text)
            else:
                file.write(f"{text}\n")
            count += 1
    if file is not None:
        echo_err(f"Wrote {count} conversation{'' if count == 1 else 's'} to {output}.")
    if is_plain and count:
        echo_err("omitted: IDs, dates and status (--format full includes them)")
    return OK


def _export_one(client: "SekhaClient", id: str, format: Format, encoding: str) -> Iterator[str]:
    export = client.mcp.memory_export(id, format="markdown" if format is Format.MARKDOWN else "json")
    if format is Format.MARKDOWN:
        yield export.get("content", "").rstrip("\n")
    elif format is Format.JSONL:
        yield _plain_line(export, encoding)
    elif format is Format.FULL:
        yield _full_line(export, encoding)
    else:
        yield to_json({"conversation": export["conversation"], "messages": export["messages"]}, encoding)


def _export_many(
    client: "SekhaClient", filters: dict[str, Any], line: Callable[["MemoryExport", str], str], encoding: str
) -> Iterator[str]:
    for row in client.controller.iter_conversations(**filters):
        try:
            yield line(client.mcp.memory_export(row["conversation_id"]), encoding)
        except SekhaNotFoundError:
            echo_err(f"{row['conversation_id']} was deleted during the export; skipped")


def _full_line(export: "MemoryExport", encoding: str) -> str:
    """Return all fields of a conversation as one line of JSON."""
    return to_json({"conversation": export["conversation"], "messages": export["messages"]}, encoding, indent=None)


def _plain_line(export: "MemoryExport", encoding: str) -> str:
    """Return the arguments of `create_conversation` as one line of JSON."""
    about = export["conversation"]
    data: dict[str, Any] = {"label": about["label"], "folder": about["folder"]}
    if about["importance_score"] != DEFAULT_IMPORTANCE:
        data["importance_score"] = round(about["importance_score"])
    data["messages"] = [{"role": message["role"], "content": message["content"]} for message in export["messages"]]
    return to_json(data, encoding, indent=None)
