"""`sekha search`, also named `sekha query`: search messages by words and by meaning."""

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

DETAILS = "Without an embedding model on the server, results are found by words only."
EXAMPLES = ('sekha search "When do we ship?" --limit 5', "sekha search docker --folder /work --min-score 0.4")

_COLUMNS = (Column("SCORE", Shrink.NO), Column("RESULT", Shrink.WRAP))


def run(
    words: Annotated[List[str], typer.Argument(metavar="WORDS", help="Search query.")],
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Maximum number of results.")] = 10,
    label: InLabel = None,
    folder: InFolder = None,
    subfolders: Subfolders = False,
    archived: Archived = None,
    min_importance: Annotated[
        Optional[float],
        typer.Option("--min-importance", metavar="N", min=0, max=10, help="Minimum importance of the conversation."),
    ] = None,
    min_score: MinScore = None,
    since: Since = None,
    until: Until = None,
    hybrid: Annotated[
        bool, typer.Option("--hybrid/--no-hybrid", help="Search by words and meaning, or by meaning only.")
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
    rows = [(f"{one['score']:.2f}", _describe(one, full_ids)) for one in found["results"]]
    if rows:
        echo_table(_COLUMNS, rows)
    else:
        echo_err("No results.")
    below = found.get("below_min_score")
    if below:
        echo_err(f"Omitted with a score below {min_score:g}: {below}.")
    if found.get("truncated"):
        echo_err("Results may be incomplete: only the best 10,000 matches were checked.")
    return OK


def _describe(result: "SearchResult", full_ids: bool) -> "Text":
    """Return the text of a result, without a label that only repeats the beginning of the message."""
    from rich.text import Text

    label, content = one_line(result["label"], 60), one_line(result["content"])
    place = f"{one_line(result['folder'], 60)}  {short_id(result['conversation_id'], full=full_ids)}"
    if _flat(result["content"]).startswith(_flat(result["label"]).rstrip(".\N{HORIZONTAL ELLIPSIS}")):
        return Text.assemble(content, (f"\n{place}", "dim"))
    return Text.assemble((label, "bold"), (f"  {place}", "dim"), f"\n{content}")


def _flat(text: str) -> str:
    return " ".join(text.split())
