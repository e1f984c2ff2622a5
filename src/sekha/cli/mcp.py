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

DETAILS = "Clients start this command themselves; it communicates over stdin and stdout unless --http is used."
EXAMPLES = ("sekha mcp --folder /work/shop --read-only", "sekha mcp --http --port 8765")

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765

_NEEDS = "requires Python 3.10 or later and the extra mcp: pip install 'sekha-python-sdk[cli,mcp]'"


def run(
    folder: Annotated[
        Optional[str],
        typer.Option(
            "--folder",
            metavar="FOLDER",
            callback=not_blank,
            help="Restrict all reads and writes to this folder and its subfolders, such as /work/shop.",
        ),
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Omit all tools that change the memory.")] = False,
    tools: Annotated[
        Optional[str],
        typer.Option(
            "--tools",
            metavar="NAMES",
            help="Offer only these tools (comma-separated), such as memory_search,memory_get_context.",
        ),
    ] = None,
    http: Annotated[
        bool, typer.Option("--http", help="Serve streamable HTTP (path /mcp) instead of stdin and stdout.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="HOST",
            callback=not_blank,
            help="Address to listen on with --http; any other than a loopback address requires SEKHA_MCP_TOKEN.",
        ),
    ] = DEFAULT_HOST,
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="PORT", min=0, max=65_535, help="Port to listen on with --http; 0 selects a free port."
        ),
    ] = DEFAULT_PORT,
    allow_host: Annotated[
        Optional[List[str]],
        typer.Option(
            "--allow-host", metavar="NAME", help="With --http, also accept requests to this host name (repeatable)."
        ),
    ] = None,
    url: Url = None,
    env_file: EnvFile = None,
) -> int:
    """Serve until the client disconnects, Ctrl-C or SIGTERM.

    Without `--http`, stdin and stdout carry the protocol: nothing else may be printed to stdout.
    """
    if find_spec("mcp") is None:  # also on Python 3.9, which no version of mcp supports
        raise CommandError(_NEEDS, FAILED)
    _check_placeholders(os.environ)
    from sekha.cli.folder_option import parse_folder
    from sekha.mcp_server.http import HTTPOptions
    from sekha.mcp_server.options import OptionError, ServerOptions
    from sekha.mcp_server.run import run_http, run_stdio
    from sekha.mcp_server.stdio import claim_wire

    if not http and (host != DEFAULT_HOST or port != DEFAULT_PORT or allow_host):
        raise typer.BadParameter("--host, --port and --allow-host require --http")
    try:
        options = ServerOptions(folder and parse_folder(folder), read_only, None if tools is None else _names(tools))
        options.check()
        where = HTTPOptions(host, port, _token(env_file), tuple(allow_host or ())) if http else None
    except OptionError as error:
        raise CommandError(str(error), USAGE) from None
    with suppress(KeyboardInterrupt):  # Ctrl-C is the regular way to stop
        if where is None:
            wire = claim_wire()
            run_stdio(config_for_programs(url, env_file), options, wire)
        else:
            run_http(config_for_programs(url, env_file), options, where)
    return OK


def _check_placeholders(variables: Mapping[str, str]) -> None:
    """Raise CommandError for a placeholder such as ``${NAME}``, which some clients pass for an unset variable."""
    for name, value in variables.items():
        if name.startswith("SEKHA_") and re.fullmatch(r"\$\{[^{}]*\}", value.strip()):
            reason = "is a placeholder that the client has not replaced"
            raise CommandError(f"{name} {reason}: set {name} in the client's environment, or remove it", USAGE)


def _names(tools: str) -> List[str]:
    return [name.strip() for name in tools.split(",") if name.strip()]


def _token(env_file: Optional[Path]) -> Optional[str]:
    """Return the token that clients must send, from the environment or else from the settings file."""
    from dotenv import dotenv_values

    from sekha.mcp_server.http import TOKEN_VARIABLE

    found = os.environ.get(TOKEN_VARIABLE)
    if found is None and env_file is not None:
        found = dotenv_values(env_file, encoding="utf-8-sig").get(TOKEN_VARIABLE)
    return found
