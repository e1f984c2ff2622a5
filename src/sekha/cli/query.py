"""`sekha query`, which is also `sekha search`: semantic search of the messages."""

from typing import TYPE_CHECKING, List, Optional

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
    MinScore,
    Since,
    Subfolders,
    Until,
    Url,
    check_subfolders,
)
from sekha.cli.tables import Column, Shrink, echo_table, short_id
from sekha.cli.terminal import echo_err, echo_json, one_line

if TYPE_CHECKING:
    from rich.text import Text

    from sekha.types import SearchResult

_COLUMNS = (Column("SCORE", Shrink.NO), Column("FOUND", Shrink.WRAP))


def run(
    words: Annotated[List[str], typer.Argument(metavar="WORDS", help="What to look for.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="Messages at most.")] = 10,
    label: InLabel = None,
    folder: InFolder = None,
    subfolders: Subfolders = False,
    archived: Archived = None,
    min_importance: Annotated[
        Optional[float], typer.Option("--min-importance", min=0, max=10, help="Of the conversation, 0 to 10.")
    ] = None,
    min_score: MinScore = None,
    since: Since = None,
    until: Until = None,
    hybrid: Annotated[
        bool, typer.Option("--hybrid/--no-hybrid", help="Search for the words too, or for the meaning alone.")
    ] = True,
    full_ids: FullIds = False,
    url: Url = None,
    json: Json = False,
) -> int:
    """Print the results, best first."""
    from sekha import SekhaClient
    from sekha._utils.sentinel import drop_unset

    check_subfolders(subfolders, folder)
    filters = drop_unset(
        label=label,
        folder=folder,
        subfolders=subfolders or None,
        archived=archived,
        min_importance=min_importance,
        start_date=since,
        end_date=until,
    )
    with SekhaClient(config_from(url)) as client:
        found = client.controller.query(
            " ".join(words), limit=limit, filters=filters or None, min_score=min_score, hybrid=hybrid
        )
    if json:
        echo_json(found)
        return OK
    rows = [(f"{hit['score']:.2f}", _describe(hit, full_ids)) for hit in found["results"]]
    if rows:
        echo_table(_COLUMNS, rows)
    else:
        echo_err("Nothing was found.")
    below = found.get("below_min_score")
    if below:
        echo_err(f"Below the score of {min_score:g}: {below}.")
    if found.get("truncated"):
        echo_err("There may be more: only the best 10,000 were looked at.")
    return OK


def _describe(hit: "SearchResult", full_ids: bool) -> "Text":
    """Return the text of a result; its label is left out where it is only the beginning of the message."""
    from rich.text import Text

    label, content = one_line(hit["label"], 60), one_line(hit["content"])
    place = f"{one_line(hit['folder'], 60)}  {short_id(hit['conversation_id'], full=full_ids)}"
    if _flat(hit["content"]).startswith(_flat(hit["label"]).rstrip(".\N{HORIZONTAL ELLIPSIS}")):
        return Text.assemble(content, (f"\n{place}", "dim"))
    return Text.assemble((label, "bold"), (f"  {place}", "dim"), f"\n{content}")


def _flat(text: str) -> str:
    return " ".join(text.split())
