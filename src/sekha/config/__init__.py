"""Settings; in order of precedence: arguments, the config object, the environment, defaults.

| variable | setting |
|---|---|
| ``SEKHA_CONTROLLER_URL`` | ``controller_url`` |
| ``SEKHA_API_KEY`` | ``api_key`` |
| ``SEKHA_BRIDGE_URL`` | ``bridge_url`` |
| ``SEKHA_BRIDGE_API_KEY`` | ``bridge_api_key`` |
| ``SEKHA_MCP_API_KEY`` | ``mcp_api_key`` |
| ``SEKHA_TIMEOUT`` | ``timeout``, in seconds |
| ``SEKHA_MAX_RETRIES`` | ``max_retries`` |
| ``SEKHA_RATE_LIMIT_REQUESTS`` | ``rate_limit_requests``; ``none`` for no limit |
| ``SEKHA_RATE_LIMIT_WINDOW`` | ``rate_limit_window``, in seconds |
| ``SEKHA_WRITE_GATE`` | ``write_gate`` |
| ``SEKHA_PROXY`` | ``proxy``; ``none`` to connect directly |
"""

from typing import TYPE_CHECKING

from sekha.config._models import ClientConfig, SekhaConfig

if not TYPE_CHECKING:  # `typing.get_type_hints` evaluates the fields in the module that the classes name as theirs
    from sekha.config._models import (  # noqa: F401
        AsyncClientGate,
        AsyncHTTPClient,
        Callable,
        HTTPClient,
        Literal,
        Mapping,
        Optional,
        RequestEvent,
        ResponseEvent,
        RetryEvent,
        SSLContext,
        Union,
        WaitEvent,
    )

__all__ = ["ClientConfig", "SekhaConfig"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
