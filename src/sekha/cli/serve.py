"""`sekha serve`: run a local Sekha in the foreground until Ctrl-C."""

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

_MAX_PORT = 65_535


class Profile(str, Enum):
    """The behaviour that a local Sekha has."""

    DOCUMENTED = "documented"
    CONTROLLER_0_1 = "controller-0.1"


def run(
    host: Annotated[str, typer.Option("--host", callback=not_blank, help="Address to listen on.")] = "127.0.0.1",
    allow_host: Annotated[
        Optional[List[str]],
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="Another name of this machine, such as host.docker.internal; may be repeated.",
        ),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=_MAX_PORT, help="Port of controller and MCP tools; 0 for a free one.")
    ] = 8080,
    bridge_port: Annotated[
        int, typer.Option("--bridge-port", min=0, max=_MAX_PORT, help="Port of the bridge; 0 for a free one.")
    ] = 5001,
    data: Annotated[
        Optional[str],
        typer.Option(
            "--data", metavar="FILE", callback=not_blank, help="Keep the data in this file (default: in memory)."
        ),
    ] = None,
    api_key_file: Annotated[
        Optional[Path],
        readable_file(
            "--api-key-file",
            "A file with the key to ask for (default: SEKHA_API_KEY, or with --data a key that is kept beside it).",
        ),
    ] = None,
    api_key: Annotated[
        Optional[str],
        typer.Option(
            "--api-key",
            metavar="KEY",
            callback=not_blank,
            help="The same as an option, which others see in the list of processes.",
        ),
    ] = None,
    no_key: Annotated[
        bool, typer.Option("--no-key", help="Accept any key, from whoever reaches --host, and make none for --data.")
    ] = False,
    env_file: Annotated[
        Optional[str],
        typer.Option("--env-file", metavar="FILE", callback=not_blank, help="Write the settings to this file too."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace other values of these settings in the file.")] = False,
    llm_url: Annotated[
        Optional[str],
        typer.Option(
            "--llm-url",
            metavar="URL",
            callback=not_blank,
            help="Ollama or OpenAI-compatible server for answers (default: quotes); its key is in SEKHA_LLM_KEY.",
        ),
    ] = None,
    llm_model: Annotated[
        Optional[str],
        typer.Option("--llm-model", metavar="NAME", help="The model of --llm-url (default: the only one it has)."),
    ] = None,
    embeddings_url: Annotated[
        Optional[str],
        typer.Option(
            "--embeddings-url",
            metavar="URL",
            callback=not_blank,
            help="The same for embeddings, so that texts are found by meaning, too (default: hashed words, so they are"
            " found by words); its key is in SEKHA_EMBEDDINGS_KEY.",
        ),
    ] = None,
    embeddings_model: Annotated[
        Optional[str],
        typer.Option(
            "--embeddings-model", metavar="NAME", help="The model of --embeddings-url (default: the only one it has)."
        ),
    ] = None,
    query_prefix: Annotated[
        str, typer.Option("--query-prefix", metavar="TEXT", help="What the model wants before a text to search for.")
    ] = "",
    passage_prefix: Annotated[
        str, typer.Option("--passage-prefix", metavar="TEXT", help="What the model wants before a text to store.")
    ] = "",
    profile: Annotated[
        Profile,
        typer.Option(
            "--profile", help="documented, or controller-0.1: with the mistakes of the servers that people run."
        ),
    ] = Profile.DOCUMENTED,
    mcp_api_key: Annotated[
        Optional[str],
        typer.Option(
            "--mcp-api-key",
            metavar="KEY",
            help="The key of the MCP tools of controller-0.1 (default: that controller's).",
        ),
    ] = None,
) -> int:
    """Serve until Ctrl-C, Ctrl-Break or SIGTERM; return 0 after a clean stop, 1 if it could not start.

    The standard output gets the settings and nothing else.
    """
    if api_key_file is not None:
        if api_key is not None:
            raise typer.BadParameter("give --api-key-file or --api-key, not both")
        api_key = read_key(api_key_file)
    if no_key and api_key is not None:
        raise typer.BadParameter("give --no-key or a key, not both")
    if force and env_file is None:
        raise typer.BadParameter("--force needs --env-file")
    try:
        from sekha.local import LocalSekha, LocalSekhaError

        if api_key is None and not no_key:
            api_key = settings_from_env(os.environ, ["api_key"]).get("api_key")
    except (ModuleNotFoundError, SekhaConfigError) as error:
        return fail("serve", error)

    signals: List[int] = []  # not an Event: the interrupted code may hold its lock

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
    """Return the signals that stop the server; on Windows, where SIGTERM ends it at once, Ctrl-Break too."""
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
    """Print the settings to stdout, and all else to stderr."""
    settings: Dict[str, str] = {ENVIRONMENT[name]: str(value) for name, value in options.items()}
    if env_file is not None:
        write_env_file(env_file, settings, force=force)
    storage = "Data is in memory, and gone when it stops (--data FILE keeps it)."
    if data:
        storage = f"Data is in {data}, its key in {key_file}." if key_file else f"Data is in {data}."
    echo_err("Sekha is running; Ctrl-C stops it.")
    echo_err(f"  controller and MCP tools  {options['controller_url']}")
    echo_err(f"  bridge                    {options['bridge_url']}")
    echo_err(storage)
    for line in more:
        echo_err(line)
    if env_file is None:
        echo_err("Its settings, for a file .env (--env-file .env writes it):")
    else:
        echo_err(f"Its settings are in {env_file}:")
    echo("\n".join(format_setting(name, value) for name, value in settings.items()))


def _report_models(options: "Options") -> None:
    """Say which models answer, and which do not; they may be started later."""
    from sekha import SekhaClient

    with SekhaClient(**options, max_retries=0) as client:
        health = client.health_check()["bridge"]
    if health["status"] != "healthy":
        echo_err(f"Not every model answers: {one_line(health.get('error') or format_checks(health['checks']))}")
    else:
        models = ", ".join(f"{name} by {check.get('model')}" for name, check in health["checks"].items())
        echo_err(f"Models: {one_line(models)}")


def _warn_if_open(host: str, *, no_key: bool) -> None:
    from sekha._http.host_check import is_loopback

    if no_key and not is_loopback(host):
        echo_err(f"Whoever reaches {host} can read and write this memory.")
