"""What every method puts on the wire: method, path, query, headers, body, byte for byte where it matters."""

from __future__ import annotations

import pytest

from sekha import AsyncSekhaClient, AsyncStream, __version__
from support.calls import CALLS, MODELS, Call
from support.facts import BRIDGE_KEY, MCP_KEY, REST_KEY
from support.server import FakeServer

from .conftest import MakeClient

KEYS = {"controller": REST_KEY, "mcp": MCP_KEY, "bridge": BRIDGE_KEY}


async def run(call: Call, client: AsyncSekhaClient) -> None:
    """Make a call, and read what it streams to the end."""
    result = await call.on(client)
    if isinstance(result, AsyncStream):
        await result.get_final_text()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_every_method_sends_what_the_servers_expect(
    call: Call, client: AsyncSekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    asked = call.script(server, bridge)
    await run(call, client)
    assert asked.lines == [wire.line for wire in call.wires]
    for seen, wire in zip(asked.seen, call.wires):
        assert seen.json == wire.body
        assert seen.query == wire.query
        service = MODELS if asked is bridge else wire.service
        expected = {
            "host": asked.url.replace("http://", ""),
            "accept": "text/event-stream, application/json" if "stream" in call.method else "application/json",
            "accept-encoding": "identity",
            "user-agent": f"sekha-python-sdk/{__version__}",
            "authorization": f"Bearer {KEYS[service]}",
        }
        if seen.body:
            expected["content-type"] = "application/json"
            expected["content-length"] = str(len(seen.body))
        assert {name: value for name, value in seen.headers.items() if name in expected} == expected
        assert set(seen.headers) - set(expected) <= {"content-length", "connection"}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_without_other_keys_the_bridge_gets_none_and_the_tools_the_only_one(
    call: Call, make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    asked = call.script(server, bridge)
    await run(call, make(mcp_api_key=None, bridge_api_key=None))
    for seen in asked.seen:
        assert seen.headers.get("authorization") == (None if asked is bridge else f"Bearer {REST_KEY}")
