"""`sekha pin`: pin conversations."""

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.ids import change_each, find
from sekha.cli.options import Ids, Json, Url

EXAMPLES = ("sekha pin 5cb1f338 148075ac",)


def run(ids: Ids, url: Url = None, json: Json = False) -> int:
    """Pin each of the conversations."""
    from sekha import SekhaClient

    with SekhaClient(config_from(url)) as client:
        change_each(find(client, ids), client.controller.pin_conversation, "pinned", json=json)
    return OK
