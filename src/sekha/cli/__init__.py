"""The command line: `sekha <command>`. Each command is a module, imported when it is chosen."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import Dict, Optional, Sequence

COMMANDS: Dict[str, str] = {
    "demo": "tell the main job step by step, on a local Sekha or on yours",
    "health": "show how the three services are",
    "serve": "run a local Sekha in the foreground, for development",
}
"""Names and one-line descriptions; the module `sekha.cli.<name>` has `add_arguments(parser)` and `run(args) -> int`."""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """
    Runs the command line.

    Args:
        argv: The words after the program's name; None takes them from `sys.argv`.

    Returns:
        The exit code: 0 for success, 1 for a failure that was told in one line, 2 for words that make no command
        (a wrong option ends in SystemExit(2), as argparse does it).

    Example:
        ```python
        from sekha.cli import main

        assert main([]) == 2  # no command: the help, on stderr
        ```
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="sekha", description="Sekha, a self-hosted memory for AI applications.")
    commands = parser.add_subparsers(dest="command", metavar="command", title="commands")
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, about in COMMANDS.items():
        command = commands.add_parser(name, help=about, description=f"{about[:1].upper()}{about[1:]}.")
        if name == chosen:
            import_module(f"sekha.cli.{name}").add_arguments(command)
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        return int(import_module(f"sekha.cli.{args.command}").run(args))
    except KeyboardInterrupt:
        return 130  # what shells say of a command that Ctrl-C ended
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on; Python would complain at exit
        return 1
