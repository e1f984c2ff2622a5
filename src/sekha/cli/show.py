"""`sekha show`: show a conversation with its messages."""

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.ids import find_id
from sekha.cli.options import Id, Json, Url
from sekha.cli.terminal import echo, echo_json, one_line, strip_controls, styled

EXAMPLES = ("sekha show 5cb1f338", "sekha show 5cb1f338 --json")


def run(
    id: Id,
    url: Url = None,
    json: Json = False,
) -> int:
    """Print the fields of the conversation, then its messages."""
    from sekha import SekhaClient
    from sekha.type_guards import extract_text

    with SekhaClient(config_from(url)) as client:
        export = client.mcp.memory_export(find_id(client, id))
    about = export["conversation"]
    if json:
        echo_json({"conversation": about, "messages": export["messages"]})
        return OK
    echo(styled(one_line(about["label"]), "bold"))
    echo(f"{about['id']}  {one_line(about['folder'])}  {about['status']}  importance {about['importance_score']:g}")
    echo(f"created {about['created_at']}, updated {about['updated_at']}")
    for message in export["messages"]:
        echo(f"\n{styled(strip_controls(message['role']), 'cyan')}\n{strip_controls(extract_text(message['content']))}")
    return OK
