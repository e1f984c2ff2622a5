"""Options that several commands share."""

from __future__ import annotations

from typing import Optional

import typer
from typing_extensions import Annotated


def not_blank(value: Optional[str]) -> Optional[str]:
    """Return a value; raise BadParameter if it is blank."""
    if value is not None and not value.strip():
        raise typer.BadParameter("must not be blank")
    return value


Url = Annotated[
    Optional[str], typer.Option("--url", metavar="URL", help="Address of the controller (else SEKHA_CONTROLLER_URL).")
]
BridgeUrl = Annotated[
    Optional[str],
    typer.Option("--bridge-url", metavar="URL", help="Address of the LLM bridge (else SEKHA_BRIDGE_URL)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

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
