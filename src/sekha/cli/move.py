"""`sekha move`: move a conversation to another folder."""

from functools import partial

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.ids import Named, change_one
from sekha.cli.options import Id, Json, Url, check_folder
from sekha.cli.terminal import one_line

EXAMPLES = ("sekha move 5cb1f338 /work/plans",)


def run(
    id: Id,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", callback=check_folder, help="New folder.")],
    url: Url = None,
    json: Json = False,
) -> int:
    """Move a conversation, and print the old and the new folder."""
    from sekha import SekhaClient

    with SekhaClient(config_from(url)) as client:
        change_one(client, id, partial(client.controller.update_folder, folder=folder), _describe, json=json)
    return OK


def _describe(before: Named, now: Named) -> str:
    return f"Moved: {one_line(now.label)}, from {one_line(before.folder)} to {one_line(now.folder)}."
