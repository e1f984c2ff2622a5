"""A program: a local server with the mistakes of the controller 0.1; it is there to be killed.

Arguments: port, file of the data. It prints a line when it answers.
"""

from __future__ import annotations

import sys

from sekha.local import LocalSekha
from support.facts import MCP_KEY


def main() -> None:
    """Serve until the input ends."""
    port, data = sys.argv[1:]
    with LocalSekha(profile="controller-0.1", port=int(port), data=data, mcp_api_key=MCP_KEY):
        print("serving", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
