"""The Python client for Sekha, a self-hosted memory for AI applications.

`SekhaClient` blocks, `AsyncSekhaClient` is awaited on asyncio or trio; both have the same ``controller``, ``bridge``
and ``mcp``, and the same workflows.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, List

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
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaStreamError,
    SekhaTimeoutError,
    SekhaValidationError,
    SekhaWarning,
)
from sekha.events import RequestEvent, ResponseEvent, RetryEvent

if TYPE_CHECKING:
    from sekha._async.bridge import AsyncBridgeClient
    from sekha._async.client import AsyncSekhaClient, create_async_sekha_client
    from sekha._async.controller import AsyncMemoryController
    from sekha._async.mcp import AsyncMCPClient
    from sekha._async.stream import AsyncStream
    from sekha._sync.bridge import BridgeClient
    from sekha._sync.client import SekhaClient, create_sekha_client
    from sekha._sync.controller import MemoryController
    from sekha._sync.mcp import MCPClient
    from sekha._sync.stream import Stream

__all__ = [
    "AsyncBridgeClient",
    "AsyncMCPClient",
    "AsyncMemoryController",
    "AsyncSekhaClient",
    "AsyncStream",
    "BridgeClient",
    "ClientConfig",
    "MCPClient",
    "MemoryController",
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
    "SekhaNotFoundError",
    "SekhaPermissionError",
    "SekhaRateLimitError",
    "SekhaServerError",
    "SekhaStreamError",
    "SekhaTimeoutError",
    "SekhaValidationError",
    "SekhaWarning",
    "Stream",
    "__version__",
    "create_async_sekha_client",
    "create_sekha_client",
]

_FLAVOURS = {
    "sekha._async.bridge": ("AsyncBridgeClient",),
    "sekha._async.client": ("AsyncSekhaClient", "create_async_sekha_client"),
    "sekha._async.controller": ("AsyncMemoryController",),
    "sekha._async.mcp": ("AsyncMCPClient",),
    "sekha._async.stream": ("AsyncStream",),
    "sekha._sync.bridge": ("BridgeClient",),
    "sekha._sync.client": ("SekhaClient", "create_sekha_client"),
    "sekha._sync.controller": ("MemoryController",),
    "sekha._sync.mcp": ("MCPClient",),
    "sekha._sync.stream": ("Stream",),
}
_MODULES = {name: module for module, names in _FLAVOURS.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a flavour when it is first asked for: most programs use one."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
