"""`sekha show`: a conversation with its messages."""

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import FINE
from sekha.cli.options import Json, Url
from sekha.cli.terminal import line_of, safe, say, say_json, styled


def run(
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of the conversation.")],
    url: Url = None,
    json: Json = False,
) -> int:
    """Print what is known of it, then what was said."""
    from sekha import SekhaClient
    from sekha.type_guards import extract_text

    with SekhaClient(config_from(url)) as client:
        export = client.mcp.memory_export(id)
    about = export["conversation"]
    if json:
        say_json({"conversation": about, "messages": export["messages"]})
        return FINE
    say(styled(line_of(about["label"]), "bold"))
    say(f"{about['id']}  {line_of(about['folder'])}  {about['status']}  importance {about['importance_score']:g}")
    say(f"created {about['created_at']}, changed {about['updated_at']}")
    for message in export["messages"]:
        say(f"\n{styled(safe(message['role']), 'cyan')}\n{safe(extract_text(message['content']))}")
    return FINE
