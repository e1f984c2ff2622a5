"""`sekha store`: store a conversation."""

import sys
from typing import List, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import OK
from sekha.cli.options import Folder, Json, Label, Url
from sekha.cli.terminal import echo, echo_json
from sekha.types import MessageRole


def run(
    texts: Annotated[
        List[str], typer.Argument(metavar="TEXT", help="The messages; - is the standard input as one of them.")
    ],
    label: Label = None,
    folder: Folder = None,
    importance: Annotated[
        Optional[int], typer.Option("--importance", min=1, max=10, help="1 to 10, which is pinned (default: 5).")
    ] = None,
    role: Annotated[
        Optional[List[MessageRole]],
        typer.Option("--role", help="Who says it (default: user); several times: one for each message in turn."),
    ] = None,
    url: Url = None,
    json: Json = False,
) -> int:
    """Store a conversation, and print its id."""
    from sekha import SekhaClient

    roles = [one.value for one in role or [MessageRole.USER]]
    if len(roles) == 1:
        roles *= len(texts)
    if len(roles) != len(texts):
        raise typer.BadParameter(f"{len(roles)} times --role for {len(texts)} messages: give one, or one for each")
    if texts.count("-") > 1:
        raise typer.BadParameter("the standard input can be read once only")
    config = config_from(url)
    contents = [sys.stdin.read() if text == "-" else text for text in texts]
    if not all(content.strip() for content in contents):
        raise typer.BadParameter("a message is blank")
    messages = [{"role": one, "content": content} for one, content in zip(roles, contents)]
    with SekhaClient(config) as client:
        stored = client.controller.create_conversation(
            label=label, folder=folder, importance_score=importance, messages=messages
        )
    if json:
        echo_json(stored)
    else:
        echo(stored["id"])
    return OK
