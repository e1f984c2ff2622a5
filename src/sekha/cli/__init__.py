"""The command line: `sekha <command>`. The module of a command is imported when the command is used."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Dict, Optional, Sequence

__all__ = ["main"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


COMMANDS: Dict[str, str] = {
    "demo": "run a guided demo on a temporary local server, or on yours",
    "serve": "run a local server in the foreground",
    "init": "ask for URL and API key, check them, and write a .env file",
    "health": "check controller, bridge and MCP tools",
    "stats": "show statistics",
    "list": "list conversations, most recently updated first",
    "search": "search messages by words and by meaning",
    "query": "search messages (alias of search)",
    "show": "show a conversation with its messages",
    "store": "store a conversation",
    "label": "change the label of a conversation",
    "move": "move a conversation to another folder",
    "pin": "pin conversations (sets their importance to 10)",
    "archive": "archive conversations (cannot be undone)",
    "delete": "delete conversations (asks for confirmation)",
    "import": "import chats from ChatGPT, Claude and others, or notes",
    "export": "write conversations to a file or to stdout",
    "backup": "copy the data file of a local server, even while it runs",
    "doctor": "check the data file of a local server",
    "hook": "add recall and storage of sessions to a coding agent",
    "chat": "chat with a model that uses the memory",
    "mcp": "run an MCP server for Claude, editors and agents",
    "prune": "archive unused conversations (asks for confirmation)",
}
"""Names and one-line descriptions. The command is the function `run` of the module `sekha.cli.<name>`, which may also
have `DETAILS`, a sentence for the help, and `EXAMPLES`, command lines."""

MODULES: Dict[str, str] = {"list": "listing", "import": "importing", "search": "query"}
"""Commands whose module has another name: `sekha.cli.list` would hide the built-in `list` here, `import` is a keyword,
and `search` has two names."""

REQUIRED_PACKAGES = ("typer", "rich")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; by default those of `sys.argv`.

    Returns:
        The exit code; see `sekha.cli.exits`.

    Example:
        ```python
        from sekha.cli import main

        assert main([]) == 2  # no command: the help, on stderr
        ```
    """
    words = [*(sys.argv[1:] if argv is None else argv)]
    if words[:1] == ["hook"]:
        from sekha.cli.hook_run import is_for_agents, run_for_agents  # quick to import: each prompt waits for it

        if is_for_agents(words):
            return run_for_agents(words, is_alone=argv is None)
    if not all(find_spec(name) for name in REQUIRED_PACKAGES):
        print("sekha: the command line requires the extra cli: pip install 'sekha-python-sdk[cli]'", file=sys.stderr)
        return 1
    from sekha.cli.app import run

    return run(words)
