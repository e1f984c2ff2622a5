"""A client, and whatever has its connections, is never pickled or copied: the same words at any time."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sekha import AsyncBridgeClient, AsyncMCPClient, AsyncMemoryController, AsyncSekhaClient, SekhaConfig
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha
from sekha.types import ClientConfig
from support import facts
from support.replies import DONE, answer, chunked, delta, tool
from support.server import FakeServer

from .conftest import MakeClient

DUPLICATES: list[Callable[[Any], Any]] = [
    *(partial(pickle.dumps, protocol=protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
    copy.copy,
    copy.deepcopy,
]


def refuses(thing: object) -> None:
    """Check that a thing can be neither pickled nor copied, alone or in another object."""
    words = (
        f"{type(thing).__name__} cannot be pickled or copied, since its connections belong to this process; "
        "pass a SekhaConfig and create a client in each process"
    )
    for duplicate in DUPLICATES:
        for one in (thing, [thing]) if duplicate is not copy.copy else [thing]:
            with pytest.raises(TypeError) as raised:
                duplicate(one)
            assert str(raised.value) == words


async def test_a_client_is_refused_before_its_first_call_and_after_it(
    make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    server.always("GET /api/v1/conversations/count", answer({"count": 3}))
    server.on("POST /mcp/tools/memory_get_context", tool(facts.CONTEXT))
    bridge.on("POST /embed", answer(facts.EMBEDDING))
    client = make()
    things = [client, client.controller, client.bridge, client.mcp]
    things += [client.with_options(max_retries=0), client.controller.with_options(timeout=5.0)]
    for thing in things:
        refuses(thing)
    await client.controller.count_conversations()
    await client.mcp.memory_get_context(facts.ID)
    await client.bridge.embed("Hello")
    for thing in things:
        refuses(thing)
    await client.aclose()
    for thing in things:
        refuses(thing)


async def test_so_are_clients_of_one_service(server: FakeServer) -> None:
    server.on("GET /health", answer(facts.HEALTHY))
    config = ClientConfig(server.url, facts.MCP_KEY)
    async with AsyncMemoryController(config) as controller:
        refuses(controller)
        await controller.health()
        refuses(controller)
    async with AsyncMCPClient(config) as mcp, AsyncBridgeClient(config) as bridge_client:
        refuses(mcp)
        refuses(bridge_client)


async def test_so_are_streams_and_iterators(client: AsyncSekhaClient, server: FakeServer, bridge: FakeServer) -> None:
    bridge.on("POST /v1/chat/completions", chunked(delta("Once "), delta("more.", "stop"), DONE))
    server.on("GET /api/v1/conversations", answer(facts.rows(facts.row())))
    stream = await client.bridge.stream_complete(facts.MESSAGES)
    texts = stream.text_stream()
    refuses(stream)
    refuses(texts)
    assert [text async for text in texts] == ["Once ", "more."]
    refuses(stream)
    rows = client.controller.iter_conversations()
    refuses(rows)
    assert [row["label"] async for row in rows] == ["Hello Sekha!"]
    refuses(rows)


async def test_methods_take_their_client_along(client: AsyncSekhaClient) -> None:
    for bound in (client.controller.query, partial(client.bridge.complete, facts.MESSAGES)):
        with pytest.raises(TypeError, match=r"^AsyncMemoryController cannot be pickled|^AsyncBridgeClient cannot be"):
            pickle.dumps(bound)


def test_servers_for_tests_are_refused_before_they_start_and_after_it(sekha: LocalSekha) -> None:
    for thing in (sekha, LocalSekha(), ScriptedSekha()):
        refuses(thing)


async def test_nothing_of_a_key_is_in_a_pickle_of_what_a_client_consists_of(client: AsyncSekhaClient) -> None:
    for secret in client._controller_transport._keys.values():
        with pytest.raises(TypeError, match=r"^(mcp_)?api_key cannot be pickled or copied$"):
            pickle.dumps(secret)


class ShippedClient(AsyncSekhaClient):
    """A client of a user who knows how to make it again."""

    def __init__(self, config: SekhaConfig) -> None:
        super().__init__(config)
        self.config = config

    def __reduce__(self) -> Any:
        return type(self), (self.config.with_secrets(),)


async def test_a_subclass_may_say_how_it_is_made_again(server: FakeServer) -> None:
    server.on("GET /health", answer(facts.HEALTHY), answer(facts.HEALTHY))
    async with ShippedClient(SekhaConfig(controller_url=server.url, api_key=facts.REST_KEY)) as client:
        await client.controller.health()
        async with pickle.loads(pickle.dumps(client)) as shipped:
            await shipped.controller.health()
        view = client.with_options(max_retries=0)
        assert (type(view), view.config) == (ShippedClient, client.config)
        refuses(client.controller)
    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {facts.REST_KEY}"] * 2
