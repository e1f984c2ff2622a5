"""`sekha export`: conversations as JSON, Markdown, or lines that can be stored again."""

from collections.abc import Iterator
from contextlib import ExitStack
from enum import Enum
from typing import TYPE_CHECKING, Any, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import FINE
from sekha.cli.files import whole_file
from sekha.cli.options import Archived, InFolder, InLabel, Pinned, Subfolders, Url, check_subfolders, not_blank
from sekha.cli.terminal import as_json, encoding_of_stdout, say, tell
from sekha.errors import SekhaNotFoundError

if TYPE_CHECKING:
    from sekha import SekhaClient
    from sekha.types import MemoryExport


DEFAULT_IMPORTANCE = 5


class Format(str, Enum):
    """How an export is written."""

    JSON = "json"
    MARKDOWN = "markdown"
    JSONL = "jsonl"


def run(
    id: Annotated[Optional[str], typer.Argument(metavar="ID", help="Id of a conversation.")] = None,
    all: Annotated[bool, typer.Option("--all", help="All conversations, as JSON lines.")] = False,
    label: InLabel = None,
    folder: InFolder = None,
    subfolders: Subfolders = False,
    pinned: Pinned = None,
    archived: Archived = None,
    format: Annotated[
        Optional[Format],
        typer.Option("--format", help="Default: json for one, jsonl (which can be stored again) for many."),
    ] = None,
    output: Annotated[
        Optional[str], typer.Option("--output", "-o", metavar="FILE", callback=not_blank, help="Write to this file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if there is such a file.")] = False,
    url: Url = None,
) -> int:
    """Write them to the file, which is there when all are in it, or to the standard output."""
    from sekha import SekhaClient

    many = all or any(value is not None for value in (label, folder, pinned, archived))
    check_subfolders(subfolders, folder)
    if (id is not None) == many:
        raise typer.BadParameter("give the ID of a conversation, or --all, or which (such as --folder)")
    if many and format not in (None, Format.JSONL):
        raise typer.BadParameter("many conversations are written as jsonl")
    which: dict[str, Any] = {
        "label": label,
        "folder": folder,
        "subfolders": subfolders,
        "pinned": pinned,
        "archived": archived,
    }
    with SekhaClient(config_from(url)) as client, ExitStack() as stack:
        file = None if output is None else stack.enter_context(whole_file(output, force=force))
        count = 0
        for text in _many(client, which) if id is None else _one(client, id, format or Format.JSON):
            if file is None:
                say(text)
            else:
                file.write(f"{text}\n")
            count += 1
    if file is not None:
        tell(f"{output} has {count} conversation{'' if count == 1 else 's'}.")
    return FINE


def _one(client: "SekhaClient", id: str, format: Format) -> Iterator[str]:
    export = client.mcp.memory_export(id, format="markdown" if format is Format.MARKDOWN else "json")
    if format is Format.MARKDOWN:
        yield export.get("content", "").rstrip("\n")
    elif format is Format.JSONL:
        yield _line(export)
    else:
        yield as_json({"conversation": export["conversation"], "messages": export["messages"]}, encoding_of_stdout())


def _many(client: "SekhaClient", which: dict[str, Any]) -> Iterator[str]:
    for row in client.controller.iter_conversations(**which):
        try:
            yield _line(client.mcp.memory_export(row["conversation_id"]))
        except SekhaNotFoundError:
            tell(f"{row['conversation_id']} went away meanwhile, and is left out")


def _line(export: "MemoryExport") -> str:
    """What `create_conversation` takes, in one line."""
    about = export["conversation"]
    data: dict[str, Any] = {"label": about["label"], "folder": about["folder"]}
    if about["importance_score"] != DEFAULT_IMPORTANCE:
        data["importance_score"] = round(about["importance_score"])
    data["messages"] = [{"role": message["role"], "content": message["content"]} for message in export["messages"]]
    return as_json(data, encoding_of_stdout(), indent=None)
