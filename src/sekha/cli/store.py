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

EXAMPLES = (
    'sekha store "We ship on Fridays." --label Releases --folder /work',
    'sekha store "When do we ship?" - --role user --role assistant < answer.txt',
)


def run(
    texts: Annotated[List[str], typer.Argument(metavar="TEXT", help="Messages; - reads one of them from stdin.")],
    label: Label = None,
    folder: Folder = None,
    importance: Annotated[
        Optional[int],
        typer.Option(
            "--importance", metavar="N", min=1, max=10, show_default="5", help="Importance; 10 pins the conversation."
        ),
    ] = None,
    role: Annotated[
        Optional[List[MessageRole]],
        typer.Option(
            "--role",
            metavar="ROLE",
            help="Role of the message: system, user, assistant, function or tool; repeat the option to give each "
            "message its own.  [default: user]",
        ),
    ] = None,
    url: Url = None,
    json: Json = False,
) -> int:
    """Store a conversation, and print its ID."""
    from sekha import SekhaClient

    roles = [one.value for one in role or [MessageRole.USER]]
    if len(roles) == 1:
        roles *= len(texts)
    if len(roles) != len(texts):
        raise typer.BadParameter(
            f"--role is used {len(roles)} times for {len(texts)} messages: use it once, or once for each message"
        )
    if texts.count("-") > 1:
        raise typer.BadParameter("- can be used only once: stdin is one message")
    config = config_from(url)
    contents = [sys.stdin.read() if text == "-" else text for text in texts]
    if not all(content.strip() for content in contents):
        raise typer.BadParameter("a message must not be blank")
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
