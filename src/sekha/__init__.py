"""The Python client for Sekha, a self-hosted memory for AI applications.

`SekhaClient` is synchronous, `AsyncSekhaClient` asynchronous (asyncio or trio). Both have the same ``controller``,
``bridge`` and ``mcp`` clients and the same workflows.
"""

from importlib import import_module
from typing import TYPE_CHECKING, List

from sekha._version import __version__
from sekha.config import ClientConfig, SekhaConfig
from sekha.errors import (
    SekhaAPIError,
    SekhaAuthError,
    SekhaClosedError,
    SekhaConfigError,
    SekhaConflictError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaInUseError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaStreamError,
    SekhaTimeoutError,
    SekhaValidationError,
    SekhaWarning,
)
from sekha.events import RequestEvent, ResponseEvent, RetryEvent, WaitEvent

if TYPE_CHECKING:
    from sekha import type_guards as type_guards
    from sekha import types as types
    from sekha._async.bridge import AsyncBridgeClient
    from sekha._async.client import AsyncSekhaClient, create_async_sekha_client
    from sekha._async.controller.client import AsyncMemoryController
    from sekha._async.mcp import AsyncMCPClient
    from sekha._async.stream import AsyncMemoryStream, AsyncStream
    from sekha._sync.bridge import BridgeClient
    from sekha._sync.client import SekhaClient, create_sekha_client
    from sekha._sync.controller.client import MemoryController
    from sekha._sync.mcp import MCPClient
    from sekha._sync.stream import MemoryStream, Stream

__all__ = [
    "AsyncBridgeClient",
    "AsyncMCPClient",
    "AsyncMemoryController",
    "AsyncMemoryStream",
    "AsyncSekhaClient",
    "AsyncStream",
    "BridgeClient",
    "ClientConfig",
    "MCPClient",
    "MemoryController",
    "MemoryStream",
    "RequestEvent",
    "ResponseEvent",
    "RetryEvent",
    "SekhaAPIError",
    "SekhaAuthError",
    "SekhaClient",
    "SekhaClosedError",
    "SekhaConfig",
    "SekhaConfigError",
    "SekhaConflictError",
    "SekhaConnectionError",
    "SekhaDecodeError",
    "SekhaError",
    "SekhaInUseError",
    "SekhaNotFoundError",
    "SekhaPermissionError",
    "SekhaRateLimitError",
    "SekhaServerError",
    "SekhaStreamError",
    "SekhaTimeoutError",
    "SekhaValidationError",
    "SekhaWarning",
    "Stream",
    "WaitEvent",
    "__version__",
    "create_async_sekha_client",
    "create_sekha_client",
]

_LATE = {
    "AsyncBridgeClient": "sekha._async.bridge",
    "AsyncMCPClient": "sekha._async.mcp",
    "AsyncMemoryController": "sekha._async.controller.client",
    "AsyncMemoryStream": "sekha._async.stream",
    "AsyncSekhaClient": "sekha._async.client",
    "AsyncStream": "sekha._async.stream",
    "BridgeClient": "sekha._sync.bridge",
    "MCPClient": "sekha._sync.mcp",
    "MemoryController": "sekha._sync.controller.client",
    "MemoryStream": "sekha._sync.stream",
    "SekhaClient": "sekha._sync.client",
    "Stream": "sekha._sync.stream",
    "create_async_sekha_client": "sekha._async.client",
    "create_sekha_client": "sekha._sync.client",
}
"""Names that are imported on first use, since most programs use one client type, each with its module."""

if not TYPE_CHECKING:  # type checkers see the imports above, and report names that do not exist

    def __getattr__(name: str) -> object:
        if name in ("type_guards", "types"):
            return import_module(f"sekha.{name}")
        from sekha._utils.public import load_late  # `import sekha` alone does not need it

        return load_late(__name__, name, _LATE)

    def __dir__() -> List[str]:
        return sorted({*(name for name in globals() if name.startswith("__")), *__all__, "type_guards", "types"})
