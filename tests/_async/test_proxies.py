"""Calls through a proxy: who is asked, what its refusals become, and what the server can have seen."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from sekha import (
    AsyncBridgeClient,
    AsyncMCPClient,
    AsyncMemoryController,
    AsyncSekhaClient,
    SekhaAuthError,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaServerError,
    SekhaStreamError,
    SekhaTimeoutError,
)
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha
from support import facts
from support.canary import in_sight, texts_of
from support.clock import FakeClock
from support.facts import BRIDGE_KEY, MESSAGES, REST_KEY
from support.replies import DROP, HANG, answer, body, chunked, delta, empty, raw
from support.server import FakeServer

from .conftest import MakeClient

SAFE, PLAIN = "https://sekha.test", "http://sekha.test"
CONNECT = "CONNECT 443"  # of a target, the fake server compares what stands for a path
QUERY, CREATE = "POST /api/v1/query", "POST /api/v1/conversations"


@pytest.fixture
def through(server: FakeServer) -> str:
    """Host and port of the proxy."""
    return server.url.partition("//")[2]


async def failed(client: AsyncSekhaClient) -> SekhaConnectionError:
    """The error of a write, and that a read fails in the same way."""
    with pytest.raises(SekhaConnectionError):
        await client.controller.query("x")
    with pytest.raises(SekhaConnectionError) as caught:
        await client.controller.create_conversation(messages=MESSAGES)
    return caught.value


# Who is asked


@pytest.mark.promise("W1")
async def test_a_proxy_of_the_environment_is_asked_for_the_server_that_it_concerns(
    make: MakeClient, server: FakeServer, bridge: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("NO_PROXY", "[::1],fe80::/10,127.0.0.1")
    server.on(QUERY, answer(facts.hits()))
    bridge.on("POST /v1/chat/completions", answer(facts.COMPLETION))
    client = make(controller_url=PLAIN)
    await client.controller.query("x")
    await client.bridge.complete(MESSAGES)
    assert server.only.target == "http://sekha.test/api/v1/query"
    assert bridge.only.line == "POST /v1/chat/completions"


@pytest.mark.promise("W1")
async def test_user_and_password_are_sent_to_the_proxy_alone(make: MakeClient, server: FakeServer) -> None:
    server.on(QUERY, answer(facts.hits()))
    server.on(CONNECT, empty(403))
    proxy = server.url.replace("//", "//me%40corp.test:p%40s%2Fs%3A@")
    await make(controller_url=PLAIN, proxy=proxy).controller.query("x")
    assert server.only.headers["proxy-authorization"] == "Basic bWVAY29ycC50ZXN0OnBAcy9zOg=="
    with pytest.raises(SekhaConnectionError):
        await make(controller_url=SAFE, proxy=proxy).controller.query("x")
    assert server.seen[1].headers["proxy-authorization"] == "Basic bWVAY29ycC50ZXN0OnBAcy9zOg=="
    assert server.seen[1].target == "sekha.test:443"
    assert "authorization" not in server.seen[1].headers


def as_set(name: str) -> str:
    """The name of a variable in the environment: Windows does not tell upper from lower case."""
    return name.upper() if os.name == "nt" else name


UNUSABLE = [
    {"ALL_PROXY": "socks://127.0.0.1:7890"},
    {"HTTP_PROXY": "socks4://127.0.0.1:7890"},
    {"HTTP_PROXY": f"http://me:{REST_KEY}#x@127.0.0.1:7890"},
    {"HTTP_PROXY": f"http://me:{REST_KEY}"},
    {"http_proxy": f"http://me:{REST_KEY}@127.0.0.1:99999"},
    {"http_proxy": "http://[::1:3128"},
    {"SEKHA_PROXY": f"nowhere://me:{REST_KEY}@127.0.0.1:7890"},
]


@pytest.mark.promise("W1")
@pytest.mark.parametrize("variables", UNUSABLE)
async def test_a_variable_that_cannot_be_used_is_named_when_a_client_is_made(
    variables: dict[str, str], server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((name, value),) = variables.items()
    monkeypatch.setenv(name, value)
    single: list[Any] = [AsyncMemoryController, AsyncMCPClient, AsyncBridgeClient]
    for cls, url in [(AsyncSekhaClient, "controller_url"), *((cls, "base_url") for cls in single)]:
        with pytest.raises(SekhaConfigError) as caught:
            cls(**{url: server.url}, api_key="k")
        assert caught.value.message.startswith(f"{as_set(name)}: the proxy")
        assert caught.value.__cause__ is None
        if "7890" in value:
            assert "127.0.0.1:7890" in caught.value.message
        assert not any(in_sight(text) for text in texts_of(caught.value))


@pytest.mark.promise("W1")
@pytest.mark.parametrize("variables", UNUSABLE[:-1])
@pytest.mark.parametrize("options", [{}, {"trust_env": False}, {"proxy": "none"}])
async def test_a_variable_that_does_not_apply_changes_nothing(
    variables: dict[str, str],
    options: Any,
    make: MakeClient,
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if not options:
        monkeypatch.setenv("NO_PROXY", "[::1],fe80::/10,127.0.0.1")
    server.on("POST /api/v1/query", answer(facts.hits()))
    await make(**options).controller.query("x")


@pytest.mark.promise("W1")
@pytest.mark.parametrize(
    "proxy", ["http://h.test:no", "http://[::1:3128", f"http://me:{REST_KEY}#1@h.test", "socks4://h:1"]
)
async def test_a_proxy_that_cannot_be_used_is_refused_at_construction(proxy: str) -> None:
    with pytest.raises(SekhaConfigError) as caught:
        AsyncSekhaClient(controller_url=PLAIN, api_key="k", proxy=proxy)
    assert caught.value.message.startswith("proxy: the proxy")
    assert not any(in_sight(text) for text in texts_of(caught.value))


# What is started on this machine


@pytest.mark.promise("W1")
async def test_what_runs_on_this_machine_is_reached_without_a_proxy(
    sekha: LocalSekha, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert set(map(type, sekha.options.values())) == {str}
    async with AsyncSekhaClient(**sekha.options) as client:
        assert (await client.controller.health())["status"] == "healthy"
    with ScriptedSekha(sekha) as scripted:
        async with scripted.async_client() as client:
            assert (await client.controller.health())["status"] == "healthy"


# Refusals


@pytest.mark.promise("W1")
@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 407, 429, 501])
async def test_what_a_proxy_refuses_is_final(
    status: int, make: MakeClient, server: FakeServer, clock: FakeClock, through: str
) -> None:
    server.on(CONNECT, *[empty(status)] * 2)
    error = await failed(make(controller_url=SAFE, proxy=server.url.replace("//", f"//me:{REST_KEY}@")))
    assert error.message == f"sekha.test through the proxy {through}: the proxy responded {status} Status"
    assert (error.attempts, error.sent, error.may_have_been_applied) == (1, False, False)
    assert clock.waits == []


@pytest.mark.promise("W1")
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_proxy_that_does_not_reach_the_server_is_asked_again(
    status: int, make: MakeClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch, through: str
) -> None:
    monkeypatch.setenv("https_proxy", server.url)
    server.on(CONNECT, *[empty(status)] * 6)
    error = await failed(make(controller_url=SAFE, max_retries=2))
    assert (
        f"sekha.test through the proxy {through} ({as_set('https_proxy')}): the proxy responded {status}"
        in error.message
    )
    assert (error.attempts, error.sent, error.may_have_been_applied) == (3, False, False)


@pytest.mark.promise("W1")
@pytest.mark.parametrize(
    "reply", [DROP, HANG, raw(b"nonsense\r\n\r\n", end="close"), raw(b"HTTP/1.1 200", end="reset")]
)
async def test_without_an_answer_to_connect_the_server_has_seen_nothing(
    reply: Any, make: MakeClient, server: FakeServer, through: str
) -> None:
    server.on(CONNECT, *[reply] * 4)
    error = await failed(
        make(controller_url=SAFE, proxy=server.url, max_retries=1, timeout=0.5 if reply is HANG else 30.0)
    )
    assert f"through the proxy {through}" in error.message
    assert (error.attempts, error.sent, error.may_have_been_applied) == (2, False, False)
    assert isinstance(error, SekhaTimeoutError) == (reply is HANG)
    assert reply is not HANG or "timeout while connecting" in error.message


@pytest.mark.promise("W1")
@pytest.mark.parametrize("url", [SAFE, PLAIN])
async def test_a_proxy_that_cannot_be_reached_is_named(url: str, make: MakeClient, clock: FakeClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    for proxy in (f"127.0.0.1:{closed}", "no-such-proxy.invalid:3128"):
        error = await failed(make(controller_url=url, proxy=f"http://{proxy}", max_retries=1))
        assert error.message.startswith(f"sekha.test through the proxy {proxy}: cannot connect: ")
        assert (error.attempts, error.sent, error.may_have_been_applied) == (2, False, False)
    health = await make(controller_url=url, proxy=f"http://{proxy}", max_retries=0).health_check()
    assert health["controller"]["status"] == "unreachable"
    assert f"through the proxy {proxy}" in str(health["controller"]["error"])


@pytest.mark.promise("W1")
@pytest.mark.parametrize(
    "refusal",
    [
        empty(407),
        empty(407, proxy_authenticate="Basic"),
        body(b"<p>no</p>", 401, "text/html", proxy_authenticate="Basic"),
        body(b"<p>no</p>", 401, "text/html", www_authenticate="Basic", server="tinyproxy/1.11.1"),
    ],
)
async def test_over_plain_http_the_proxys_refusal_is_not_that_of_a_key(
    refusal: Any, make: MakeClient, server: FakeServer, through: str
) -> None:
    for line in (QUERY, CREATE):
        server.on(line, refusal)
    error = await failed(make(controller_url=PLAIN, proxy=server.url))
    assert error.message.startswith(f"sekha.test through the proxy {through}: the proxy responded 40")
    assert (error.attempts, error.sent, error.may_have_been_applied) == (1, False, False)


@pytest.mark.promise("W1")
async def test_the_servers_own_refusal_comes_through(make: MakeClient, server: FakeServer) -> None:
    server.on(QUERY, answer({"error": "no such key"}, 401, www_authenticate="Bearer", proxy_authenticate="Basic"))
    server.on(CREATE, answer({"error": "no such key"}, 401))
    client = make(controller_url=PLAIN, proxy=server.url)
    with pytest.raises(SekhaAuthError, match="no such key"):
        await client.controller.query("x")
    with pytest.raises(SekhaAuthError, match="no such key"):
        await client.controller.create_conversation(messages=MESSAGES)


# After the request was sent


@pytest.mark.promise("W1")
async def test_a_request_that_was_sent_may_have_been_applied(
    make: MakeClient, server: FakeServer, through: str
) -> None:
    server.on(CREATE, DROP, HANG)
    client = make(controller_url=PLAIN, proxy=server.url, timeout=1.0)
    for words in ("disconnected", "timeout while waiting for the response"):
        with pytest.raises(SekhaConnectionError, match=words) as caught:
            await client.controller.create_conversation(messages=MESSAGES)
        assert caught.value.message.startswith(f"sekha.test through the proxy {through}: ")
        assert (caught.value.attempts, caught.value.sent, caught.value.may_have_been_applied) == (1, True, True)


@pytest.mark.promise("W1")
async def test_a_deadline_names_the_proxy(server: FakeServer, through: str) -> None:
    server.on(QUERY, HANG)
    async with AsyncSekhaClient(controller_url=PLAIN, api_key="k", proxy=server.url, deadline=0.2) as client:
        with pytest.raises(SekhaTimeoutError) as caught:
            await client.controller.query("x")
    assert "deadline of 0.2 s" in caught.value.message
    assert f"through the proxy {through}" in caught.value.message


@pytest.mark.promise("W1")
async def test_a_stream_that_breaks_names_the_proxy(make: MakeClient, server: FakeServer, through: str) -> None:
    server.on("POST /v1/chat/completions", chunked(delta("Once "), delta("upon"), end="close"))
    client = make(bridge_url=PLAIN, bridge_api_key=BRIDGE_KEY, proxy=server.url)
    stream = await client.bridge.stream_complete(MESSAGES)
    with pytest.raises(SekhaStreamError) as caught:
        await stream.get_final_text()
    assert f"(through the proxy {through})" in caught.value.message


@pytest.mark.promise("W1")
async def test_a_page_of_the_proxy_is_not_taken_for_the_servers(
    make: MakeClient, server: FakeServer, through: str
) -> None:
    server.on(QUERY, body(b"<p>Unable to connect</p>", 502, "text/html"), answer({"error": "mine"}, 502))
    client = make(controller_url=PLAIN, proxy=server.url, max_retries=0)
    with pytest.raises(SekhaServerError, match="through the proxy") as caught:
        await client.controller.query("x")
    assert caught.value.status_code == 502
    with pytest.raises(SekhaServerError) as caught:
        await client.controller.query("x")
    assert caught.value.message == "mine"
