"""The life of a server: one client of the memory, one transport."""

from __future__ import annotations

import anyio

from sekha._async.client import AsyncSekhaClient
from sekha.config import SekhaConfig

from .http import HTTPOptions
from .options import ServerOptions
from .server import MemoryServer
from .stdio import Wire

DEADLINE = 50.0
"""Seconds that a call may take: clients of the protocol give up after 60, and would not know what became of it."""


def run_stdio(config: SekhaConfig, options: ServerOptions, wire: Wire) -> None:
    """Serve the client at stdin and stdout until it goes, or SIGTERM or SIGINT."""
    from .sdk import make_server
    from .stdio import serve_stdio

    async def main() -> None:
        async with _client(config) as client:
            memory = MemoryServer(_view(client, options), options)
            await serve_stdio(make_server(memory), memory, wire)

    anyio.run(main)


def run_http(config: SekhaConfig, options: ServerOptions, http: HTTPOptions) -> None:
    """Serve clients over HTTP until SIGTERM or SIGINT."""
    from .http import serve_http
    from .sdk import make_server

    async def main() -> None:
        async with _client(config) as client:
            memory = MemoryServer(_view(client, options), options)
            await serve_http(make_server(memory), http)

    anyio.run(main)


def _client(config: SekhaConfig) -> AsyncSekhaClient:
    return AsyncSekhaClient(config, deadline=DEADLINE)


def _view(client: AsyncSekhaClient, options: ServerOptions) -> AsyncSekhaClient:
    return client if options.folder is None else client.in_folder(options.folder)
