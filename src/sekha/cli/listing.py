"""`sekha list`: list conversations, most recently updated first."""

from itertools import islice
from typing import Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.options import (
    Archived,
    FullIds,
    InFolder,
    InLabel,
    Json,
    Pinned,
    Since,
    Subfolders,
    Until,
    Url,
    check_subfolders,
)
from sekha.cli.tables import Column, Shrink, echo_table, short_id
from sekha.cli.terminal import echo_err, echo_json, one_line

EXAMPLES = ("sekha list --since 2026-01-26", "sekha list --folder /work --subfolders --json")

_MAX_PAGE_SIZE = 1000
_COLUMNS = (
    Column("ID", Shrink.NO),
    Column("LABEL"),
    Column("FOLDER"),
    Column("IMPORTANCE", Shrink.NO, optional=True),
    Column("STATUS", Shrink.NO, optional=True),
    Column("UPDATED (UTC)", Shrink.NO),
)


def run(
    label: InLabel = None,
    folder: InFolder = None,
    subfolders: Subfolders = False,
    pinned: Pinned = None,
    archived: Archived = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Maximum number of conversations.")] = 50,
    full_ids: FullIds = False,
    url: Url = None,
    json: Json = False,
) -> int:
    """Print a table, and on stderr whether there are more rows."""
    from sekha import SekhaClient

    check_subfolders(subfolders, folder)
    with SekhaClient(config_from(url)) as client:
        found = client.controller.iter_conversations(
            label=label,
            folder=folder,
            pinned=pinned,
            archived=archived,
            subfolders=subfolders,
            start_date=since,
            end_date=until,
            page_size=min(limit + 1, _MAX_PAGE_SIZE),
        )
        rows = [*islice(found, limit + 1)]
    rows, more = rows[:limit], len(rows) > limit
    if json:
        echo_json({"results": rows, "more": more})
        return OK
    table = [
        (
            short_id(row["conversation_id"], full=full_ids),
            one_line(row["label"], 60),
            one_line(row["folder"], 60),
            _format_number(row["metadata"].get("importance_score")),
            str(row["metadata"].get("status") or "active"),
            row["timestamp"][:16].replace("T", " "),
        )
        for row in rows
    ]
    if table:
        echo_table(_COLUMNS, table)
    else:
        echo_err("No conversations found.")
    if more:
        echo_err(f"Only the first {limit} are shown; use --limit to show more.")
    return OK


def _format_number(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:g}"
