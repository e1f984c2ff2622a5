"""What differs between the two majors of the official SDK, and all that imports its types.

Version 2 takes handlers of `(context, parameters)` and sends dictionaries; version 1 has a public table of handlers by
the type of the request, and sends models. Both read and write what the protocol has, so `MemoryServer` knows neither.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Any

import mcp.types as types
from mcp.server.lowlevel import Server

from sekha._version import __version__

from .server import NAME, TITLE, MemoryServer, Refused

MAJOR = int(version("mcp").partition(".")[0])
"""The major version of the SDK."""

Handler = Callable[[Any], Awaitable["dict[str, Any]"]]

_CACHEABLE = ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read")
"""Requests whose results say how long a client may keep them: not at all, since another start has other options."""

_INVALID_PARAMS = -32602
_INTERNAL_ERROR = -32603


def make_server(memory: MemoryServer) -> Any:
    """Return the SDK's server, which gives each request to a method of `MemoryServer`."""
    handlers: Mapping[str, Handler] = {
        "list_tools": lambda _: memory.list_tools(),
        "call_tool": lambda params: memory.call_tool(params.name, params.arguments),
        "list_resources": lambda _: memory.list_resources(),
        "list_resource_templates": lambda _: memory.list_resource_templates(),
        "read_resource": lambda params: memory.read_resource(str(params.uri)),
        "list_prompts": lambda _: memory.list_prompts(),
        "get_prompt": lambda params: memory.get_prompt(params.name, params.arguments),
    }
    return (_server_of_v1 if MAJOR < 2 else _server_of_v2)(handlers, memory.instructions)


def _server_of_v2(handlers: Mapping[str, Handler], instructions: str) -> Any:
    from mcp.server.caching import CacheHint

    def of_context(handle: Handler) -> Callable[[Any, Any], Awaitable[dict[str, Any]]]:
        async def handler(context: object, params: Any) -> dict[str, Any]:
            # The protocol 2026-07-28 wants the kind of a result, and how long it may be kept; others get neither.
            return {"resultType": "complete", **await _with_protocol_errors(handle, params)}

        return handler

    on: Any = {f"on_{name}": of_context(handle) for name, handle in handlers.items()}
    hints: Any = dict.fromkeys(_CACHEABLE, CacheHint())
    return Server(NAME, version=__version__, title=TITLE, instructions=instructions, cache_hints=hints, **on)


def _server_of_v1(handlers: Mapping[str, Handler], instructions: str) -> Any:
    module: Any = types
    _show_caught_warnings()
    server: Any = Server(NAME, version=__version__, instructions=instructions)

    def of_request(handle: Handler, result: Any) -> Callable[[Any], Awaitable[Any]]:
        async def handler(request: Any) -> Any:
            return module.ServerResult(result.model_validate(await _with_protocol_errors(handle, request.params)))

        return handler

    for name, handle in handlers.items():
        words = "".join(word.capitalize() for word in name.split("_"))
        server.request_handlers[getattr(module, f"{words}Request")] = of_request(
            handle, getattr(module, f"{words}Result")
        )
    return server


async def _with_protocol_errors(handle: Handler, params: object) -> dict[str, Any]:
    try:
        return await handle(params)
    except Refused as refused:
        raise _protocol_error(refused) from None


def _protocol_error(refused: Refused) -> Exception:
    """Return the exception that the SDK answers with an error of the protocol."""
    import mcp.shared.exceptions as exceptions

    module: Any = exceptions
    code = _INVALID_PARAMS if refused.is_invalid else _INTERNAL_ERROR
    if MAJOR < 2:
        found: Exception = module.McpError(types.ErrorData(code=code, message=str(refused), data=refused.data))
        return found
    error: Exception = module.MCPError(code, str(refused), refused.data)
    return error


def _show_caught_warnings() -> None:
    """Let the warnings be seen that version 1 catches in every request: it logs them at a level that nobody sees."""
    logger = logging.getLogger("mcp.server.lowlevel.server")
    logger.setLevel(logging.INFO)
    logger.addFilter(lambda record: record.levelno > logging.INFO or str(record.msg).startswith("Warning: "))
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    logger.propagate = False
