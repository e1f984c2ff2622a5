"""`sekha label`: give a conversation another label."""

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.ids import find
from sekha.cli.options import Id, Json, Url, not_blank
from sekha.cli.terminal import echo_err, echo_json, one_line


def run(
    id: Id,
    label: Annotated[str, typer.Argument(metavar="LABEL", callback=not_blank, help="Its new name.")],
    url: Url = None,
    json: Json = False,
) -> int:
    """Replace the one label that a conversation has, and say both."""
    from sekha import SekhaClient

    with SekhaClient(config_from(url)) as client:
        (before,) = find(client, [id])
        client.controller.update_label(before.id, label=label)
        labelled = client.controller.get_conversation(before.id, count_messages=False)
    if json:
        echo_json(labelled)
    else:
        echo_err(f"Labelled: {one_line(labelled['label'])} (it was {one_line(before.label)}).")
    return OK
