"""`sekha stats`: show statistics."""

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.options import InFolder, InLabel, Json, Since, Subfolders, Until, Url, check_subfolders
from sekha.cli.tables import Column, Shrink, echo_table
from sekha.cli.terminal import echo_json, one_line

EXAMPLES = ("sekha stats", "sekha stats --folder /work --subfolders")


def run(
    label: InLabel = None,
    folder: InFolder = None,
    subfolders: Subfolders = False,
    since: Since = None,
    until: Until = None,
    url: Url = None,
    json: Json = False,
) -> int:
    """Print counts, folders and labels."""
    from sekha import SekhaClient

    check_subfolders(subfolders, folder)
    with SekhaClient(config_from(url)) as client:
        stats = client.mcp.memory_stats(
            label=label, folder=folder, subfolders=subfolders or None, start_date=since, end_date=until
        )
    if json:
        echo_json(stats)
        return OK
    messages = stats["total_messages"]
    rows = [
        ("conversations", str(stats["total_conversations"])),
        ("messages", "not counted" if messages is None else str(messages)),
        ("average importance", f"{stats['average_importance']:.1f}"),
        ("folders", _format_names(stats["folders"])),
        ("labels", _format_names(stats["labels"])),
    ]
    echo_table((Column("STATISTIC", Shrink.NO), Column("VALUE", Shrink.WRAP)), rows)
    return OK


def _format_names(names: list[str], limit: int = 20) -> str:
    more = f", and {len(names) - limit} more" if len(names) > limit else ""
    return f"{len(names)}: {', '.join(one_line(name, 60) for name in names[:limit])}{more}" if names else "0"
