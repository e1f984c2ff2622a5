"""`sekha label`: change the label of a conversation."""

from functools import partial

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.ids import Named, change_one
from sekha.cli.options import Id, Json, Url, not_blank
from sekha.cli.terminal import one_line

EXAMPLES = ('sekha label 5cb1f338 "Release days"',)


def run(
    id: Id,
    label: Annotated[str, typer.Argument(metavar="LABEL", callback=not_blank, help="New label.")],
    url: Url = None,
    json: Json = False,
) -> int:
    """Change the label of a conversation, and print the new and the old one."""
    from sekha import SekhaClient

    with SekhaClient(config_from(url)) as client:
        change_one(client, id, partial(client.controller.update_label, label=label), _describe, json=json)
    return OK


def _describe(before: Named, now: Named) -> str:
    return f"Label changed: {one_line(now.label)} (was: {one_line(before.label)})."
