"""The data file that a command is about: named by an option, or that of the local Sekha of the settings."""

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
        "--data", metavar="FILE", callback=not_blank, help="The data file (default: that of the Sekha of the settings)."
    ),
]


def find_data_file(data: str | None, url: str | None) -> str:
    """Return the path of a data file: the given one, or that of the local Sekha which the settings name.

    Args:
        data: The file, if it is given as an option.
        url: Address of the controller, if it is given as an option.

    Raises:
        CommandError: There is no such file on this machine.
        SekhaError: The local Sekha cannot be asked.
    """
    if data is not None:
        if url is not None:
            raise CommandError("give --data or --url, not both", USAGE)
        if not os.path.exists(data):
            raise CommandError(f"there is no file {data}")
        if not os.path.isfile(data):
            raise CommandError(f"{data} is no file")
        return data
    found, address = _ask(url)
    if found is None:
        raise CommandError(f"the Sekha at {address} keeps its data in memory: there is no file")
    path, identity = found
    try:
        status = os.stat(path)
    except OSError:
        is_here = False
    else:
        is_here = [status.st_dev, status.st_ino] == identity
    if not is_here:
        raise CommandError(
            f"the data file of the Sekha at {address} is {path}, which is not here: on another machine, in a container,"
            " or removed; where it is, --data FILE names it"
        )
    return path


def _ask(url: str | None) -> tuple[tuple[str, object] | None, str]:
    """Return path and identity of the data file of a local Sekha, None if it is in memory; and its address."""
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
                f"the Sekha at {address} is no local one that tells where its data is: --data FILE names the file"
            ) from None
    path, identity = get(found, "file"), get(found, "identity")
    return (path, identity) if isinstance(path, str) else None, address
