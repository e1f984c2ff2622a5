"""Base URLs of all kinds: what is sent has their path and the endpoint's, each once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from sekha import (
    AsyncBridgeClient,
    AsyncMCPClient,
    AsyncMemoryController,
    AsyncSekhaClient,
    AsyncStream,
    SekhaConfigError,
)
from support import facts
from support.calls import CALLS, MODELS, Call
from support.replies import answer
from support.server import FakeServer

from .conftest import MakeClient


async def made(call: Call, client: AsyncSekhaClient) -> None:
    """Make a call, and read what it streams to the end."""
    result = await call.on(client)
    if isinstance(result, AsyncStream):
        await result.get_final_text()


@pytest.mark.promise("C10")
@pytest.mark.parametrize(
    ("ending", "prefix"),
    [
        ("", ""),
        ("/", ""),
        ("/sekha", "/sekha"),
        ("/sekha/", "/sekha"),
        ("/a/b.c/v1", "/a/b.c/v1"),
        ("/a/b.c/v1/", "/a/b.c/v1"),
        ("/api/v1", "/api/v1"),
        ("/caf%C3%A9", "/caf%C3%A9"),
    ],
)
async def test_what_is_sent_has_the_prefix_and_the_endpoint_once(
    ending: str, prefix: str, make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    client = make(controller_url=server.url + ending, bridge_url=bridge.url + ending)
    for call in CALLS:
        asked = bridge if call.service == MODELS else server
        asked.seen.clear()
        lines = [wire.line.replace(" /", f" {prefix}/") for wire in call.wires]
        for line, wire in zip(lines, call.wires):
            asked.on(line, wire.reply)
        await made(call, client)
        assert asked.lines == lines
        assert all(seen.headers["host"] == asked.url.replace("http://", "") for seen in asked.seen)


@pytest.fixture
def server_6() -> Iterator[FakeServer]:
    """A fake controller on the loopback address of IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = FakeServer(host="::1")
    try:
        yield server
    finally:
        server.close()
    server.check()


@pytest.mark.promise("C10")
@pytest.mark.parametrize("ending", ["", "/", "/sekha/v1/"])
async def test_an_address_of_ipv6_has_brackets_and_a_port(ending: str, make: MakeClient, server_6: FakeServer) -> None:
    assert "[::1]:" in server_6.url
    server_6.on(f"GET {ending.rstrip('/')}/health", answer(facts.HEALTHY))
    assert (await make(controller_url=server_6.url + ending).controller.health())["status"] == "healthy"
    assert server_6.only.headers["host"] == server_6.url.replace("http://", "")


@pytest.mark.promise("C10")
@pytest.mark.parametrize(
    ("cls", "service"), [(AsyncMemoryController, "controller"), (AsyncMCPClient, "mcp"), (AsyncBridgeClient, "bridge")]
)
async def test_what_a_client_of_one_service_sends_has_the_prefix_and_the_endpoint_once(
    cls: Any, service: str, server: FakeServer
) -> None:
    call = next(call for call in CALLS if call.service == service and len(call.wires) == 1)
    method, _, path = call.wires[0].line.partition(" ")
    for ending in ("/sekha", "/sekha/"):
        server.on(f"{method} /sekha{path}", call.wires[0].reply)
        async with cls(base_url=server.url + ending, api_key="k") as client:
            await getattr(client, call.method)(*call.args, **call.kwargs)
    assert server.lines == [f"{method} /sekha{path}"] * 2


REFUSED: dict[str, tuple[Any, ...]] = {
    "a query": ("http://x?", "http://x/?", "http://x?a=b", "http://x/api?key=SECRET"),
    "a fragment": ("http://x#", "http://x#f"),
    "a user": ("http://user@x", "http://user:SECRET@x", "http://:SECRET@x:80/", "http://@x"),
    "no scheme": ("localhost:8080", "x", "x/api", "//x", "/api", "", "  ", ":8080", "127.0.0.1"),
    "another scheme": ("ftp://x", "ws://x", "file:///x", "unix:///x", "httpx://x", "mailto:a@x"),
    "no host": ("http://", "http:///", "http:///api", "https://:80", "http:x"),
    "a bad port": ("http://x:0", "http://x:99999", "http://x:-1", "http://x:port", "http://[::1]:x"),
    "a bad host": ("http://x y", "http://[::1", "http://x\ny", "http://x\0", "http://::1:80"),
    "a name that no host can have": ("http://foo..bar", "http://" + "x" * 64 + ".test", "http://" + "x." * 127 + "x"),
    "a name that no name server has": ("http://ü..test", "http://" + "ü" * 64, "http://i❤.test"),
    "no text": (5, b"http://x", ["http://x"]),
}


@pytest.mark.promise("C10")
@pytest.mark.parametrize("kind", REFUSED)
async def test_what_is_no_base_url_is_refused_clearly(kind: str) -> None:
    for url in REFUSED[kind]:
        for name in ("controller_url", "bridge_url"):
            settings: dict[str, Any] = {"controller_url": "http://x", "bridge_url": "http://x", "api_key": "k"}
            with pytest.raises(SekhaConfigError) as caught:
                AsyncSekhaClient(**{**settings, name: url})
            assert str(caught.value).startswith(f"{name}: "), url
            assert "SECRET" not in str(caught.value) + repr(caught.value)
