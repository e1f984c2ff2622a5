"""`sekha query`: search the messages by meaning."""

from typing import List, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import FINE
from sekha.cli.options import InFolder, InLabel, Json, Since, Until, Url
from sekha.cli.terminal import line_of, say_json, say_table, tell


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
    """Print the messages that were found, best first."""
    from rich.text import Text

    from sekha import SekhaClient
    from sekha._api.validation import drop_unset

    filters = drop_unset(label=label, folder=folder, min_importance=min_importance, start_date=since, end_date=until)
    with SekhaClient(config_from(url)) as client:
        found = client.controller.query(" ".join(words), limit=limit, filters=filters or None)
    if json:
        say_json(found)
        return FINE
    rows = [
        (
            f"{hit['score']:.2f}",
            Text.assemble(
                (line_of(hit["label"], 60), "bold"),
                (f"  {line_of(hit['folder'], 60)}  {hit['conversation_id']}", "dim"),
                f"\n{line_of(hit['content'])}",
            ),
        )
        for hit in found["results"]
    ]
    if rows:
        say_table(("SCORE", "FOUND"), rows)
    else:
        tell("Nothing was found.")
    if found.get("truncated"):
        tell("There may be more: only the best thousand were looked at.")
    return FINE
