"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional

import typer
from typing_extensions import Annotated


def not_blank(value: Optional[str]) -> Optional[str]:
    """Return a value; raise BadParameter if it is blank or not valid text."""
    if value is not None and not value.strip():
        raise typer.BadParameter("must not be blank")
    try:
        (value or "").encode()
    except UnicodeEncodeError:  # bytes of the command line that are not UTF-8
        raise typer.BadParameter("must be text; it contains bytes that are not valid characters") from None
    return value


def readable_file(name: str, help: str) -> Any:
    """Return an option for the path of a file to read."""
    return typer.Option(name, metavar="FILE", exists=True, dir_okay=False, readable=True, help=help)


def check_folder(value: Optional[str]) -> Optional[str]:
    """Return a folder to store in; raise BadParameter if the name is not valid."""
    from sekha.types._base import normalize_folder

    if value is not None:
        try:
            normalize_folder(value)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return value


Url = Annotated[
    Optional[str], typer.Option("--url", metavar="URL", help="URL of the controller.  [env var: SEKHA_CONTROLLER_URL]")
]
BridgeUrl = Annotated[
    Optional[str],
    typer.Option("--bridge-url", metavar="URL", help="URL of the LLM bridge.  [env var: SEKHA_BRIDGE_URL]"),
]
EnvFile = Annotated[
    Optional[Path],
    readable_file("--env-file", help="Read settings that are not in the environment from this file, not from .env."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

Id = Annotated[str, typer.Argument(metavar="ID", help="Conversation ID, or its first 8 or more characters.")]
Ids = Annotated[List[str], typer.Argument(metavar="ID", help="Conversation IDs, or their first 8 or more characters.")]
FullIds = Annotated[bool, typer.Option("--full-ids", help="Show full IDs instead of their first 8 characters.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
MinScore = Annotated[
    Optional[float],
    typer.Option("--min-score", metavar="SCORE", min=0, max=1, help="Omit results with a lower score."),
]

InLabel = Annotated[
    Optional[str],
    typer.Option("--label", metavar="LABEL", callback=not_blank, help="Only conversations with exactly this label."),
]
InFolder = Annotated[
    Optional[str],
    typer.Option("--folder", metavar="FOLDER", callback=not_blank, help="Only conversations in exactly this folder."),
]
Subfolders = Annotated[bool, typer.Option("--subfolders", help="Include subfolders of --folder.")]
Pinned = Annotated[
    Optional[bool], typer.Option("--pinned/--not-pinned", help="Only conversations that are pinned, or not pinned.")
]
Archived = Annotated[
    Optional[bool],
    typer.Option("--archived/--not-archived", help="Only conversations that are archived, or not archived."),
]
Since = Annotated[
    Optional[str],
    typer.Option(
        "--since", metavar="DATE", callback=not_blank, help="Only from this date on (ISO 8601, UTC by default)."
    ),
]
Until = Annotated[
    Optional[str],
    typer.Option("--until", metavar="DATE", callback=not_blank, help="Only up to this date, inclusive."),
]
Label = Annotated[
    Optional[str],
    typer.Option(
        "--label",
        metavar="LABEL",
        callback=not_blank,
        help="Label of the conversation.  [default: first line of the first message]",
    ),
]
Folder = Annotated[
    Optional[str],
    typer.Option("--folder", metavar="FOLDER", callback=not_blank, help="Folder of the conversation.  [default: /]"),
]


def check_subfolders(subfolders: bool, folder: Optional[str]) -> None:
    """Raise BadParameter for `--subfolders` without `--folder`."""
    if subfolders and folder is None:
        raise typer.BadParameter("--subfolders requires --folder")
