"""Clients: where settings come from, views, clients of one service, clients over an httpx client, closing."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from sekha import (
    AsyncBridgeClient,
    AsyncMCPClient,
    AsyncMemoryController,
    AsyncSekhaClient,
    SekhaClosedError,
    SekhaConfig,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaError,
    SekhaTimeoutError,
    create_async_sekha_client,
)
from sekha._concurrency.tasks import AsyncCall
from sekha.local import LocalSekha
from sekha.types import ClientConfig
from support import facts
from support.clock import FakeClock, give_clock
from support.facts import BRIDGE_KEY, ID, MCP_KEY, MESSAGES, REST_KEY
from support.replies import DONE, DROP, HANG, answer, chunked, delta, empty, tool
from support.server import FakeServer, eventually

from .conftest import MakeClient

QUERY, STATS = "POST /api/v1/query", "POST /mcp/tools/memory_stats"
FOUND = answer(facts.hits())
WHOLE = tool({**facts.STATS, "labels": [], "total_messages": 0})


def key_of(server: FakeServer) -> Any:
    """The authorization of the last request."""
    return server.seen[-1].headers.get("authorization")


# Settings


@pytest.mark.parametrize("cls", [AsyncSekhaClient, create_async_sekha_client])
async def test_settings_by_keyword_config_and_environment(
    cls: Any, server: FakeServer, bridge: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.always("GET /api/v1/conversations", answer(facts.rows()))
    bridge.always("GET /api/v1/tasks", answer([]))
    monkeypatch.setenv("SEKHA_CONTROLLER_URL", server.url)
    monkeypatch.setenv("SEKHA_BRIDGE_URL", bridge.url + "/")
    monkeypatch.setenv("SEKHA_API_KEY", "from-environment")
    monkeypatch.setenv("SEKHA_BRIDGE_API_KEY", "for-the-bridge")
    monkeypatch.setenv("SEKHA_MAX_RETRIES", "0")
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (None, {}, "from-environment"),
        (SekhaConfig(api_key="from-config"), {}, "from-config"),
        (SekhaConfig(api_key="from-config"), {"api_key": " from-argument "}, "from-argument"),
    ]
    for config, arguments, key in cases:
        async with cls(config, **arguments) as client:
            await client.controller.list_conversations()
            assert key_of(server) == f"Bearer {key}"
            await client.bridge.tasks()
            assert key_of(bridge) == "Bearer for-the-bridge"
            server.on(QUERY, DROP)
            with pytest.raises(SekhaConnectionError) as caught:
                await client.controller.query("x")
            assert caught.value.attempts == 1


async def test_settings_from_a_file(server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "sekha.env"
    file.write_text(f"SEKHA_CONTROLLER_URL={server.url}\nSEKHA_API_KEY='from-file'\n")
    server.on("GET /api/v1/conversations", answer(facts.rows()))
    async with AsyncSekhaClient(SekhaConfig.from_env(env_file=file)) as client:
        await client.controller.list_conversations()
    assert key_of(server) == "Bearer from-file"


@pytest.mark.promise("R14")
async def test_making_a_client_opens_nothing(make: MakeClient, server: FakeServer, bridge: FakeServer) -> None:
    for _ in range(10):
        make()
    assert server.connections == bridge.connections == 0


async def test_headers_go_with_every_request(make: MakeClient, server: FakeServer, bridge: FakeServer) -> None:
    client = make(headers={"X-Team": "Ada", "User-Agent": "mine/1.0"})
    server.on("GET /health", answer(facts.HEALTHY))
    bridge.on("GET /health", answer(facts.BRIDGE_HEALTHY))
    await client.controller.health()
    await client.bridge.health()
    for seen in (server.only, bridge.only):
        assert (seen.headers["x-team"], seen.headers["user-agent"]) == ("Ada", "mine/1.0")


# Views


@pytest.mark.promise("R13")
async def test_a_view_shares_connections_and_closes_nothing(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    await client.controller.health()
    async with client.with_options(timeout=5.0) as view:
        await view.controller.health()
    await client.controller.with_options(max_retries=0).aclose()
    await client.controller.aclose()
    await client.mcp.aclose()
    await client.controller.health()
    await view.controller.health()
    assert server.connections == 1
    await client.aclose()
    with pytest.raises(SekhaClosedError):
        await view.controller.health()


async def test_the_options_of_a_view_are_its_own(
    client: AsyncSekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    once = client.with_options(max_retries=0)
    twice = once.with_options(max_retries=1)
    for view, attempts in ((once, 1), (twice, 2), (client, 4), (once.controller, 1), (client.controller, 4)):
        server.on(QUERY, *[empty(502)] * attempts)
        controller: Any = getattr(view, "controller", view)
        with pytest.raises(SekhaError) as caught:
            await controller.query("x")
        assert caught.value.attempts == attempts


async def test_a_view_inherits_what_it_does_not_change(make: MakeClient, server: FakeServer) -> None:
    client = make(headers={"x-a": "1", "x-b": "2"}, max_retries=0)
    server.always("GET /health", answer(facts.HEALTHY))
    view = client.with_options(headers={"X-B": "3", "x-c": "4"})
    await view.with_options(timeout=1.0).controller.health()
    await client.controller.health()
    found = [{name: seen.headers.get(name) for name in ("x-a", "x-b", "x-c")} for seen in server.seen]
    assert found == [{"x-a": "1", "x-b": "3", "x-c": "4"}, {"x-a": "1", "x-b": "2", "x-c": None}]


async def test_the_keys_of_a_view_go_only_where_they_belong(
    make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    server.always(QUERY, FOUND)
    server.always(STATS, WHOLE)
    bridge.always("GET /api/v1/tasks", answer([]))

    async def keys(client: AsyncSekhaClient) -> list[Any]:
        await client.controller.query("x")
        rest = key_of(server)
        await client.mcp.memory_stats()
        tools = key_of(server)
        await client.bridge.tasks()
        return [rest, tools, key_of(bridge)]

    client = make()
    assert await keys(client) == [f"Bearer {key}" for key in (REST_KEY, MCP_KEY, BRIDGE_KEY)]
    assert await keys(client.with_options(api_key="new")) == ["Bearer new", f"Bearer {MCP_KEY}", f"Bearer {BRIDGE_KEY}"]
    other = client.with_options(mcp_api_key="new", bridge_api_key="newer")
    assert await keys(other) == [f"Bearer {REST_KEY}", "Bearer new", "Bearer newer"]
    plain = make(mcp_api_key=None, bridge_api_key=None)
    assert await keys(plain.with_options(api_key="new")) == ["Bearer new", "Bearer new", None]
    assert await keys(plain) == [f"Bearer {REST_KEY}", f"Bearer {REST_KEY}", None]
    await client.mcp.with_options(api_key="newest").memory_stats()
    assert key_of(server) == "Bearer newest"
    await client.bridge.with_options(api_key="newest").tasks()
    assert key_of(bridge) == "Bearer newest"


async def test_views_share_the_limiter(make: MakeClient, server: FakeServer, clock: FakeClock) -> None:
    client = make(rate_limit_requests=2, rate_limit_window=10.0)
    server.always("GET /health", answer(facts.HEALTHY))
    server.always(STATS, WHOLE)
    before = clock.now()
    await client.controller.health()  # counts, but does not wait
    await client.with_options(timeout=1.0).mcp.memory_stats()
    await client.with_options(max_retries=0).controller.health()
    assert clock.waits == []
    await client.with_options(max_retries=0).mcp.memory_stats()
    assert clock.now() - before == pytest.approx(10.0)


# Clients of one service


@pytest.fixture
async def controller(server: FakeServer) -> AsyncIterator[AsyncMemoryController]:
    async with AsyncMemoryController(base_url=server.url, api_key=REST_KEY, mcp_api_key=MCP_KEY) as controller:
        yield controller


async def test_a_controller_alone(controller: AsyncMemoryController, server: FakeServer) -> None:
    server.on("POST /mcp/tools/memory_store", tool(facts.STORED))
    server.on(f"GET /api/v1/conversations/{ID}", answer(facts.READ))
    made = await controller.create_conversation(messages=MESSAGES, importance_score=8)
    assert made["importance_score"] == 8
    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {MCP_KEY}", f"Bearer {REST_KEY}"]
    await controller.aclose()
    await controller.aclose()
    with pytest.raises(SekhaClosedError):
        await controller.health()


async def test_the_tools_alone(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.always(STATS, WHOLE)
    server.always(QUERY, FOUND)
    async with AsyncMCPClient(base_url=server.url, api_key=MCP_KEY) as mcp:
        await mcp.memory_stats()
    assert key_of(server) == f"Bearer {MCP_KEY}"
    monkeypatch.setenv("SEKHA_API_KEY", REST_KEY)
    async with AsyncMCPClient(base_url=server.url) as mcp:
        await mcp.memory_stats()
    assert key_of(server) == f"Bearer {REST_KEY}"
    monkeypatch.setenv("SEKHA_MCP_API_KEY", MCP_KEY)
    monkeypatch.setenv("SEKHA_CONTROLLER_URL", server.url)
    async with AsyncMCPClient() as mcp:
        await mcp.memory_stats()
    assert key_of(server) == f"Bearer {MCP_KEY}"


async def test_a_bridge_alone(bridge: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge.always("GET /api/v1/tasks", answer(["embedding"]))
    monkeypatch.setenv("SEKHA_API_KEY", REST_KEY)
    async with AsyncBridgeClient(base_url=bridge.url) as client:
        assert await client.tasks() == ["embedding"]
    assert key_of(bridge) is None
    async with AsyncBridgeClient(base_url=bridge.url, api_key=BRIDGE_KEY) as client:
        await client.tasks()
    assert key_of(bridge) == f"Bearer {BRIDGE_KEY}"


@pytest.mark.parametrize("cls", [AsyncMemoryController, AsyncMCPClient, AsyncBridgeClient])
async def test_a_client_config(cls: Any, server: FakeServer, clock: FakeClock) -> None:
    config = ClientConfig(
        base_url=server.url, api_key="from-config", max_retries=1, rate_limit_requests=3, rate_limit_window=10.0
    )
    calls: dict[Any, Any] = {
        AsyncMemoryController: ("query", QUERY, FOUND),
        AsyncMCPClient: ("memory_search", "POST /mcp/tools/memory_search", tool(facts.tool_hits())),
        AsyncBridgeClient: ("extract", "POST /api/v1/extract", answer({"entities": {}, "model": "m"})),
    }
    method, line, reply = calls[cls]
    server.on(line, empty(502), reply, reply, reply)
    arguments = [{"query": "x"}] if cls is AsyncMCPClient else ["x"]
    async with cls(config) as client:
        give_clock(client, clock)
        await getattr(client, method)(*arguments)
        assert key_of(server) == "Bearer from-config"
        await getattr(client, method)(*arguments)
        assert clock.waits == [0.5]
        await getattr(client, method)(*arguments)  # the fourth request of the window
        assert sum(clock.waits) >= 10.0
    async with cls(config, api_key="from-argument", max_retries=0) as client:
        give_clock(client, clock)
        server.on(line, empty(502))
        with pytest.raises(SekhaError) as caught:
            await getattr(client, method)(*arguments)
        assert caught.value.attempts == 1
        assert key_of(server) == "Bearer from-argument"


async def test_another_config_is_refused(server: FakeServer) -> None:
    wrong: Any = SekhaConfig(controller_url=server.url, api_key="k")
    for cls in (AsyncMemoryController, AsyncMCPClient, AsyncBridgeClient):
        with pytest.raises(SekhaConfigError, match="a ClientConfig is required"):
            cls(wrong)
    other: Any = ClientConfig(base_url=server.url, api_key="k")
    with pytest.raises(SekhaConfigError, match="a SekhaConfig is required"):
        AsyncSekhaClient(other)


async def test_a_client_of_one_service_on_a_local_sekha(sekha: LocalSekha) -> None:
    async with AsyncMemoryController(base_url=sekha.controller_url, api_key=sekha.api_key) as controller:
        made = await controller.create_conversation(messages=MESSAGES, importance_score=7)
    async with AsyncMCPClient(base_url=sekha.controller_url, api_key=sekha.api_key) as mcp:
        assert (await mcp.memory_get_context(made["id"]))["importance_score"] == 7
    async with AsyncBridgeClient(base_url=sekha.bridge_url) as bridge:
        assert (await bridge.health())["status"] == "healthy"


# A client of the user's


@pytest.mark.promise("R13")
async def test_a_lent_client_sends_and_stays_open(server: FakeServer, bridge: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    bridge.on("POST /v1/chat/completions", chunked(delta("Hi"), DONE))
    async with httpx.AsyncClient(headers={"x-mine": "1"}) as lent:
        client = AsyncSekhaClient(
            controller_url=server.url, bridge_url=bridge.url, api_key=REST_KEY, http_client=lent, timeout=7.0
        )
        await client.controller.health()
        stream = await client.bridge.stream_complete(MESSAGES)
        assert await stream.get_final_text() == "Hi"
        await client.aclose()
        assert not lent.is_closed
        with pytest.raises(SekhaClosedError):
            await client.controller.health()
        async with AsyncMemoryController(base_url=server.url, api_key=REST_KEY, http_client=lent) as controller:
            await controller.health()
        assert not lent.is_closed
    assert [seen.headers["x-mine"] for seen in server.seen] == ["1", "1"]
    assert server.seen[0].headers["authorization"] == f"Bearer {REST_KEY}"
    assert server.seen[0].headers["user-agent"].startswith("sekha-python-sdk/")


async def test_cookies_are_kept_by_a_lent_client_alone(make: MakeClient, server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY, set_cookie="balancer=1; Path=/"))
    async with httpx.AsyncClient() as lent:
        for options in ({}, {"proxy": server.url}, {"http_client": lent}):
            client = make(**options)
            for _ in range(2):
                await client.controller.health()
    assert [seen.headers.get("cookie") for seen in server.seen] == [None] * 5 + ["balancer=1"]


async def test_a_lent_client_that_was_closed_is_our_error(server: FakeServer) -> None:
    lent = httpx.AsyncClient()
    await lent.aclose()
    client = AsyncSekhaClient(controller_url=server.url, api_key=REST_KEY, http_client=lent)
    with pytest.raises(SekhaClosedError) as caught:
        await client.controller.query("x")
    assert caught.value.sent is False
    await client.aclose()


@pytest.mark.parametrize(
    "option", [{"verify": True}, {"verify": False}, {"cert": "c.pem"}, {"proxy": "http://p"}, {"trust_env": False}]
)
async def test_a_lent_client_cannot_be_combined(option: Any) -> None:
    (name,) = option
    async with httpx.AsyncClient() as lent:
        with pytest.raises(SekhaConfigError, match=f"http_client cannot be combined with {name}"):
            AsyncSekhaClient(controller_url="http://x", api_key="k", http_client=lent, **option)
        for cls in (AsyncMemoryController, AsyncMCPClient, AsyncBridgeClient):
            with pytest.raises(SekhaConfigError, match=name):
                cls(base_url="http://x", api_key="k", http_client=lent, **option)


async def test_a_stream_of_a_mock_is_read_or_left() -> None:
    """Its whole text is there from the beginning; what httpx iterates with must come to its end all the same."""
    events = delta("He") + delta("llo", "stop") + DONE

    def mocked(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=events)

    async with httpx.AsyncClient(transport=httpx.MockTransport(mocked)) as lent:
        async with AsyncBridgeClient(base_url="http://x.test", http_client=lent) as client:
            assert await (await client.stream_complete(MESSAGES)).get_final_text() == "Hello"
            async with await client.stream_complete(MESSAGES) as stream:
                assert await stream.text_stream().__anext__() == "He"
    gc.collect()  # an event loop would warn now


def failing(error: Exception, seen: list[httpx.Request]) -> httpx.MockTransport:
    """A transport that fails with an error of httpx."""

    def fail(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        raise error

    return httpx.MockTransport(fail)


def httpx_errors() -> list[type[Exception]]:
    """Every error that httpx can raise while it sends."""
    found: list[type[Exception]] = []
    waiting: list[type[Exception]] = [httpx.TransportError, httpx.TooManyRedirects, httpx.DecodingError, OSError]
    while waiting:
        cls = waiting.pop()
        found.append(cls)
        waiting += [sub for sub in cls.__subclasses__() if sub.__module__.startswith("httpx")]
    return found


NEVER_SENT = {
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
    "LocalProtocolError",
}


@pytest.mark.promise("C4")
@pytest.mark.parametrize("cls", httpx_errors())
async def test_every_error_of_the_network_becomes_ours(cls: type[Exception], clock: FakeClock) -> None:
    error = cls("it broke")
    seen: list[httpx.Request] = []
    async with httpx.AsyncClient(transport=cast(Any, failing(error, seen))) as lent:
        client = AsyncSekhaClient(controller_url="http://x.test:81", api_key=REST_KEY, max_retries=2, http_client=lent)
        give_clock(client, clock)
        with pytest.raises(SekhaConnectionError) as caught:
            await client.controller.create_conversation(messages=MESSAGES)
        never = cls.__name__ in NEVER_SENT
        assert len(seen) == caught.value.attempts == (3 if never else 1)
        assert (caught.value.sent, caught.value.may_have_been_applied) == (not never, not never)
        assert isinstance(caught.value, SekhaTimeoutError) == issubclass(cls, httpx.TimeoutException)
        assert caught.value.__cause__ is error
        assert "x.test:81" in str(caught.value)
        seen.clear()
        with pytest.raises(SekhaConnectionError):
            await client.controller.query("x")
        assert len(seen) == 3


# Closing


@pytest.mark.promise("R13")
async def test_closing_closes_every_connection(make: MakeClient, server: FakeServer, bridge: FakeServer) -> None:
    client = make()
    server.on("GET /health", answer(facts.HEALTHY))
    bridge.on("GET /health", answer(facts.BRIDGE_HEALTHY))
    await client.controller.health()
    await client.bridge.health()
    assert server.open_connections == bridge.open_connections == 1
    for _ in range(2):
        await client.aclose()
    eventually(lambda: server.open_connections == bridge.open_connections == 0)
    calls: list[AsyncCall[[], Any]] = [
        client.controller.health,
        client.bridge.health,
        client.mcp.memory_stats,
        lambda: client.controller.create_conversation(messages=MESSAGES),
        lambda: client.bridge.stream_complete(MESSAGES),
        client.with_options(max_retries=1).controller.health,
    ]
    for call in calls:
        with pytest.raises(SekhaClosedError) as caught:
            await call()
        assert (caught.value.sent, caught.value.may_have_been_applied) == (False, False)
    assert len(server.seen) == len(bridge.seen) == 1


@pytest.mark.promise("R13")
async def test_leaving_with_closes_even_after_an_error(server: FakeServer) -> None:
    server.on("GET /health", answer(facts.HEALTHY))
    with pytest.raises(ZeroDivisionError):
        await leave_by_an_error(server)
    eventually(lambda: server.open_connections == 0)


async def leave_by_an_error(server: FakeServer) -> None:
    """Use a client, and fail inside its block."""
    async with AsyncSekhaClient(controller_url=server.url, api_key="k") as client:
        await client.controller.health()
        raise ZeroDivisionError


@pytest.mark.promise("R13")
async def test_a_client_that_was_never_used_can_be_closed(make: MakeClient) -> None:
    await make().aclose()


async def test_a_connection_is_given_up_after_a_timeout(make: MakeClient, server: FakeServer) -> None:
    client = make(max_connections=1, max_retries=0, timeout=0.5)
    server.on(QUERY, HANG, FOUND)
    with pytest.raises(SekhaTimeoutError):
        await client.controller.query("x")
    await client.with_options(timeout=30.0).controller.query("x")
    assert [seen.connection for seen in server.seen] == [1, 2]


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", None])
async def test_a_client_with_a_proxy_is_closed_whether_it_was_used_or_not(
    proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if proxy is None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for used in (False, True):
        async with AsyncSekhaClient(
            controller_url="http://sekha.test", api_key=REST_KEY, proxy=proxy, max_retries=0
        ) as client:
            if used:
                with pytest.raises(SekhaConnectionError) as caught:
                    await client.controller.health()
                assert caught.value.sent is False
        with pytest.raises(SekhaClosedError):
            await client.controller.health()
