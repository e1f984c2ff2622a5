"""What each extra supports. Written by tools/extras.py from integrations.toml."""

from __future__ import annotations

from typing import Final, NamedTuple


class Supported(NamedTuple):
    """The versions of a package that are supported.

    Args:
        package: Its name on the index.
        floor: The oldest version.
        below: The first version that is too new; empty if none is.
        python: The oldest Python.
    """

    package: str
    floor: str
    below: str
    python: str


SUPPORTED: Final = {
    "llamaindex": Supported("llama-index-core", "0.13.0", "", "3.10"),
    "mcp": Supported("mcp", "1.24.0", "3", "3.10"),
    "openai-agents": Supported("openai-agents", "0.19.4", "", "3.10"),
    "redis": Supported("redis", "5.0.0", "", "3.9"),
    "strands": Supported("strands-agents", "1.45.0", "", "3.10"),
    "adk": Supported("google-adk", "1.19.0", "3", "3.10"),
    "openai": Supported("openai", "1.78.0", "4", "3.9"),
    "anthropic": Supported("anthropic", "0.51.0", "3", "3.9"),
    "agent-framework": Supported("agent-framework-core", "1.0.0", "", "3.10"),
    "pydantic-ai": Supported("pydantic-ai-slim", "1.94.0", "3", "3.10"),
    "langchain": Supported("langchain", "1.0.0", "2", "3.11"),
}
"""By the name of the extra."""
