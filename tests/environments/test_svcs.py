"""svcs enters and leaves the clients that it hands out, each as what it is."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaClient, SekhaClosedError
from support import facts
from support.packages import require_packages
from support.replies import answer
from support.server import FakeServer

require_packages("environments", "svcs")
svcs = import_module("svcs")


@pytest.fixture
def registry(server: FakeServer) -> Any:
    registry = svcs.Registry()
    for client_type in (SekhaClient, AsyncSekhaClient):

        def factory(client_type: Any = client_type) -> Any:
            return client_type(controller_url=server.url, api_key="k")

        registry.register_factory(client_type, factory)
    server.on("GET /health", answer(facts.HEALTHY))
    return registry


@pytest.mark.promise("W10")
def test_get_gives_a_blocking_client(registry: Any) -> None:
    with svcs.Container(registry) as container:
        client = container.get(SekhaClient)
        assert client.controller.health()["status"] == "healthy"
    with pytest.raises(SekhaClosedError):
        client.controller.health()


@pytest.mark.promise("W10")
async def test_aget_gives_an_async_client(registry: Any) -> None:
    async with svcs.Container(registry) as container:
        client = await container.aget(AsyncSekhaClient)
        assert (await client.controller.health())["status"] == "healthy"
    with pytest.raises(SekhaClosedError):
        await client.controller.health()


async def test_aget_gives_a_blocking_client_too(registry: Any) -> None:
    async with svcs.Container(registry) as container:
        client = await container.aget(SekhaClient)
        assert client.controller.health()["status"] == "healthy"
    with pytest.raises(SekhaClosedError):
        client.controller.health()


def test_the_classes_are_factories_themselves(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.on("GET /health", answer(facts.HEALTHY))
    monkeypatch.setenv("SEKHA_CONTROLLER_URL", server.url)
    monkeypatch.setenv("SEKHA_API_KEY", "k")
    registry = svcs.Registry()
    registry.register_factory(SekhaClient, SekhaClient)
    with svcs.Container(registry) as container:
        assert container.get(SekhaClient).controller.health()["status"] == "healthy"
