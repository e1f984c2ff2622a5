"""`sekha serve`: run a local server in the foreground until Ctrl-C."""

import os
import signal
import time
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence

import typer
from typing_extensions import Annotated

from sekha.cli.env_file import format_setting, write_env_file
from sekha.cli.exits import OK, USAGE, CommandError
from sekha.cli.failures import fail
from sekha.cli.files import read_key
from sekha.cli.greeting import describe_contents, describe_defaults
from sekha.cli.health import format_checks
from sekha.cli.options import not_blank, readable_file
from sekha.cli.terminal import echo, echo_err, one_line
from sekha.config._settings import ENVIRONMENT, settings_from_env
from sekha.errors import SekhaConfigError

if TYPE_CHECKING:
    from sekha.local.server import Options

DETAILS = "Client settings are printed to stdout."
EXAMPLES = (
    "sekha serve",
    "sekha serve --data memory.db --env-file .env",
    "sekha serve --llm-url http://localhost:11434 --llm-model llama3.2",
)

_MAX_PORT = 65_535


class Profile(str, Enum):
    """The behavior that a local server emulates."""

    DOCUMENTED = "documented"
    CONTROLLER_0_1 = "controller-0.1"


def run(
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", callback=not_blank, help="Address to listen on.")
    ] = "127.0.0.1",
    allow_host: Annotated[
        Optional[List[str]],
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="Also accept requests to this host name, such as host.docker.internal (repeatable).",
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            "--port",
            metavar="PORT",
            min=0,
            max=_MAX_PORT,
            help="Port of the controller and the MCP tools; 0 selects a free port.",
        ),
    ] = 8080,
    bridge_port: Annotated[
        int,
        typer.Option(
            "--bridge-port", metavar="PORT", min=0, max=_MAX_PORT, help="Port of the bridge; 0 selects a free port."
        ),
    ] = 5001,
    data: Annotated[
        Optional[str],
        typer.Option(
            "--data", metavar="FILE", callback=not_blank, help="File to keep the data in.  [default: in memory only]"
        ),
    ] = None,
    api_key_file: Annotated[
        Optional[Path],
        readable_file(
            "--api-key-file",
            "File that contains the API key to require.  [default: SEKHA_API_KEY, else with --data a random key, "
            "stored in FILE.key]",
        ),
    ] = None,
    api_key: Annotated[
        Optional[str],
        typer.Option(
            "--api-key",
            metavar="KEY",
            callback=not_blank,
            help="API key to require, as an option (other users can see it in the process list).",
        ),
    ] = None,
    no_key: Annotated[
        bool,
        typer.Option("--no-key", help="Accept any API key, from everyone who can reach --host, and create none."),
    ] = False,
    env_file: Annotated[
        Optional[str],
        typer.Option(
            "--env-file", metavar="FILE", callback=not_blank, help="Also write the client settings to this file."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace different values in --env-file.")] = False,
    llm_url: Annotated[
        Optional[str],
        typer.Option(
            "--llm-url",
            metavar="URL",
            callback=not_blank,
            help="OpenAI-compatible or Ollama server for completions; its API key is read from SEKHA_LLM_KEY.  "
            "[default: a placeholder that quotes memories]",
        ),
    ] = None,
    llm_model: Annotated[
        Optional[str],
        typer.Option("--llm-model", metavar="NAME", help="Model on --llm-url.  [default: its only model]"),
    ] = None,
    embeddings_url: Annotated[
        Optional[str],
        typer.Option(
            "--embeddings-url",
            metavar="URL",
            callback=not_blank,
            help="OpenAI-compatible or Ollama server for embeddings, to search by meaning; its API key is read from "
            "SEKHA_EMBEDDINGS_KEY.  [default: built-in word hashing, to search by words]",
        ),
    ] = None,
    embeddings_model: Annotated[
        Optional[str],
        typer.Option(
            "--embeddings-model", metavar="NAME", help="Model on --embeddings-url.  [default: its only model]"
        ),
    ] = None,
    query_prefix: Annotated[
        str,
        typer.Option(
            "--query-prefix", metavar="TEXT", help="Prefix that the embedding model expects before search queries."
        ),
    ] = "",
    passage_prefix: Annotated[
        str,
        typer.Option(
            "--passage-prefix", metavar="TEXT", help="Prefix that the embedding model expects before stored texts."
        ),
    ] = "",
    profile: Annotated[
        Profile,
        typer.Option(
            "--profile", help="Behavior to emulate: documented, or controller-0.1 with the known bugs of that version."
        ),
    ] = Profile.DOCUMENTED,
    mcp_api_key: Annotated[
        Optional[str],
        typer.Option(
            "--mcp-api-key",
            metavar="KEY",
            help="API key of the MCP tools with --profile controller-0.1.  [default: the one of that controller]",
        ),
    ] = None,
) -> int:
    """Serve until Ctrl-C, Ctrl-Break or SIGTERM; return 0 after a clean stop, 1 if the server could not start.

    Print only the settings to stdout.
    """
    if api_key_file is not None:
        if api_key is not None:
            raise typer.BadParameter("--api-key-file and --api-key cannot be combined")
        api_key = read_key(api_key_file)
    if no_key and api_key is not None:
        raise typer.BadParameter("--no-key and an API key cannot be combined")
    if force and env_file is None:
        raise typer.BadParameter("--force requires --env-file")
    try:
        from sekha.local import LocalSekha, LocalSekhaError

        if api_key is None and not no_key:
            api_key = settings_from_env(os.environ, ["api_key"]).get("api_key")
    except (ModuleNotFoundError, SekhaConfigError) as error:
        return fail("serve", error)

    signals: List[int] = []  # not an Event, whose lock the interrupted code may hold

    def on_signal(number: int, frame: Optional[FrameType]) -> None:
        signals.append(number)

    try:
        sekha = LocalSekha(
            data=data,
            host=host,
            port=port,
            bridge_port=bridge_port,
            api_key=api_key,
            llm_url=llm_url,
            embeddings_url=embeddings_url,
            profile=profile.value,
            mcp_api_key=mcp_api_key,
            no_key=no_key,
            allowed_hosts=allow_host or [],
            llm_model=llm_model,
            embeddings_model=embeddings_model,
            llm_key=os.environ.get("SEKHA_LLM_KEY"),
            embeddings_key=os.environ.get("SEKHA_EMBEDDINGS_KEY"),
            query_prefix=query_prefix,
            passage_prefix=passage_prefix,
        )
    except LocalSekhaError as error:
        return fail("serve", error, USAGE)
    before = {number: signal.signal(number, on_signal) for number in _stop_signals()}
    try:
        sekha.start()
        try:
            found = describe_contents(sekha._find_contents()) if data else ()
            more = [*found, *describe_defaults(has_embeddings=embeddings_url is not None, has_llm=llm_url is not None)]
            _report_start(sekha.options, data, sekha.key_file, env_file, more, force=force)
            if llm_url is not None or embeddings_url is not None:
                _report_models(sekha.options)
            _warn_if_open(host, no_key=no_key)
            while not signals:
                time.sleep(0.1)
        finally:
            sekha.stop()
    except (LocalSekhaError, CommandError) as error:
        return fail("serve", error)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    echo_err("stopped")
    return OK


def _stop_signals() -> List[int]:
    """Return the signals that stop the server; on Windows, where SIGTERM kills it immediately, Ctrl-Break too."""
    found = (getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGBREAK"))
    return [number for number in found if number is not None]


def _report_start(
    options: "Options",
    data: Optional[str],
    key_file: Optional[Path],
    env_file: Optional[str],
    more: Sequence[str],
    *,
    force: bool,
) -> None:
    """Print the settings to stdout, everything else to stderr."""
    settings: Dict[str, str] = {ENVIRONMENT[name]: str(value) for name, value in options.items()}
    if env_file is not None:
        write_env_file(env_file, settings, force=force)
    storage = "Data: in memory only; use --data FILE to keep it."
    if data:
        storage = f"Data: {data}. API key: in {key_file}." if key_file else f"Data: {data}."
    echo_err("Sekha is running. Press Ctrl-C to stop it.")
    echo_err(f"  controller and MCP tools  {options['controller_url']}")
    echo_err(f"  bridge                    {options['bridge_url']}")
    echo_err(storage)
    for line in more:
        echo_err(line)
    if env_file is None:
        echo_err("Client settings (to write them to a file: --env-file .env):")
    else:
        echo_err(f"Client settings, written to {env_file}:")
    echo("\n".join(format_setting(name, value) for name, value in settings.items()))


def _report_models(options: "Options") -> None:
    """Print which models are available; unavailable models may be started later."""
    from sekha import SekhaClient

    with SekhaClient(**options, max_retries=0) as client:
        health = client.health_check()["bridge"]
    if health["status"] != "healthy":
        echo_err(f"Models, not all available: {one_line(health.get('error') or format_checks(health['checks']))}")
    else:
        models = ", ".join(f"{name} {check.get('model')}" for name, check in health["checks"].items())
        echo_err(f"Models: {one_line(models)}")


def _warn_if_open(host: str, *, no_key: bool) -> None:
    from sekha._http.host_check import is_loopback

    if no_key and not is_loopback(host):
        echo_err(f"Warning: without an API key, everyone who can reach {host} can read and write this memory.")
