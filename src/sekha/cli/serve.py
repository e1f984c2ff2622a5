"""`sekha serve`: a local Sekha in the foreground until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING, List, Optional

if TYPE_CHECKING:
    from sekha.local.server import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)"
    )
    parser.add_argument(
        "--port", type=int, default=8080, help="port of controller and MCP tools (default: %(default)s)"
    )
    parser.add_argument("--bridge-port", type=int, default=5001, help="port of the bridge (default: %(default)s)")
    parser.add_argument("--data", metavar="FILE", help="keep the data in this file (default: in memory)")
    parser.add_argument("--api-key", metavar="KEY", help="the key to ask for (default: any key will do)")
    parser.add_argument(
        "--llm-url", metavar="URL", help="OpenAI-compatible or Ollama server for answers (default: quotes)"
    )
    parser.add_argument(
        "--profile",
        default="documented",
        help="documented, or controller-0.1: with the mistakes of the servers that people run (default: %(default)s)",
    )
    parser.add_argument(
        "--mcp-api-key", metavar="KEY", help="the key of the MCP tools of controller-0.1 (default: that controller's)"
    )
    parser.add_argument("--embeddings-url", metavar="URL", help="the same for embeddings (default: hashed words)")


def run(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C or SIGTERM; 0 after a clean stop, 1 if it could not start."""
    try:
        from sekha.local import LocalSekha, LocalSekhaError
    except ModuleNotFoundError as error:
        return _fail(str(error))

    signals: List[int] = []  # not an Event: its lock may be held by the very code that the signal interrupts

    def on_signal(number: int, frame: Optional[FrameType]) -> None:
        signals.append(number)

    try:
        sekha = LocalSekha(
            data=args.data,
            host=args.host,
            port=args.port,
            bridge_port=args.bridge_port,
            api_key=args.api_key,
            llm_url=args.llm_url,
            embeddings_url=args.embeddings_url,
            profile=args.profile,
            mcp_api_key=args.mcp_api_key,
        )
    except LocalSekhaError as error:
        return _fail(str(error))
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        sekha.start()
        _tell(sekha.options, args)
        while not signals:
            time.sleep(0.1)
        sekha.stop()
    except LocalSekhaError as error:
        return _fail(str(error))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    print("stopped", flush=True)
    return 0


def _tell(options: Options, args: argparse.Namespace) -> None:
    """Where it runs, and the lines to copy."""
    controller_url, bridge_url = options["controller_url"], options["bridge_url"]
    kept = f"data in {args.data}" if args.data else "data in memory, gone when it stops (--data FILE keeps it)"
    print(f"Sekha is running ({kept}); Ctrl-C stops it.")
    print(f"  controller and MCP tools  {controller_url}")
    print(f"  bridge                    {bridge_url}\n")
    print(f"SEKHA_CONTROLLER_URL={controller_url}\nSEKHA_API_KEY={options['api_key']}\nSEKHA_BRIDGE_URL={bridge_url}")
    if "mcp_api_key" in options:
        print(f"SEKHA_MCP_API_KEY={options['mcp_api_key']}")
    sys.stdout.flush()
    unguarded = "mcp_api_key" in options  # that controller looks at no key, and is not to be helped
    if args.host not in ("127.0.0.1", "::1", "localhost") and (unguarded or not args.api_key):
        advice = "." if unguarded else ": use --api-key."
        print(f"Whoever reaches {args.host} can read and write this memory{advice}", file=sys.stderr, flush=True)


def _fail(reason: str) -> int:
    print(f"sekha serve: {reason}", file=sys.stderr)
    return 1
