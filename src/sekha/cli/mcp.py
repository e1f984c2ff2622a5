"""`sekha mcp`: serve the memory to MCP clients, over stdin and stdout or over HTTP."""

import os
import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import List, Mapping, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_for_programs
from sekha.cli.exits import FAILED, OK, USAGE, CommandError
from sekha.cli.options import EnvFile, Url, not_blank

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765

_NEEDS = "this needs Python 3.10 or later and the extra mcp: pip install 'sekha-python-sdk[cli,mcp]'"


def run(
    folder: Annotated[
        Optional[str],
        typer.Option(
            "--folder",
            metavar="FOLDER",
            callback=not_blank,
            help="Confine all reads and writes to this folder and those below it, such as /work/shop.",
        ),
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Offer no tool that changes the memory.")] = False,
    tools: Annotated[
        Optional[str],
        typer.Option(
            "--tools", metavar="NAMES", help="Offer these tools only, such as memory_search,memory_get_context."
        ),
    ] = None,
    http: Annotated[
        bool, typer.Option("--http", help="Serve streamable HTTP (path /mcp), not stdin and stdout.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            callback=not_blank,
            help="Address to listen on with --http; one that others reach needs SEKHA_MCP_TOKEN.",
        ),
    ] = DEFAULT_HOST,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Port to listen on with --http; 0 for a free one.")
    ] = DEFAULT_PORT,
    allow_host: Annotated[
        Optional[List[str]],
        typer.Option(
            "--allow-host", metavar="NAME", help="Another name of this machine, with --http; may be repeated."
        ),
    ] = None,
    url: Url = None,
    env_file: EnvFile = None,
) -> int:
    """Serve until the client goes, Ctrl-C or SIGTERM.

    Over stdin and stdout, which are kept for the protocol from here on: nothing may be printed before it.
    """
    if find_spec("mcp") is None:  # as on Python 3.9, which no version of it supports
        raise CommandError(_NEEDS, FAILED)
    _check_placeholders(os.environ)
    from sekha.cli.folder_option import parse_folder
    from sekha.mcp_server.http import HTTPOptions
    from sekha.mcp_server.options import OptionError, ServerOptions
    from sekha.mcp_server.run import run_http, run_stdio
    from sekha.mcp_server.stdio import claim_wire

    if not http and (host != DEFAULT_HOST or port != DEFAULT_PORT or allow_host):
        raise typer.BadParameter("--host, --port and --allow-host need --http")
    try:
        options = ServerOptions(folder and parse_folder(folder), read_only, None if tools is None else _names(tools))
        options.check()
        where = HTTPOptions(host, port, _token(env_file), tuple(allow_host or ())) if http else None
    except OptionError as error:
        raise CommandError(str(error), USAGE) from None
    with suppress(KeyboardInterrupt):  # that is how it is stopped
        if where is None:
            wire = claim_wire()
            run_stdio(config_for_programs(url, env_file), options, wire)
        else:
            run_http(config_for_programs(url, env_file), options, where)
    return OK


def _check_placeholders(variables: Mapping[str, str]) -> None:
    """Refuse what a client should have replaced: some pass on the placeholder of a variable that is not set."""
    for name, value in variables.items():
        if name.startswith("SEKHA_") and re.fullmatch(r"\$\{[^{}]*\}", value.strip()):
            reason = "is still a placeholder, which the client has not replaced"
            raise CommandError(f"{name} {reason}: set {name} where the client is started, or leave it out", USAGE)


def _names(tools: str) -> List[str]:
    return [name.strip() for name in tools.split(",") if name.strip()]


def _token(env_file: Optional[Path]) -> Optional[str]:
    """Return the token of clients, from the environment, else from the file with the settings."""
    from dotenv import dotenv_values

    from sekha.mcp_server.http import TOKEN_VARIABLE

    found = os.environ.get(TOKEN_VARIABLE)
    if found is None and env_file is not None:
        found = dotenv_values(env_file, encoding="utf-8-sig").get(TOKEN_VARIABLE)
    return found
