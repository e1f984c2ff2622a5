# Generated from tests/_async/test_clients.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Clients: where settings come from, views, clients of one service, clients over an httpx client, closing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from sekha import (
    BridgeClient,
    MCPClient,
    MemoryController,
    SekhaClient,
    SekhaClosedError,
    SekhaConfig,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaError,
    SekhaTimeoutError,
    create_sekha_client,
)
from sekha._concurrency.tasks import Call
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


@pytest.mark.parametrize("cls", [SekhaClient, create_sekha_client])
def test_settings_by_keyword_config_and_environment(
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
        with cls(config, **arguments) as client:
            client.controller.list_conversations()
            assert key_of(server) == f"Bearer {key}"
            client.bridge.tasks()
            assert key_of(bridge) == "Bearer for-the-bridge"
            server.on(QUERY, DROP)
            with pytest.raises(SekhaConnectionError) as caught:
                client.controller.query("x")
            assert caught.value.attempts == 1


def test_settings_from_a_file(server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "sekha.env"
    file.write_text(f"SEKHA_CONTROLLER_URL={server.url}\nSEKHA_API_KEY='from-file'\n")
    server.on("GET /api/v1/conversations", answer(facts.rows()))
    with SekhaClient(SekhaConfig.from_env(env_file=file)) as client:
        client.controller.list_conversations()
    assert key_of(server) == "Bearer from-file"


@pytest.mark.promise("R14")
def test_making_a_client_opens_nothing(make: MakeClient, server: FakeServer, bridge: FakeServer) -> None:
    for _ in range(10):
        make()
    assert server.connections == bridge.connections == 0


def test_headers_go_with_every_request(make: MakeClient, server: FakeServer, bridge: FakeServer) -> None:
    client = make(headers={"X-Team": "Ada", "User-Agent": "mine/1.0"})
    server.on("GET /health", answer(facts.HEALTHY))
    bridge.on("GET /health", answer(facts.BRIDGE_HEALTHY))
    client.controller.health()
    client.bridge.health()
    for seen in (server.only, bridge.only):
        assert (seen.headers["x-team"], seen.headers["user-agent"]) == ("Ada", "mine/1.0")


# Views


@pytest.mark.promise("R13")
def test_a_view_shares_connections_and_closes_nothing(client: SekhaClient, server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    client.controller.health()
    with client.with_options(timeout=5.0) as view:
        view.controller.health()
    client.controller.with_options(max_retries=0).close()
    client.controller.close()
    client.mcp.close()
    client.controller.health()
    view.controller.health()
    assert server.connections == 1
    client.close()
    with pytest.raises(SekhaClosedError):
        view.controller.health()


def test_the_options_of_a_view_are_its_own(
    client: SekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    once = client.with_options(max_retries=0)
    twice = once.with_options(max_retries=1)
    for view, attempts in ((once, 1), (twice, 2), (client, 4), (once.controller, 1), (client.controller, 4)):
        server.on(QUERY, *[empty(502)] * attempts)
        controller: Any = getattr(view, "controller", view)
        with pytest.raises(SekhaError) as caught:
            controller.query("x")
        assert caught.value.attempts == attempts


def test_a_view_inherits_what_it_does_not_change(make: MakeClient, server: FakeServer) -> None:
    client = make(headers={"x-a": "1", "x-b": "2"}, max_retries=0)
    server.always("GET /health", answer(facts.HEALTHY))
    view = client.with_options(headers={"X-B": "3", "x-c": "4"})
    view.with_options(timeout=1.0).controller.health()
    client.controller.health()
    found = [{name: seen.headers.get(name) for name in ("x-a", "x-b", "x-c")} for seen in server.seen]
    assert found == [{"x-a": "1", "x-b": "3", "x-c": "4"}, {"x-a": "1", "x-b": "2", "x-c": None}]


def test_the_keys_of_a_view_go_only_where_they_belong(
    make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    server.always(QUERY, FOUND)
    server.always(STATS, WHOLE)
    bridge.always("GET /api/v1/tasks", answer([]))

    def keys(client: SekhaClient) -> list[Any]:
        client.controller.query("x")
        rest = key_of(server)
        client.mcp.memory_stats()
        tools = key_of(server)
        client.bridge.tasks()
        return [rest, tools, key_of(bridge)]

    client = make()
    assert keys(client) == [f"Bearer {key}" for key in (REST_KEY, MCP_KEY, BRIDGE_KEY)]
    assert keys(client.with_options(api_key="new")) == ["Bearer new", f"Bearer {MCP_KEY}", f"Bearer {BRIDGE_KEY}"]
    other = client.with_options(mcp_api_key="new", bridge_api_key="newer")
    assert keys(other) == [f"Bearer {REST_KEY}", "Bearer new", "Bearer newer"]
    plain = make(mcp_api_key=None, bridge_api_key=None)
    assert keys(plain.with_options(api_key="new")) == ["Bearer new", "Bearer new", None]
    assert keys(plain) == [f"Bearer {REST_KEY}", f"Bearer {REST_KEY}", None]
    client.mcp.with_options(api_key="newest").memory_stats()
    assert key_of(server) == "Bearer newest"
    client.bridge.with_options(api_key="newest").tasks()
    assert key_of(bridge) == "Bearer newest"


def test_views_share_the_limiter(make: MakeClient, server: FakeServer, clock: FakeClock) -> None:
    client = make(rate_limit_requests=2, rate_limit_window=10.0)
    server.always("GET /health", answer(facts.HEALTHY))
    server.always(STATS, WHOLE)
    before = clock.now()
    client.controller.health()  # counts, but does not wait
    client.with_options(timeout=1.0).mcp.memory_stats()
    client.with_options(max_retries=0).controller.health()
    assert clock.waits == []
    client.with_options(max_retries=0).mcp.memory_stats()
    assert clock.now() - before == pytest.approx(10.0)


# Clients of one service


@pytest.fixture
def controller(server: FakeServer) -> Iterator[MemoryController]:
    with MemoryController(base_url=server.url, api_key=REST_KEY, mcp_api_key=MCP_KEY) as controller:
        yield controller


def test_a_controller_alone(controller: MemoryController, server: FakeServer) -> None:
    server.on("POST /mcp/tools/memory_store", tool(facts.STORED))
    server.on(f"GET /api/v1/conversations/{ID}", answer(facts.READ))
    made = controller.create_conversation(messages=MESSAGES, importance_score=8)
    assert made["importance_score"] == 8
    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {MCP_KEY}", f"Bearer {REST_KEY}"]
    controller.close()
    controller.close()
    with pytest.raises(SekhaClosedError):
        controller.health()


def test_the_tools_alone(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.always(STATS, WHOLE)
    server.always(QUERY, FOUND)
    with MCPClient(base_url=server.url, api_key=MCP_KEY) as mcp:
        mcp.memory_stats()
    assert key_of(server) == f"Bearer {MCP_KEY}"
    monkeypatch.setenv("SEKHA_API_KEY", REST_KEY)
    with MCPClient(base_url=server.url) as mcp:
        mcp.memory_stats()
    assert key_of(server) == f"Bearer {REST_KEY}"
    monkeypatch.setenv("SEKHA_MCP_API_KEY", MCP_KEY)
    monkeypatch.setenv("SEKHA_CONTROLLER_URL", server.url)
    with MCPClient() as mcp:
        mcp.memory_stats()
    assert key_of(server) == f"Bearer {MCP_KEY}"


def test_a_bridge_alone(bridge: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge.always("GET /api/v1/tasks", answer(["embedding"]))
    monkeypatch.setenv("SEKHA_API_KEY", REST_KEY)
    with BridgeClient(base_url=bridge.url) as client:
        assert client.tasks() == ["embedding"]
    assert key_of(bridge) is None
    with BridgeClient(base_url=bridge.url, api_key=BRIDGE_KEY) as client:
        client.tasks()
    assert key_of(bridge) == f"Bearer {BRIDGE_KEY}"


@pytest.mark.parametrize("cls", [MemoryController, MCPClient, BridgeClient])
def test_a_client_config(cls: Any, server: FakeServer, clock: FakeClock) -> None:
    config = ClientConfig(
        base_url=server.url, api_key="from-config", max_retries=1, rate_limit_requests=3, rate_limit_window=10.0
    )
    calls: dict[Any, Any] = {
        MemoryController: ("query", QUERY, FOUND),
        MCPClient: ("memory_search", "POST /mcp/tools/memory_search", tool(facts.tool_hits())),
        BridgeClient: ("extract", "POST /api/v1/extract", answer({"entities": {}, "model": "m"})),
    }
    method, line, reply = calls[cls]
    server.on(line, empty(502), reply, reply, reply)
    arguments = [{"query": "x"}] if cls is MCPClient else ["x"]
    with cls(config) as client:
        give_clock(client, clock)
        getattr(client, method)(*arguments)
        assert key_of(server) == "Bearer from-config"
        getattr(client, method)(*arguments)
        assert clock.waits == [0.5]
        getattr(client, method)(*arguments)  # the fourth request of the window
        assert sum(clock.waits) >= 10.0
    with cls(config, api_key="from-argument", max_retries=0) as client:
        give_clock(client, clock)
        server.on(line, empty(502))
        with pytest.raises(SekhaError) as caught:
            getattr(client, method)(*arguments)
        assert caught.value.attempts == 1
        assert key_of(server) == "Bearer from-argument"


def test_another_config_is_refused(server: FakeServer) -> None:
    wrong: Any = SekhaConfig(controller_url=server.url, api_key="k")
    for cls in (MemoryController, MCPClient, BridgeClient):
        with pytest.raises(SekhaConfigError, match="a ClientConfig is required"):
            cls(wrong)
    other: Any = ClientConfig(base_url=server.url, api_key="k")
    with pytest.raises(SekhaConfigError, match="a SekhaConfig is required"):
        SekhaClient(other)


def test_a_client_of_one_service_on_a_local_sekha(sekha: LocalSekha) -> None:
    with MemoryController(base_url=sekha.controller_url, api_key=sekha.api_key) as controller:
        made = controller.create_conversation(messages=MESSAGES, importance_score=7)
    with MCPClient(base_url=sekha.controller_url, api_key=sekha.api_key) as mcp:
        assert (mcp.memory_get_context(made["id"]))["importance_score"] == 7
    with BridgeClient(base_url=sekha.bridge_url) as bridge:
        assert (bridge.health())["status"] == "healthy"


# A client of the user's


@pytest.mark.promise("R13")
def test_a_lent_client_sends_and_stays_open(server: FakeServer, bridge: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    bridge.on("POST /v1/chat/completions", chunked(delta("Hi"), DONE))
    with httpx.Client(headers={"x-mine": "1"}) as lent:
        client = SekhaClient(
            controller_url=server.url, bridge_url=bridge.url, api_key=REST_KEY, http_client=lent, timeout=7.0
        )
        client.controller.health()
        stream = client.bridge.stream_complete(MESSAGES)
        assert stream.get_final_text() == "Hi"
        client.close()
        assert not lent.is_closed
        with pytest.raises(SekhaClosedError):
            client.controller.health()
        with MemoryController(base_url=server.url, api_key=REST_KEY, http_client=lent) as controller:
            controller.health()
        assert not lent.is_closed
    assert [seen.headers["x-mine"] for seen in server.seen] == ["1", "1"]
    assert server.seen[0].headers["authorization"] == f"Bearer {REST_KEY}"
    assert server.seen[0].headers["user-agent"].startswith("sekha-python-sdk/")


def test_cookies_are_kept_by_a_lent_client_alone(make: MakeClient, server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY, set_cookie="balancer=1; Path=/"))
    with httpx.Client() as lent:
        for options in ({}, {"proxy": server.url}, {"http_client": lent}):
            client = make(**options)
            for _ in range(2):
                client.controller.health()
    assert [seen.headers.get("cookie") for seen in server.seen] == [None] * 5 + ["balancer=1"]


def test_a_lent_client_that_was_closed_is_our_error(server: FakeServer) -> None:
    lent = httpx.Client()
    lent.close()
    client = SekhaClient(controller_url=server.url, api_key=REST_KEY, http_client=lent)
    with pytest.raises(SekhaClosedError) as caught:
        client.controller.query("x")
    assert caught.value.sent is False
    client.close()


@pytest.mark.parametrize(
    "option", [{"verify": True}, {"verify": False}, {"cert": "c.pem"}, {"proxy": "http://p"}, {"trust_env": False}]
)
def test_a_lent_client_cannot_be_combined(option: Any) -> None:
    (name,) = option
    with httpx.Client() as lent:
        with pytest.raises(SekhaConfigError, match=f"http_client cannot be combined with {name}"):
            SekhaClient(controller_url="http://x", api_key="k", http_client=lent, **option)
        for cls in (MemoryController, MCPClient, BridgeClient):
            with pytest.raises(SekhaConfigError, match=name):
                cls(base_url="http://x", api_key="k", http_client=lent, **option)


def test_a_stream_of_a_mock_is_read_or_left() -> None:
    """Its whole text is there from the beginning; what httpx iterates with must come to its end all the same."""
    events = delta("He") + delta("llo", "stop") + DONE

    def mocked(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=events)

    with httpx.Client(transport=httpx.MockTransport(mocked)) as lent:
        with BridgeClient(base_url="http://x.test", http_client=lent) as client:
            assert (client.stream_complete(MESSAGES)).get_final_text() == "Hello"
            with client.stream_complete(MESSAGES) as stream:
                assert stream.text_stream().__next__() == "He"
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
def test_every_error_of_the_network_becomes_ours(cls: type[Exception], clock: FakeClock) -> None:
    error = cls("it broke")
    seen: list[httpx.Request] = []
    with httpx.Client(transport=cast(Any, failing(error, seen))) as lent:
        client = SekhaClient(controller_url="http://x.test:81", api_key=REST_KEY, max_retries=2, http_client=lent)
        give_clock(client, clock)
        with pytest.raises(SekhaConnectionError) as caught:
            client.controller.create_conversation(messages=MESSAGES)
        never = cls.__name__ in NEVER_SENT
        assert len(seen) == caught.value.attempts == (3 if never else 1)
        assert (caught.value.sent, caught.value.may_have_been_applied) == (not never, not never)
        assert isinstance(caught.value, SekhaTimeoutError) == issubclass(cls, httpx.TimeoutException)
        assert caught.value.__cause__ is error
        assert "x.test:81" in str(caught.value)
        seen.clear()
        with pytest.raises(SekhaConnectionError):
            client.controller.query("x")
        assert len(seen) == 3


# Closing


@pytest.mark.promise("R13")
def test_closing_closes_every_connection(make: MakeClient, server: FakeServer, bridge: FakeServer) -> None:
    client = make()
    server.on("GET /health", answer(facts.HEALTHY))
    bridge.on("GET /health", answer(facts.BRIDGE_HEALTHY))
    client.controller.health()
    client.bridge.health()
    assert server.open_connections == bridge.open_connections == 1
    for _ in range(2):
        client.close()
    eventually(lambda: server.open_connections == bridge.open_connections == 0)
    calls: list[Call[[], Any]] = [
        client.controller.health,
        client.bridge.health,
        client.mcp.memory_stats,
        lambda: client.controller.create_conversation(messages=MESSAGES),
        lambda: client.bridge.stream_complete(MESSAGES),
        client.with_options(max_retries=1).controller.health,
    ]
    for call in calls:
        with pytest.raises(SekhaClosedError) as caught:
            call()
        assert (caught.value.sent, caught.value.may_have_been_applied) == (False, False)
    assert len(server.seen) == len(bridge.seen) == 1


@pytest.mark.promise("R13")
def test_leaving_with_closes_even_after_an_error(server: FakeServer) -> None:
    server.on("GET /health", answer(facts.HEALTHY))
    with pytest.raises(ZeroDivisionError):
        leave_by_an_error(server)
    eventually(lambda: server.open_connections == 0)


def leave_by_an_error(server: FakeServer) -> None:
    """Use a client, and fail inside its block."""
    with SekhaClient(controller_url=server.url, api_key="k") as client:
        client.controller.health()
        raise ZeroDivisionError


@pytest.mark.promise("R13")
def test_a_client_that_was_never_used_can_be_closed(make: MakeClient) -> None:
    make().close()


def test_a_connection_is_given_up_after_a_timeout(make: MakeClient, server: FakeServer) -> None:
    client = make(max_connections=1, max_retries=0, timeout=0.5)
    server.on(QUERY, HANG, FOUND)
    with pytest.raises(SekhaTimeoutError):
        client.controller.query("x")
    client.with_options(timeout=30.0).controller.query("x")
    assert [seen.connection for seen in server.seen] == [1, 2]


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", None])
def test_a_client_with_a_proxy_is_closed_whether_it_was_used_or_not(
    proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if proxy is None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for used in (False, True):
        with SekhaClient(
            controller_url="http://sekha.test", api_key=REST_KEY, proxy=proxy, max_retries=0
        ) as client:
            if used:
                with pytest.raises(SekhaConnectionError) as caught:
                    client.controller.health()
                assert caught.value.sent is False
        with pytest.raises(SekhaClosedError):
            client.controller.health()
