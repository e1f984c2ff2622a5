"""What one flavour says about the other, and clients of the wrong one."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Tuple

import httpx
import pytest

import sekha
from sekha import AsyncSekhaClient, SekhaClient, SekhaConfigError
from support import facts
from support.facts import MESSAGES
from support.replies import DONE, answer, chunked, delta
from support.server import FakeServer

NAMES = ("SekhaClient", "MemoryController", "BridgeClient", "MCPClient")
BLOCKING_ONLY = ("__iter__", "__next__", "__enter__", "__exit__")
ASYNC_ONLY = ("__aiter__", "__anext__", "__aenter__", "__aexit__")


def pair(name: str, url: str) -> Tuple[Any, Any]:
    """A blocking client and the one that is awaited."""
    address = "controller_url" if name == "SekhaClient" else "base_url"
    made = [getattr(sekha, prefix + name)(**{address: url, "api_key": "k"}) for prefix in ("", "Async")]
    return made[0], made[1]


@pytest.mark.parametrize("name", NAMES)
async def test_the_wrong_with_names_the_other_flavour(name: str) -> None:
    blocking, awaited = pair(name, "http://127.0.0.1:9")
    with pytest.raises(TypeError, match=f"^{name} requires `with`; for `async with`, use Async{name}"):
        async with blocking:
            pass
    with pytest.raises(TypeError, match=f"^Async{name} requires `async with`; for `with`, use {name}"):
        with awaited:
            pass


@pytest.mark.promise("W10")
@pytest.mark.parametrize("name", NAMES)
def test_a_client_is_a_context_manager_of_its_own_flavour_only(name: str) -> None:
    blocking, awaited = pair(name, "http://127.0.0.1:9")
    for one, is_async in ((blocking, False), (awaited, True)):
        assert isinstance(one, AbstractAsyncContextManager) is hasattr(one, "__aenter__") is is_async
        assert isinstance(one, AbstractContextManager) is hasattr(one, "__enter__") is not is_async


@pytest.mark.promise("W10")
async def test_what_is_iterated_has_no_special_method_of_the_other_flavour(
    server: FakeServer, bridge: FakeServer
) -> None:
    """Frameworks decide by `isinstance`, and that looks only whether the name is there."""
    options: Any = {"controller_url": server.url, "bridge_url": bridge.url, "api_key": "k"}
    bridge.on("POST /v1/chat/completions", *[chunked(delta("Hi"), DONE)] * 2)
    with SekhaClient(**options) as client, client.bridge.stream_complete(MESSAGES) as stream:
        for one in (stream, stream.text_stream(), client.controller.iter_conversations()):
            assert isinstance(one, Iterator)
            assert not isinstance(one, (AsyncIterable, AbstractAsyncContextManager))
            assert {"aclose", *ASYNC_ONLY}.isdisjoint(dir(one))
            assert isinstance(one, AbstractContextManager) is (one is stream)
    async with AsyncSekhaClient(**options) as awaited:
        async with await awaited.bridge.stream_complete(MESSAGES) as other:
            for another in (other, other.text_stream(), awaited.controller.iter_conversations()):
                assert isinstance(another, AsyncIterator)
                assert not isinstance(another, (Iterable, AbstractContextManager))
                assert {"close", *BLOCKING_ONLY}.isdisjoint(dir(another))
                assert isinstance(another, AbstractAsyncContextManager) is (another is other)


async def test_close_can_be_awaited_by_either_name(server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    for name in ("close", "aclose"):
        client = AsyncSekhaClient(controller_url=server.url, api_key="k")
        await client.controller.health()
        await getattr(client, name)()
        with pytest.raises(sekha.SekhaClosedError):
            await client.controller.health()


async def test_an_http_client_of_the_wrong_flavour_is_refused() -> None:
    with httpx.Client() as blocking:
        async with httpx.AsyncClient() as awaited:
            for name in NAMES:
                address = "controller_url" if name == "SekhaClient" else "base_url"
                options: Any = {address: "http://127.0.0.1:9", "api_key": "k"}
                with pytest.raises(SekhaConfigError, match=r"http_client: .*AsyncClient") as caught:
                    getattr(sekha, "Async" + name)(**options, http_client=blocking)
                assert caught.value.sent is False
                with pytest.raises(SekhaConfigError, match="http_client"):
                    getattr(sekha, name)(**options, http_client=awaited)
                with pytest.raises(SekhaConfigError, match="http_client"):
                    getattr(sekha, name)(**options, http_client="http://p")


@pytest.mark.promise("E4")
async def test_a_blocking_client_works_inside_a_running_loop(server: FakeServer) -> None:
    server.always("POST /mcp/tools/memory_stats", answer(facts.STATS))
    server.always("GET /health", answer(facts.HEALTHY))
    server.always("GET /api/v1/conversations", answer(facts.rows()))
    with SekhaClient(controller_url=server.url, api_key="k") as client:
        assert client.controller.health()["status"] == "healthy"
        assert client.health_check()["controller"]["status"] == "healthy"
