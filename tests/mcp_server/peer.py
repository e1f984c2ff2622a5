"""A client of the SDK that is connected to the server, and what comes in the words of the protocol."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, AsyncIterator, Dict, List, Optional, Sequence

import anyio
import pytest

from sekha import AsyncSekhaClient
from sekha.mcp_server.options import ServerOptions
from sekha.mcp_server.server import MemoryServer
from support.packages import require_packages

if sys.version_info < (3, 10):
    pytest.skip("no version of the package mcp runs on this Python", allow_module_level=True)
require_packages("mcp", "mcp")

from mcp import ClientSession  # noqa: E402 - only where it is installed
from mcp.shared.memory import create_client_server_memory_streams  # noqa: E402 - as above

from sekha.mcp_server.sdk import MAJOR, make_server  # noqa: E402 - as above

UNKNOWN = "11111111-2222-4333-8444-555555555555"
ALL_TOOLS = [
    "memory_search",
    "memory_get_context",
    "memory_store",
    "memory_update",
    "memory_prune",
    "memory_export",
    "memory_stats",
]


def plain(result: Any) -> Dict[str, Any]:
    """A result of either major of the SDK in the words of the protocol."""
    found: Dict[str, Any] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return found


class Peer:
    """A connected client.

    Args:
        session: The session of the SDK.
        memory: What answers, where it runs in this process.
    """

    def __init__(self, session: Any, memory: Optional[MemoryServer] = None) -> None:
        self.session = session
        self.memory = memory

    async def tools(self) -> Dict[str, Any]:
        """The tools by their names."""
        listed = plain(await self.session.list_tools())["tools"]
        return {tool["name"]: tool for tool in listed}

    async def call(self, tool: str, **arguments: Any) -> Dict[str, Any]:
        """Call a tool."""
        return plain(await self.session.call_tool(tool, arguments))

    async def data(self, tool: str, **arguments: Any) -> Any:
        """Call a tool; return its structured result."""
        result = await self.call(tool, **arguments)
        assert not result.get("isError"), result
        return result["structuredContent"]

    async def text(self, tool: str, **arguments: Any) -> str:
        """Call a tool; return its text."""
        result = await self.call(tool, **arguments)
        assert not result.get("isError"), result
        return text_of(result)

    async def error(self, tool: str, **arguments: Any) -> str:
        """Call a tool that fails; return what the model is told."""
        result = await self.call(tool, **arguments)
        assert result["isError"] is True, result
        assert "structuredContent" not in result
        return text_of(result)

    async def store(self, *texts: str, **arguments: Any) -> str:
        """Store messages of user and assistant in turns; return the id."""
        messages = [{"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(texts)]
        stored = await self.data("memory_store", messages=messages, **arguments)
        return str(stored["conversation_id"])

    async def export(self, id: str) -> List[Dict[str, Any]]:
        """All pages of a conversation."""
        pages = [await self.data("memory_export", conversation_id=id)]
        while pages[-1]["next_page"] is not None:
            pages.append(await self.data("memory_export", conversation_id=id, page=pages[-1]["next_page"]))
        return pages


def text_of(result: Dict[str, Any]) -> str:
    """The only text of a result."""
    [content] = result["content"]
    assert content["type"] == "text"
    return str(content["text"])


async def cancel_last_request(session: Any) -> None:
    """Tell the server that nobody waits for the last request; version 2 does so when its caller is cancelled."""
    if MAJOR == 1:
        types: Any = import_module("mcp.types")
        params = types.CancelledNotificationParams(requestId=session._request_id - 1)
        notification = types.CancelledNotification(method="notifications/cancelled", params=params)
        await session.send_notification(types.ClientNotification(notification))


@asynccontextmanager
async def connected(
    options: Any,
    *,
    folder: Optional[str] = None,
    read_only: bool = False,
    tools: Optional[Sequence[str]] = None,
    **settings: Any,
) -> AsyncIterator[Peer]:
    """A client that is connected to a server in this process."""
    chosen = ServerOptions(folder, read_only, tools)
    async with AsyncSekhaClient(**{**options, **settings}) as client:
        memory = MemoryServer(client if folder is None else client.in_folder(folder), chosen)
        server = make_server(memory)
        async with create_client_server_memory_streams() as (ours, theirs), anyio.create_task_group() as tasks:
            tasks.start_soon(server.run, *theirs, server.create_initialization_options())
            async with ClientSession(*ours) as session:
                await session.initialize()
                yield Peer(session, memory)
            tasks.cancel_scope.cancel()
