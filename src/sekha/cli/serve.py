"""`sekha serve`: run a local Sekha in the foreground until Ctrl-C."""

import signal
import time
from types import FrameType
from typing import TYPE_CHECKING, List, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.terminal import echo, echo_err, fail

if TYPE_CHECKING:
    from sekha.local.server import Options


def run(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port of controller and MCP tools.")] = 8080,
    bridge_port: Annotated[int, typer.Option("--bridge-port", help="Port of the bridge.")] = 5001,
    data: Annotated[
        Optional[str], typer.Option("--data", metavar="FILE", help="Keep the data in this file (default: in memory).")
    ] = None,
    api_key: Annotated[
        Optional[str], typer.Option("--api-key", metavar="KEY", help="The key to ask for (default: any key will do).")
    ] = None,
    llm_url: Annotated[
        Optional[str],
        typer.Option(
            "--llm-url", metavar="URL", help="OpenAI-compatible or Ollama server for answers (default: quotes)."
        ),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            "--profile", help="documented, or controller-0.1: with the mistakes of the servers that people run."
        ),
    ] = "documented",
    mcp_api_key: Annotated[
        Optional[str],
        typer.Option(
            "--mcp-api-key",
            metavar="KEY",
            help="The key of the MCP tools of controller-0.1 (default: that controller's).",
        ),
    ] = None,
    embeddings_url: Annotated[
        Optional[str],
        typer.Option("--embeddings-url", metavar="URL", help="The same for embeddings (default: hashed words)."),
    ] = None,
) -> int:
    """Serve until Ctrl-C, Ctrl-Break or SIGTERM; return 0 after a clean stop, 1 if it could not start."""
    try:
        from sekha.local import LocalSekha, LocalSekhaError
    except ModuleNotFoundError as error:
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
            profile=profile,
            mcp_api_key=mcp_api_key,
        )
    except LocalSekhaError as error:
        return fail("serve", error)
    before = {number: signal.signal(number, on_signal) for number in _stop_signals()}
    try:
        sekha.start()
        _print_settings(sekha.options, host, data, needs_key=bool(api_key))
        while not signals:
            time.sleep(0.1)
        sekha.stop()
    except LocalSekhaError as error:
        return fail("serve", error)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    echo("stopped")
    return 0


def _stop_signals() -> List[int]:
    """Return the signals that stop the server; on Windows, where SIGTERM ends it at once, Ctrl-Break too."""
    found = (getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGBREAK"))
    return [number for number in found if number is not None]


def _print_settings(options: "Options", host: str, data: Optional[str], *, needs_key: bool) -> None:
    """Print the addresses, and the settings as lines to copy."""
    controller_url, bridge_url = options["controller_url"], options["bridge_url"]
    storage = f"data in {data}" if data else "data in memory, gone when it stops (--data FILE keeps it)"
    echo(f"Sekha is running ({storage}); Ctrl-C stops it.")
    echo(f"  controller and MCP tools  {controller_url}")
    echo(f"  bridge                    {bridge_url}\n")
    echo(f"SEKHA_CONTROLLER_URL={controller_url}\nSEKHA_API_KEY={options['api_key']}\nSEKHA_BRIDGE_URL={bridge_url}")
    if "mcp_api_key" in options:
        echo(f"SEKHA_MCP_API_KEY={options['mcp_api_key']}")
    if "rate_limit_requests" in options:
        echo(f"SEKHA_RATE_LIMIT_REQUESTS={options['rate_limit_requests']}")
    echo(f"SEKHA_PROXY={options['proxy']}")  # or a proxy of the environment would be asked for this machine
    never_needs_key = "mcp_api_key" in options  # the REST routes of controller 0.1 check no key at all
    if host not in ("127.0.0.1", "::1", "localhost") and (never_needs_key or not needs_key):
        advice = "." if never_needs_key else ": use --api-key."
        echo_err(f"Whoever reaches {host} can read and write this memory{advice}")
