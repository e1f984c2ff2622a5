"""`sekha move`: move a conversation to another folder."""

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.ids import find
from sekha.cli.options import Id, Json, Url, check_folder
from sekha.cli.terminal import echo_err, echo_json, one_line


def run(
    id: Id,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", callback=check_folder, help="Where it goes.")],
    url: Url = None,
    json: Json = False,
) -> int:
    """Move a conversation, and say from where to where."""
    from sekha import SekhaClient

    with SekhaClient(config_from(url)) as client:
        (before,) = find(client, [id])
        client.controller.update_folder(before.id, folder=folder)
        moved = client.controller.get_conversation(before.id, count_messages=False)
    if json:
        echo_json(moved)
    else:
        echo_err(f"Moved: {one_line(moved['label'])}, from {one_line(before.folder)} to {one_line(moved['folder'])}.")
    return OK
