"""`sekha stats`: numbers about the memory."""

from sekha.cli.connection import config_from
from sekha.cli.exits import FINE
from sekha.cli.options import InFolder, InLabel, Json, Since, Until, Url
from sekha.cli.terminal import line_of, say_json, say_table


def run(
    label: InLabel = None,
    folder: InFolder = None,
    since: Since = None,
    until: Until = None,
    url: Url = None,
    json: Json = False,
) -> int:
    """Print how much there is, and in which folders and under which labels."""
    from sekha import SekhaClient

    with SekhaClient(config_from(url)) as client:
        stats = client.mcp.memory_stats(label=label, folder=folder, start_date=since, end_date=until)
    if json:
        say_json(stats)
        return FINE
    messages = stats["total_messages"]
    rows = [
        ("conversations", str(stats["total_conversations"])),
        ("messages", "not counted" if messages is None else str(messages)),
        ("average importance", f"{stats['average_importance']:.1f}"),
        ("folders", _names(stats["folders"])),
        ("labels", _names(stats["labels"])),
    ]
    say_table(("WHAT", "HOW MUCH"), rows)
    return FINE


def _names(names: list[str], most: int = 20) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)}: {', '.join(line_of(name, 60) for name in names[:most])}{more}" if names else "0"
