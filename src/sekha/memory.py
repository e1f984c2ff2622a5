"""Memory of one user, for programs and frameworks that call a model themselves.

`Memory` and `AsyncMemory` recall before the model is called and remember after the turn; a `Scope` identifies the
application, the user and the session. See the guide "Memory for agents".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekha._utils.public import load_late

if TYPE_CHECKING:
    from sekha._api.recalled import OnError, Recalled, ToolResult
    from sekha._api.scopes import Scope
    from sekha._api.turns import with_block
    from sekha._async.memory import AsyncMemory, AsyncTurn
    from sekha._sync.memory import Memory, Turn

__all__ = [
    "AsyncMemory",
    "AsyncTurn",
    "Memory",
    "OnError",
    "Recalled",
    "Scope",
    "ToolResult",
    "Turn",
    "with_block",
]

_LATE = {
    "AsyncMemory": "sekha._async.memory",
    "AsyncTurn": "sekha._async.memory",
    "Memory": "sekha._sync.memory",
    "OnError": "sekha._api.recalled",
    "Recalled": "sekha._api.recalled",
    "Scope": "sekha._api.scopes",
    "ToolResult": "sekha._api.recalled",
    "Turn": "sekha._sync.memory",
    "with_block": "sekha._api.turns",
}
"""Names that are imported on first use, since most programs use one client type, each with its module."""

if not TYPE_CHECKING:  # type checkers see the imports above, and report names that do not exist

    def __getattr__(name: str) -> object:
        return load_late(__name__, name, _LATE)


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
