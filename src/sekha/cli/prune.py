"""`sekha prune`: archive unused conversations, after a confirmation."""

import sys
from typing import Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import FAILED, OK
from sekha.cli.options import FullIds, Json, Url, Yes
from sekha.cli.tables import Column, Shrink, echo_table, short_id
from sekha.cli.terminal import confirm, echo_err, echo_json, one_line

DETAILS = "The server suggests which conversations to archive."
EXAMPLES = ("sekha prune --threshold-days 180 --dry-run", "sekha prune --limit 100 --yes")

_COLUMNS = (
    Column("ID", Shrink.NO),
    Column("LABEL"),
    Column("LAST USED", Shrink.NO),
    Column("MESSAGES", Shrink.NO, optional=True),
    Column("IMPORTANCE", Shrink.NO, optional=True),
    Column("PREVIEW"),
)


def run(
    threshold_days: Annotated[
        int,
        typer.Option(
            "--threshold-days", metavar="DAYS", min=0, max=36500, help="Minimum number of days since the last use."
        ),
    ] = 90,
    limit: Annotated[
        Optional[int],
        typer.Option("--limit", metavar="N", min=1, help="Archive at most N conversations, longest unused first."),
    ] = None,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be archived, and exit.")] = False,
    full_ids: FullIds = False,
    url: Url = None,
    json: Json = False,
) -> int:
    """Show the conversations that the controller suggests to archive, and archive them after a confirmation."""
    from sekha import SekhaClient

    if yes and dry_run:
        raise typer.BadParameter("--yes and --dry-run cannot be combined")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise typer.BadParameter("cannot ask for confirmation (stdin is not a terminal): use --yes or --dry-run")
    with SekhaClient(config_from(url)) as client:
        suggestions = client.controller.prune_dry_run(threshold_days=threshold_days, limit=limit)["suggestions"]
        candidates = [one for one in suggestions if one["recommendation"] == "archive"]
        ids = [one["conversation_id"] for one in candidates]
        if candidates and not json:
            rows = [
                (
                    short_id(one["conversation_id"], full=full_ids),
                    one_line(one["conversation_label"], 60),
                    one["last_accessed"][:10],
                    str(one["message_count"]),
                    f"{one['importance_score']:g}",
                    one_line(one["preview"], 80),
                )
                for one in candidates
            ]
            echo_table(_COLUMNS, rows)
        archive = bool(candidates) and not dry_run and (yes or confirm(_question(len(candidates))))
        if archive:
            client.controller.prune_execute(ids)
    if json:
        echo_json({"suggestions": candidates, "archived": ids if archive else []})
    kept = len(suggestions) - len(candidates)
    if kept and limit is None:
        echo_err(f"Unused for as long but kept because of their importance: {kept}.")
    if not candidates:
        echo_err("Nothing to archive.")
    elif archive:
        echo_err(f"Archived: {len(candidates)}.")
    elif not dry_run:
        echo_err("Nothing was archived.")
        return FAILED
    return OK


def _question(count: int) -> str:
    return f"Archive {'this conversation' if count == 1 else f'these {count} conversations'}?"
