"""Clients for the tests of this flavour."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Callable

import pytest

from sekha import AsyncSekhaClient
from sekha.local import LocalSekha
from support.clock import FakeClock, give_clock
from support.facts import BRIDGE_KEY, MCP_KEY, REST_KEY
from support.server import FakeServer

MakeClient = Callable[..., AsyncSekhaClient]


@pytest.fixture
async def make(server: FakeServer, bridge: FakeServer, clock: FakeClock) -> AsyncIterator[MakeClient]:
    """Makes clients of the fake servers that read the fake clock; they are closed in the end."""
    made: list[AsyncSekhaClient] = []

    def make(**options: Any) -> AsyncSekhaClient:
        settings = {
            "controller_url": server.url,
            "bridge_url": bridge.url,
            "api_key": REST_KEY,
            "mcp_api_key": MCP_KEY,
            "bridge_api_key": BRIDGE_KEY,
            **options,
        }
        client = AsyncSekhaClient(**settings)
        give_clock(client, clock)
        made.append(client)
        return client

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture
async def client(make: MakeClient) -> AsyncSekhaClient:
    """A client of the fake servers."""
    return make()


@pytest.fixture
async def local(sekha: LocalSekha) -> AsyncIterator[AsyncSekhaClient]:
    """A client of an empty local Sekha."""
    async with AsyncSekhaClient(**sekha.options) as client:
        yield client


@pytest.fixture
async def real(sekha_0_1: LocalSekha) -> AsyncIterator[AsyncSekhaClient]:
    """A client of an empty local Sekha that makes the mistakes of the controller 0.1 and the bridge 0.2."""
    async with AsyncSekhaClient(**sekha_0_1.options, max_retries=0) as client:
        yield client
