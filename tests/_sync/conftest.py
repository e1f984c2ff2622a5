# Generated from tests/_async/conftest.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Clients for the tests of this flavour."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

import pytest

from sekha import SekhaClient
from sekha.local import LocalSekha
from support.clock import FakeClock, give_clock
from support.facts import BRIDGE_KEY, MCP_KEY, REST_KEY
from support.server import FakeServer

MakeClient = Callable[..., SekhaClient]


@pytest.fixture
def make(server: FakeServer, bridge: FakeServer, clock: FakeClock) -> Iterator[MakeClient]:
    """Makes clients of the fake servers that read the fake clock; they are closed in the end."""
    made: list[SekhaClient] = []

    def make(**options: Any) -> SekhaClient:
        settings = {
            "controller_url": server.url,
            "bridge_url": bridge.url,
            "api_key": REST_KEY,
            "mcp_api_key": MCP_KEY,
            "bridge_api_key": BRIDGE_KEY,
            **options,
        }
        client = SekhaClient(**settings)
        give_clock(client, clock)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make: MakeClient) -> SekhaClient:
    """A client of the fake servers."""
    return make()


@pytest.fixture
def local(sekha: LocalSekha) -> Iterator[SekhaClient]:
    """A client of an empty local Sekha."""
    with SekhaClient(**sekha.options) as client:
        yield client


@pytest.fixture
def real(sekha_0_1: LocalSekha) -> Iterator[SekhaClient]:
    """A client of an empty local Sekha that makes the mistakes of the controller 0.1 and the bridge 0.2."""
    with SekhaClient(**sekha_0_1.options, max_retries=0) as client:
        yield client
