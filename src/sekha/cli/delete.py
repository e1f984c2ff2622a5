"""`sekha delete`: delete conversations, after a confirmation."""

import sys

import typer

from sekha.cli.connection import config_from
from sekha.cli.exits import FAILED, OK
from sekha.cli.ids import change_each, find
from sekha.cli.options import Ids, Json, Url, Yes
from sekha.cli.terminal import confirm, echo_err, echo_json

EXAMPLES = ("sekha delete 5cb1f338 148075ac", "sekha delete 5cb1f338 --yes")


def run(ids: Ids, yes: Yes = False, url: Url = None, json: Json = False) -> int:
    """Show the conversations, and delete them if confirmed."""
    from sekha import SekhaClient

    if not (yes or sys.stdin.isatty()):
        raise typer.BadParameter("cannot ask for confirmation (stdin is not a terminal): use --yes")
    with SekhaClient(config_from(url)) as client:
        named = find(client, ids)
        if not yes:
            for one in named:
                echo_err(str(one))
            what = "this conversation" if len(named) == 1 else f"these {len(named)} conversations"
            if not confirm(f"Delete {what} with all messages?"):
                echo_err("Nothing was deleted.")
                if json:
                    echo_json({"deleted": []})
                return FAILED
        change_each(named, client.controller.delete_conversation, "deleted", json=json)
    return OK
