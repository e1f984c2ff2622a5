"""`sekha query`: semantic search of the messages."""

from typing import List, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.options import InFolder, InLabel, Json, Since, Until, Url
from sekha.cli.terminal import echo_err, echo_json, echo_table, one_line


def run(
    words: Annotated[List[str], typer.Argument(metavar="WORDS", help="What to look for.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="Messages at most.")] = 10,
    label: InLabel = None,
    folder: InFolder = None,
    min_importance: Annotated[
        Optional[float], typer.Option("--min-importance", min=0, max=10, help="Of the conversation, 0 to 10.")
    ] = None,
    since: Since = None,
    until: Until = None,
    url: Url = None,
    json: Json = False,
) -> int:
    """Print the results, best first."""
    from rich.text import Text

    from sekha import SekhaClient
    from sekha._utils.sentinel import drop_unset

    filters = drop_unset(label=label, folder=folder, min_importance=min_importance, start_date=since, end_date=until)
    with SekhaClient(config_from(url)) as client:
        found = client.controller.query(" ".join(words), limit=limit, filters=filters or None)
    if json:
        echo_json(found)
        return OK
    rows = [
        (
            f"{hit['score']:.2f}",
            Text.assemble(
                (one_line(hit["label"], 60), "bold"),
                (f"  {one_line(hit['folder'], 60)}  {hit['conversation_id']}", "dim"),
                f"\n{one_line(hit['content'])}",
            ),
        )
        for hit in found["results"]
    ]
    if rows:
        echo_table(("SCORE", "FOUND"), rows)
    else:
        echo_err("Nothing was found.")
    if found.get("truncated"):
        echo_err("There may be more: only the best thousand were looked at.")
    return OK
