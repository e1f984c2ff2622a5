"""`sekha init`: ask for URL and API key, check them, and write them to a file."""

import sys
from pathlib import Path
from typing import Dict, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import ask_for_key, check_address
from sekha.cli.env_file import ENV_FILE, merge_settings, read_env_file, write_env_file
from sekha.cli.exits import FAILED, OK, REFUSED, UNREACHABLE, CommandError
from sekha.cli.files import read_key
from sekha.cli.options import BridgeUrl, Json, Url, not_blank, readable_file
from sekha.cli.terminal import confirm, echo_err, echo_json, one_line
from sekha.config import SekhaConfig
from sekha.types import ServiceHealth

EXAMPLES = ("sekha init", "sekha init --url http://localhost:8080 --api-key-file key.txt")

_DEFAULT_URL = "http://localhost:8080"
_CODES = {"unauthorized": REFUSED, "unreachable": UNREACHABLE}
_USABLE = ("healthy", "degraded", "not_configured")
"""Statuses of a service whose URL and API key are correct; its models may be unavailable."""


def run(
    url: Url = None,
    bridge_url: BridgeUrl = None,
    api_key_file: Annotated[
        Optional[Path],
        readable_file("--api-key-file", "File that contains the API key.  [default: ask for it]"),
    ] = None,
    env_file: Annotated[
        str, typer.Option("--env-file", metavar="FILE", callback=not_blank, help="File to write.")
    ] = ENV_FILE,
    force: Annotated[
        bool, typer.Option("--force", help="Replace different values in the file without asking.")
    ] = False,
    json: Json = False,
) -> int:
    """Ask for missing values, check all, and write them; write nothing if a check fails."""
    check_address("--url", url)
    check_address("--bridge-url", bridge_url)
    read_env_file(env_file)  # report an unusable file before any question
    asks = sys.stdin.isatty()
    if not asks and (url is None or api_key_file is None):
        raise typer.BadParameter("cannot ask (stdin is not a terminal): use --url and --api-key-file")
    if url is None:
        url = _ask(f"URL of the controller [{_DEFAULT_URL}]: ") or _DEFAULT_URL
        check_address("URL of the controller", url)
    key = read_key(api_key_file) if api_key_file is not None else ask_for_key("API key")
    if bridge_url is None and asks:
        bridge_url = _ask("URL of the LLM bridge, for chat and completions [none]: ") or None
        check_address("URL of the LLM bridge", bridge_url)
    config = SekhaConfig(controller_url=url, api_key=key, bridge_url=bridge_url)
    health = _check(config)
    if health["mcp"]["status"] == "unauthorized" and health["controller"]["status"] == "healthy" and asks:
        echo_err("The MCP tools, which `sekha show` and `sekha export` use, require a different API key.")
        config = config.replace(mcp_api_key=ask_for_key("API key of the MCP tools"))
        health = _check(config)
    _require_usable(health)
    if _bridge_refuses(config):
        if not asks:
            raise CommandError("bridge: API key required: set SEKHA_BRIDGE_API_KEY; nothing was written", REFUSED)
        echo_err("The bridge requires an API key, too. (A local server uses the same key for both.)")
        config = config.replace(bridge_api_key=ask_for_key("API key of the bridge"))
        if _bridge_refuses(config):
            raise CommandError("bridge: unauthorized: API key rejected; nothing was written", REFUSED)
    settings = _variables(config)
    _, replaced = merge_settings(read_env_file(env_file), settings)
    if replaced and not force:
        names = " and ".join(replaced)
        if not asks:
            raise CommandError(f"{env_file} has a different {names}; use --force to replace it")
        if not confirm(f"{env_file} has a different {names}. Replace it?"):
            echo_err("Nothing was written.")
            return FAILED
    write_env_file(env_file, settings, force=True)
    if json:
        echo_json({"file": env_file, "settings": [*settings], "services": health})
    else:
        echo_err(f"Settings written to {env_file}, which only you can read. The command line reads .env automatically;")
        echo_err(f'in a program: SekhaClient(SekhaConfig.from_env(env_file="{env_file}"))')
    return OK


def _ask(question: str) -> str:
    echo_err(question, end="")
    line = sys.stdin.readline()
    if not line:
        echo_err()
        raise CommandError("end of input; nothing was written")
    return line.strip()


def _check(config: SekhaConfig) -> Dict[str, ServiceHealth]:
    from sekha import SekhaClient

    with SekhaClient(config) as client:
        return client.health_check()


def _bridge_refuses(config: SekhaConfig) -> bool:
    """Return whether the bridge rejects the API key; its health route does not check it."""
    from sekha import SekhaAuthError, SekhaClient, SekhaError

    if config.bridge_url is None:
        return False
    with SekhaClient(config) as client:
        try:
            client.bridge.tasks()
        except SekhaAuthError:
            return True
        except SekhaError:  # some versions of the bridge do not have this route
            pass
    return False


def _require_usable(health: Dict[str, ServiceHealth]) -> None:
    for service, found in health.items():
        status = found["status"]
        if status not in _USABLE:
            reason = one_line(found.get("error") or "unhealthy")
            raise CommandError(f"{service}: {status}: {reason}; nothing was written", _CODES.get(status, FAILED))
        if status == "degraded":
            echo_err(f"{service}: degraded; for details: sekha health")


def _variables(config: SekhaConfig) -> Dict[str, str]:
    from sekha.config._settings import ENVIRONMENT

    names = ("controller_url", "api_key", "mcp_api_key", "bridge_url", "bridge_api_key")
    return {ENVIRONMENT[name]: getattr(config, name) for name in names if getattr(config, name) is not None}
