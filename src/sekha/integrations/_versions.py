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
    "mcp": Supported("mcp", "1.24.0", "3", "3.10"),
    "redis": Supported("redis", "5.0.0", "", "3.9"),
    "openai-agents": Supported("openai-agents", "0.19.4", "", "3.10"),
}
"""By the name of the extra."""
