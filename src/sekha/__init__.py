"""The Python client for Sekha, a self-hosted memory for AI applications.

`SekhaClient` blocks, `AsyncSekhaClient` is awaited on asyncio or trio; both have the same ``controller``, ``bridge``
and ``mcp``, and the same workflows.
"""

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
