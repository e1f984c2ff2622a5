"""The command line: `sekha <command>`. Each command is a module that is imported when it is used."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Dict, Optional, Sequence

__all__ = ["main"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


COMMANDS: Dict[str, str] = {
    "demo": "run a guided demo on a temporary local server, or on yours (it stores into /sekha-demo)",
    "serve": "run a local Sekha in the foreground",
    "init": "ask for address and key, check them, and write them to a file .env",
    "health": "show how the three services are",
    "stats": "show numbers about the memory",
    "list": "list conversations, the last changed first",
    "search": "search the messages by words, and by meaning with an embedding model",
    "query": "search the messages: the same as search",
    "show": "show a conversation with its messages",
    "store": "store a conversation",
    "label": "give a conversation another label",
    "move": "move a conversation to another folder",
    "pin": "pin conversations: their importance becomes 10",
    "archive": "archive conversations; nothing brings them back into use",
    "delete": "delete conversations, after asking",
    "import": "bring in the chats of ChatGPT, Claude and others, and notes",
    "export": "write conversations to a file, or to the standard output",
    "backup": "copy the memory of a local Sekha to a file, also while it runs",
    "doctor": "check the data file of a local Sekha, and say what to do",
    "hook": "let a coding agent remember: recall at each prompt, remember at its end",
    "chat": "talk to a model that remembers",
    "mcp": "serve the memory to MCP clients: Claude, editors and agents",
    "prune": "archive what has not been used for long, after asking",
}
"""Names and one-line descriptions; `run` in the module `sekha.cli.<name>` is the command."""

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
        from sekha.cli.hook_run import is_for_agents, run_for_agents  # a prompt waits for it: nothing else is loaded

        if is_for_agents(words):
            return run_for_agents(words, is_alone=argv is None)
    if not all(find_spec(name) for name in REQUIRED_PACKAGES):
        print("sekha: the command line needs its extra: pip install 'sekha-python-sdk[cli]'", file=sys.stderr)
        return 1
    from sekha.cli.app import run

    return run(words)
