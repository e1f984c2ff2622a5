"""`sekha list`: conversations, the last changed first."""

from itertools import islice
from typing import Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import FINE
from sekha.cli.options import Archived, InFolder, InLabel, Json, Pinned, Subfolders, Url, check_subfolders
from sekha.cli.terminal import line_of, say_json, say_table, tell

_PAGE = 1000


def run(
    label: InLabel = None,
    folder: InFolder = None,
    subfolders: Subfolders = False,
    pinned: Pinned = None,
    archived: Archived = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Conversations at most.")] = 50,
    url: Url = None,
    json: Json = False,
) -> int:
    """Print a table; what is left out is said on stderr."""
    from sekha import SekhaClient

    check_subfolders(subfolders, folder)
    with SekhaClient(config_from(url)) as client:
        found = client.controller.iter_conversations(
            label=label,
            folder=folder,
            pinned=pinned,
            archived=archived,
            subfolders=subfolders,
            page_size=min(limit + 1, _PAGE),
        )
        rows = [*islice(found, limit + 1)]
    rows, more = rows[:limit], len(rows) > limit
    if json:
        say_json({"results": rows, "more": more})
        return FINE
    table = [
        (
            row["conversation_id"],
            line_of(row["label"], 60),
            line_of(row["folder"], 60),
            _number(row["metadata"].get("importance_score")),
            str(row["metadata"].get("status") or "active"),
            row["timestamp"][:16].replace("T", " "),
        )
        for row in rows
    ]
    if table:
        say_table(("ID", "LABEL", "FOLDER", "IMPORTANCE", "STATUS", "CHANGED (UTC)"), table)
    else:
        tell("There is no such conversation.")
    if more:
        tell(f"There are more than these {limit}; --limit shows more.")
    return FINE


def _number(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:g}"
