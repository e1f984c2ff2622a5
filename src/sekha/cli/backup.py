"""`sekha backup`: copy the data file of a local server."""

import os
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path

import typer
from typing_extensions import Annotated

from sekha.cli.data_files import Data, find_data_file
from sekha.cli.exits import OK, CommandError
from sekha.cli.files import rename_to_new
from sekha.cli.options import Json, Url, not_blank
from sekha.cli.terminal import echo, echo_err, echo_json

DETAILS = "The copy is verified, and replaces FILE only when it is complete."
EXAMPLES = ("sekha backup memory-copy.db", "sekha backup memory-copy.db --data memory.db --force")


def run(
    target: Annotated[str, typer.Argument(metavar="FILE", callback=not_blank, help="File to write.")],
    data: Data = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    url: Url = None,
    json: Json = False,
) -> int:
    """Copy a data file, even while a server uses it, and verify the copy."""
    from sekha.local.backup import copy_database, note_backup

    source = find_data_file(data, url)
    path = Path(os.path.realpath(target))
    _check_target(path, Path(os.path.realpath(source)), target, force=force)
    try:
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise CommandError(f"cannot write {target}: {error.strerror}") from None
    os.close(handle)
    try:
        contents = copy_database(source, part)
        if force:
            os.replace(part, path)
        else:
            rename_to_new(part, path)
    except FileExistsError:
        raise CommandError(f"{target} was created in the meantime; use --force to overwrite it") from None
    except sqlite3.Error as error:
        raise CommandError(f"cannot copy {source} to {target}: {error}") from None
    except OSError as error:
        raise CommandError(f"cannot write {target}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            os.unlink(part)
    try:
        note_backup(source)
    except sqlite3.Error as error:
        echo_err(f"sekha backup: cannot record the time of the backup in {source}: {error}")
    if json:
        echo_json({"source": os.path.abspath(source), "file": os.path.abspath(target), **contents._asdict()})
    else:
        size = f"{contents.bytes / 2**20:,.1f} MiB"
        echo(f"{contents.conversations:,} conversations, {contents.messages:,} messages, {size}: {target}")
    return OK


def _check_target(path: Path, source: Path, name: str, *, force: bool) -> None:
    """Raise CommandError if a file must not be overwritten."""
    from sekha.local.data_file import is_served

    if path == source or (path.exists() and path.samefile(source)):
        raise CommandError(f"{name} is the data file itself; choose another file")
    if path.exists() and not path.is_file():
        raise CommandError(f"{name} is not a file")
    if path.exists() and not force:
        raise CommandError(f"{name} already exists; use --force to overwrite it")
    if is_served(path):
        raise CommandError(f"{name} is the data file of a running local server; choose another file")
    if any(os.path.exists(f"{path}{end}") for end in ("-wal", "-journal")):
        raise CommandError(
            f"{name} is in use or was not closed properly: {path.name}-wal or -journal exists next to it"
        )
