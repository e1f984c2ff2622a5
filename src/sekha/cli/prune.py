"""`sekha prune`: archive what has not been used for long, after asking."""

import sys

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import FAILED, FINE
from sekha.cli.options import Json, Url
from sekha.cli.terminal import line_of, say_json, say_table, tell


def run(
    threshold_days: Annotated[
        int, typer.Option("--threshold-days", min=0, max=36500, help="Days since the last use, at least.")
    ] = 90,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and end.")] = False,
    url: Url = None,
    json: Json = False,
) -> int:
    """Show what the controller would archive; archive it if that is wanted. Nothing brings it back into use."""
    from sekha import SekhaClient

    if yes and dry_run:
        raise typer.BadParameter("--yes and --dry-run contradict each other")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise typer.BadParameter("nobody is there to ask: give --yes, or --dry-run")
    with SekhaClient(config_from(url)) as client:
        suggestions = client.controller.prune_dry_run(threshold_days=threshold_days)["suggestions"]
        going = [one for one in suggestions if one["recommendation"] == "archive"]
        ids = [one["conversation_id"] for one in going]
        if going and not json:
            rows = [
                (
                    one["conversation_id"],
                    line_of(one["conversation_label"], 60),
                    one["last_accessed"][:10],
                    str(one["message_count"]),
                    f"{one['importance_score']:g}",
                    line_of(one["preview"], 80),
                )
                for one in going
            ]
            say_table(("ID", "LABEL", "LAST USED", "MESSAGES", "IMPORTANCE", "PREVIEW"), rows)
        archive = bool(going) and not dry_run and (yes or _agreed(len(going)))
        if archive:
            client.controller.prune_execute(ids)
    if json:
        say_json({"suggestions": going, "archived": ids if archive else []})
    kept = len(suggestions) - len(going)
    if kept:
        tell(f"Not used for as long, but important enough to stay: {kept}.")
    if not going:
        tell("There is nothing to archive.")
    elif archive:
        tell(f"Archived: {len(going)}.")
    elif not dry_run:
        tell("Nothing was archived.")
        return FAILED
    return FINE


def _agreed(count: int) -> bool:
    tell(f"Archive {'this one' if count == 1 else f'these {count}'}? [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
