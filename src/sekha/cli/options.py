"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional

import typer
from typing_extensions import Annotated


def not_blank(value: Optional[str]) -> Optional[str]:
    """Return a value; raise BadParameter if it is blank, or no text."""
    if value is not None and not value.strip():
        raise typer.BadParameter("must not be blank")
    try:
        (value or "").encode()
    except UnicodeEncodeError:  # bytes of the command line that are no UTF-8
        raise typer.BadParameter("must be text; it has bytes that are no characters") from None
    return value


def readable_file(name: str, help: str) -> Any:
    """Return an option that takes the path of a file to read."""
    return typer.Option(name, metavar="FILE", exists=True, dir_okay=False, readable=True, help=help)


def check_folder(value: Optional[str]) -> Optional[str]:
    """Return a folder to store into; raise BadParameter if it cannot be one."""
    from sekha.types._base import normalize_folder

    if value is not None:
        try:
            normalize_folder(value)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return value


Url = Annotated[
    Optional[str], typer.Option("--url", metavar="URL", help="Address of the controller (else SEKHA_CONTROLLER_URL).")
]
BridgeUrl = Annotated[
    Optional[str],
    typer.Option("--bridge-url", metavar="URL", help="Address of the LLM bridge (else SEKHA_BRIDGE_URL)."),
]
EnvFile = Annotated[
    Optional[Path],
    readable_file("--env-file", help="A file with settings that the environment does not have; no other is read."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

Id = Annotated[
    str, typer.Argument(metavar="ID", help="ID of the conversation, or its beginning (8 characters or more).")
]
Ids = Annotated[
    List[str],
    typer.Argument(metavar="ID", help="IDs of conversations, or their beginnings (8 characters or more)."),
]
FullIds = Annotated[bool, typer.Option("--full-ids", help="Show whole IDs, not only their first 8 characters.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
MinScore = Annotated[
    Optional[float],
    typer.Option("--min-score", metavar="SCORE", min=0, max=1, help="Leave out results below this score, 0 to 1."),
]

InLabel = Annotated[
    Optional[str], typer.Option("--label", metavar="LABEL", callback=not_blank, help="Exactly this label.")
]
InFolder = Annotated[
    Optional[str], typer.Option("--folder", metavar="FOLDER", callback=not_blank, help="Exactly this folder.")
]
Subfolders = Annotated[bool, typer.Option("--subfolders", help="And the folders below it.")]
Pinned = Annotated[Optional[bool], typer.Option("--pinned/--not-pinned", help="Only those that are pinned, or not.")]
Archived = Annotated[
    Optional[bool], typer.Option("--archived/--not-archived", help="Only those that are archived, or not.")
]
Since = Annotated[
    Optional[str],
    typer.Option("--since", metavar="DATE", callback=not_blank, help="Not before this date (ISO, UTC)."),
]
Until = Annotated[
    Optional[str],
    typer.Option("--until", metavar="DATE", callback=not_blank, help="Not after it; a date means its whole day."),
]
Label = Annotated[
    Optional[str],
    typer.Option("--label", metavar="LABEL", callback=not_blank, help="Its name (default: its first line)."),
]
Folder = Annotated[
    Optional[str], typer.Option("--folder", metavar="FOLDER", callback=not_blank, help="Its folder (default: /).")
]


def check_subfolders(subfolders: bool, folder: Optional[str]) -> None:
    """Raise BadParameter for `--subfolders` without `--folder`."""
    if subfolders and folder is None:
        raise typer.BadParameter("--subfolders needs --folder")
