"""`sekha prune`: archive unused conversations, after a confirmation."""

import sys

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import FAILED, OK
from sekha.cli.options import Json, Url
from sekha.cli.terminal import echo_err, echo_json, echo_table, one_line


def run(
    threshold_days: Annotated[
        int, typer.Option("--threshold-days", min=0, max=36500, help="Days since the last use, at least.")
    ] = 90,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and end.")] = False,
    url: Url = None,
    json: Json = False,
) -> int:
    """Show the conversations that the controller recommends to archive, and archive them if confirmed."""
    from sekha import SekhaClient

    if yes and dry_run:
        raise typer.BadParameter("--yes and --dry-run contradict each other")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise typer.BadParameter("nobody is there to ask: give --yes, or --dry-run")
    with SekhaClient(config_from(url)) as client:
        suggestions = client.controller.prune_dry_run(threshold_days=threshold_days)["suggestions"]
        candidates = [one for one in suggestions if one["recommendation"] == "archive"]
        ids = [one["conversation_id"] for one in candidates]
        if candidates and not json:
            rows = [
                (
                    one["conversation_id"],
                    one_line(one["conversation_label"], 60),
                    one["last_accessed"][:10],
                    str(one["message_count"]),
                    f"{one['importance_score']:g}",
                    one_line(one["preview"], 80),
                )
                for one in candidates
            ]
            echo_table(("ID", "LABEL", "LAST USED", "MESSAGES", "IMPORTANCE", "PREVIEW"), rows)
        archive = bool(candidates) and not dry_run and (yes or _confirm(len(candidates)))
        if archive:
            client.controller.prune_execute(ids)
    if json:
        echo_json({"suggestions": candidates, "archived": ids if archive else []})
    kept = len(suggestions) - len(candidates)
    if kept:
        echo_err(f"Not used for as long, but important enough to stay: {kept}.")
    if not candidates:
        echo_err("There is nothing to archive.")
    elif archive:
        echo_err(f"Archived: {len(candidates)}.")
    elif not dry_run:
        echo_err("Nothing was archived.")
        return FAILED
    return OK


def _confirm(count: int) -> bool:
    echo_err(f"Archive {'this one' if count == 1 else f'these {count}'}? [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
