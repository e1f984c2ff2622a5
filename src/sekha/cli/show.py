"""`sekha show`: show a conversation with its messages."""

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.options import Json, Url
from sekha.cli.terminal import echo, echo_json, one_line, strip_controls, styled


def run(
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of the conversation.")],
    url: Url = None,
    json: Json = False,
) -> int:
    """Print the fields of the conversation, then its messages."""
    from sekha import SekhaClient
    from sekha.type_guards import extract_text

    with SekhaClient(config_from(url)) as client:
        export = client.mcp.memory_export(id)
    about = export["conversation"]
    if json:
        echo_json({"conversation": about, "messages": export["messages"]})
        return OK
    echo(styled(one_line(about["label"]), "bold"))
    echo(f"{about['id']}  {one_line(about['folder'])}  {about['status']}  importance {about['importance_score']:g}")
    echo(f"created {about['created_at']}, changed {about['updated_at']}")
    for message in export["messages"]:
        echo(f"\n{styled(strip_controls(message['role']), 'cyan')}\n{strip_controls(extract_text(message['content']))}")
    return OK
