"""The data file that a command uses: the one of an option, or of the local server in the settings."""

from __future__ import annotations

import os
from typing import Any, Dict, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import USAGE, CommandError
from sekha.cli.options import not_blank

Data = Annotated[
    Optional[str],
    typer.Option(
        "--data",
        metavar="FILE",
        callback=not_blank,
        help="Data file.  [default: the one of the running local server at --url]",
    ),
]


def find_data_file(data: str | None, url: str | None) -> str:
    """Return the path of a data file: the one passed as an option, or the one of the local server in the settings.

    Args:
        data: The file, if passed as an option.
        url: URL of the controller, if passed as an option.

    Raises:
        CommandError: The file is not on this machine.
        SekhaError: The request to the local server failed.
    """
    if data is not None:
        if url is not None:
            raise CommandError("--data and --url cannot be combined", USAGE)
        if not os.path.exists(data):
            raise CommandError(f"file not found: {data}")
        if not os.path.isfile(data):
            raise CommandError(f"{data} is not a file")
        return data
    found, address = _ask(url)
    if found is None:
        raise CommandError(f"the server at {address} keeps its data in memory; it has no data file")
    path, identity = found
    try:
        status = os.stat(path)
    except OSError:
        is_here = False
    else:
        is_here = [status.st_dev, status.st_ino] == identity
    if not is_here:
        raise CommandError(
            f"the server at {address} uses the data file {path}, which is not on this machine or was replaced:"
            " run this command where the file is, with --data FILE"
        )
    return path


def _ask(url: str | None) -> tuple[tuple[str, object] | None, str]:
    """Return path and identity of the data file of a local server (None if it is in memory), and the server's URL."""
    from sekha import SekhaClient, SekhaNotFoundError
    from sekha._api.model import Endpoint, ResponseParser, RetryIfUnknown, Service
    from sekha._utils.json_access import get

    parser = ResponseParser[Dict[str, Any]](Dict[str, Any])
    endpoint = Endpoint("local", Service.CONTROLLER, "GET", "/local", RetryIfUnknown.YES, parser)
    config = config_from(url)
    address = str(config.controller_url)
    with SekhaClient(config) as client:
        try:
            found = client._controller_transport.send(endpoint.request())
        except SekhaNotFoundError:
            raise CommandError(
                f"the server at {address} is not a local server that reports its data file; pass --data FILE"
            ) from None
    path, identity = get(found, "file"), get(found, "identity")
    return (path, identity) if isinstance(path, str) else None, address
