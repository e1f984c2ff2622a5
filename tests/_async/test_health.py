"""What a health check asks, whatever this client is busy with, and what it says of what it could not ask."""

from __future__ import annotations

import logging
import threading
from typing import Any, TypeVar

import httpx
import pytest

from sekha import AsyncSekhaClient, SekhaRateLimitError
from sekha._concurrency.clock import Clock
from sekha._concurrency.tasks import AsyncCall, async_gather
from sekha.types import ServiceHealth
from support import facts
from support.clock import FakeClock, give_clock
from support.facts import MCP_KEY, MESSAGES, REST_KEY
from support.replies import HANG, after, answer, body, empty, text, tool
from support.server import FakeServer, Reply

from .conftest import MakeClient

HEALTH, QUERY, CREATE = "GET /health", "POST /api/v1/query", "POST /api/v1/conversations"
LIST, STATS = "GET /api/v1/conversations", "POST /mcp/tools/memory_stats"
T = TypeVar("T")
HEALTHY = {"controller": "healthy", "bridge": "healthy", "mcp": "healthy"}


@pytest.fixture
def well(server: FakeServer, bridge: FakeServer) -> None:
    """All services are healthy."""
    server.always(HEALTH, answer(facts.HEALTHY))
    server.always(LIST, answer(facts.rows()))
    server.always(STATS, tool(facts.STATS))
    bridge.always(HEALTH, answer(facts.BRIDGE_HEALTHY))


def statuses(health: dict[str, ServiceHealth]) -> dict[str, str]:
    return {name: one["status"] for name, one in health.items()}


async def while_a_query_waits(client: AsyncSekhaClient, server: FakeServer, check: AsyncCall[[], T]) -> T:
    """What a check gives while a query waits for its answer; both are on the real clock."""
    give_clock(client, Clock())
    release = threading.Event()
    server.on(QUERY, after(release, answer(facts.hits())))
    found: list[T] = []

    async def query() -> None:
        await client.controller.query("x")

    async def ask() -> None:
        while not server.seen:
            await Clock().async_sleep(0.002)
        try:
            found.append(await check())
        finally:
            release.set()

    await async_gather([query, ask], 2)
    return found[0]


@pytest.mark.promise("W4")
async def test_what_is_asked_and_with_which_key(
    well: None, client: AsyncSekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    assert statuses(await client.health_check()) == HEALTHY
    assert sorted(server.lines) == sorted([HEALTH, LIST, STATS])
    assert bridge.lines == [HEALTH]
    by_line = {seen.line: seen for seen in server.seen}
    assert by_line[LIST].query == {"page": "1", "page_size": "1"}
    assert by_line[LIST].headers["authorization"] == f"Bearer {REST_KEY}"
    assert by_line[STATS].headers["authorization"] == f"Bearer {MCP_KEY}"
    assert by_line[STATS].json == {"folder": "/sekha-health-check/no-such-folder"}


@pytest.mark.promise("W4")
async def test_what_is_asked_costs_nothing_on_the_real_servers(real: AsyncSekhaClient, local: AsyncSekhaClient) -> None:
    for client in (real, local):
        await client.controller.create_conversation(messages=MESSAGES, folder="/work")
        assert statuses(await client.health_check()) == HEALTHY


# The rate limit


@pytest.mark.promise("W4")
async def test_a_health_check_passes_by_the_rate_limit_and_is_counted(
    well: None, make: MakeClient, server: FakeServer, clock: FakeClock
) -> None:
    client = make(rate_limit_requests=2, rate_limit_window=60.0)
    server.always(QUERY, answer(facts.hits()))
    for _ in range(2):
        await client.controller.query("x")
    for _ in range(3):
        assert statuses(await client.health_check()) == HEALTHY
        assert (await client.controller.health())["status"] == "healthy"
        assert (await client.bridge.health())["status"] == "healthy"
        clock.move(10.0)
    assert clock.waits == []
    before = clock.now()
    await client.controller.query("x")
    assert clock.now() - before == pytest.approx(50.0), "two minus the twelve that passed by"


@pytest.mark.promise("W4")
async def test_a_health_check_passes_by_a_429(
    well: None, make: MakeClient, server: FakeServer, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(max_retries=0)
    server.on(QUERY, text("Rate limit exceeded", 429), answer(facts.hits()))
    with pytest.raises(SekhaRateLimitError):
        await client.controller.query("x")
    with caplog.at_level(logging.DEBUG, logger="sekha"):
        assert statuses(await client.health_check()) == HEALTHY
        assert not [record for record in caplog.records if "waiting" in record.getMessage()]
        assert clock.waits == []
        await client.controller.query("x")
    assert sum(clock.waits) == pytest.approx(60.0)
    waits = [record.getMessage() for record in caplog.records if "waiting" in record.getMessage()]
    assert waits == ["POST /api/v1/query: waiting 60 s for the rate limit (1000 requests per minute)"]


@pytest.mark.promise("W4")
async def test_a_refusal_by_the_server_is_its_answer(
    client: AsyncSekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    for line in (HEALTH, LIST, STATS):
        server.on(line, text("Rate limit exceeded", 429))
    bridge.on(HEALTH, answer(facts.BRIDGE_HEALTHY))
    health = await client.health_check()
    assert statuses(health) == {"controller": "unhealthy", "bridge": "healthy", "mcp": "unhealthy"}
    assert "Rate limit exceeded" in str(health["controller"].get("error"))


# Connections and write slots


@pytest.mark.promise("W4")
async def test_a_health_check_has_connections_of_its_own(
    well: None, make: MakeClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    client, release = make(max_connections=2, max_concurrent_writes=1), threading.Event()
    give_clock(client, Clock())
    server.on(QUERY, *[after(release, answer(facts.hits()))] * 2, answer(facts.hits()))
    server.on(CREATE, answer(facts.CREATED, 201))

    async def check() -> None:
        while len(server.seen) < 2:
            await Clock().async_sleep(0.002)
        try:
            for _ in range(3):
                assert statuses(await client.health_check()) == HEALTHY
                assert (await client.controller.health())["status"] == "healthy"
        finally:
            release.set()

    async def query() -> None:
        await client.controller.query("x")

    async def create() -> None:
        while len(server.seen) < 2:
            await Clock().async_sleep(0.002)
        await client.controller.create_conversation(messages=MESSAGES)

    calls: list[AsyncCall[[], None]] = [query, query, create, query, check]
    with caplog.at_level(logging.DEBUG, logger="sekha"):
        await async_gather(calls, len(calls))
    assert "waiting for a free connection" in caplog.text, "the others did wait"
    assert statuses(await client.health_check()) == HEALTHY
    transport: Any = client._controller_transport._state.http_transport()
    state = transport._state
    assert state.slots.taken() == 0
    assert len(state._idle) <= 2, "no connection is left beyond the limit"


@pytest.mark.promise("W4")
async def test_a_health_check_by_way_of_httpx_has_connections_of_its_own(
    well: None, make: MakeClient, server: FakeServer
) -> None:
    client = make(proxy=server.url, max_connections=1)
    controller = client.controller.with_options(timeout=5.0, max_retries=0)
    health = await while_a_query_waits(client, server, controller.health)
    assert health["status"] == "healthy"


# Keys, and other services


@pytest.mark.promise("W4")
@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key_shows(status: int, client: AsyncSekhaClient, server: FakeServer, bridge: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(LIST, answer({"error": "Invalid API key"}, status))
    server.on(STATS, answer({"error": "Invalid API key"}, status))
    bridge.on(HEALTH, answer(facts.BRIDGE_HEALTHY))
    health = await client.health_check()
    assert statuses(health) == {"controller": "unauthorized", "bridge": "healthy", "mcp": "unauthorized"}
    assert "Invalid API key" in str(health["controller"].get("error"))
    assert health["controller"]["checks"] == facts.HEALTHY["checks"]


@pytest.mark.promise("W4")
async def test_a_wrong_key_on_the_local_servers(local: AsyncSekhaClient, real: AsyncSekhaClient) -> None:
    wrong = "a-key-that-this-controller-does-not-know"
    health = await local.with_options(api_key=wrong, mcp_api_key=wrong).health_check()
    assert statuses(health) == {"controller": "unauthorized", "bridge": "healthy", "mcp": "unauthorized"}
    health = await real.with_options(api_key=wrong, mcp_api_key=wrong).health_check()
    assert statuses(health) == {"controller": "healthy", "bridge": "healthy", "mcp": "unauthorized"}, "it checks no key"


@pytest.mark.promise("W4")
async def test_swapped_addresses_show(make: MakeClient, local: AsyncSekhaClient, real: AsyncSekhaClient) -> None:
    for client in (local, real):
        controller, bridge = client._controller_transport.base_url, client._bridge_transport.base_url
        health = await make(controller_url=bridge, bridge_url=controller).health_check()
        assert statuses(health) == {"controller": "unhealthy", "bridge": "unhealthy", "mcp": "unhealthy"}
        found = {name: str(one.get("error")) for name, one in health.items()}
        assert found["controller"].startswith("this address is not a controller: ")
        assert found["bridge"].startswith("this address is not a bridge: ")
        assert found["mcp"].startswith("this address is not a controller with MCP tools: ")


@pytest.mark.promise("W4")
@pytest.mark.parametrize(
    "reply",
    [
        body(b"<html>Log in</html>", 200, "text/html"),
        answer({"status": "UP"}),
        answer({"message": "Not Found"}, 404),
        empty(302, location="https://login.test/"),
        empty(405),
        answer([]),
    ],
)
async def test_another_service_at_the_address_shows(
    reply: Reply, make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    for line in (HEALTH, LIST, STATS):
        server.on(line, reply)
    bridge.on(HEALTH, reply)
    health = await make().health_check()
    assert set(statuses(health).values()) == {"unhealthy"}
    for name, words in (("controller", "controller"), ("bridge", "bridge"), ("mcp", "controller with MCP tools")):
        assert str(health[name].get("error")).startswith(f"this address is not a {words}: ")


@pytest.mark.promise("W4")
@pytest.mark.parametrize(
    "said",
    [
        {"error": "boom"},
        {"error": {"message": "boom"}},
        {"detail": "boom"},
        {"message": "boom", "code": 500},
        {"success": False, "error": "boom"},
        {"status": "error", "error": "boom"},
        {"status": 500, "error": "boom", "path": "/health"},
    ],
)
async def test_an_error_that_comes_with_200_is_not_healthy(
    said: Any, client: AsyncSekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    for asked in (server, bridge):
        asked.always(HEALTH, answer(said))
    for line in (LIST, STATS):
        server.on(line, answer(said))
    for service in (client.controller, client.bridge):
        health = await service.health()
        assert (health["status"], health.get("error")) == ("unhealthy", "boom")
    checked = await client.health_check()
    assert set(statuses(checked).values()) == {"unhealthy"}
    assert all("boom" in str(one.get("error")) for one in checked.values())


@pytest.mark.promise("W4")
@pytest.mark.parametrize("line", [LIST, STATS])
async def test_an_error_that_comes_with_200_shows_where_the_key_is_needed(
    line: str, well: None, client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(line, answer({"success": False, "error": "boom"}))
    service = "controller" if line == LIST else "mcp"
    health = await client.health_check()
    assert statuses(health) == {**HEALTHY, service: "unhealthy"}
    assert "boom" in str(health[service].get("error"))


@pytest.mark.promise("W4")
async def test_a_list_that_does_not_come_is_no_healthy_controller(
    make: MakeClient, server: FakeServer, bridge: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sekha._async.workflows.HEALTH_TIMEOUT", 0.2)
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(LIST, HANG)
    server.on(STATS, tool(facts.STATS))
    bridge.on(HEALTH, answer(facts.BRIDGE_HEALTHY))
    health = await make().health_check()
    assert statuses(health) == {"controller": "unhealthy", "bridge": "healthy", "mcp": "healthy"}
    assert "GET /api/v1/conversations" in str(health["controller"].get("error"))


# What could not be asked


@pytest.mark.promise("W4")
async def test_a_client_of_the_user_whose_connections_are_busy_could_not_ask(
    make: MakeClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sekha._transport.attempt._BRIEF_WAIT", 0.1)
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1), trust_env=False) as given:
        client = make(http_client=given, bridge_url=None)
        health = await while_a_query_waits(client, server, client.health_check)
        assert statuses(health) == {"controller": "unknown", "bridge": "not_configured", "mcp": "unknown"}
        assert "timeout while waiting for a free connection" in str(health["mcp"].get("error"))


@pytest.mark.promise("W4")
async def test_an_error_that_is_not_ours_is_no_error_of_a_health_check(
    client: AsyncSekhaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise ValueError("http://user:secret@proxy")

    monkeypatch.setattr(type(client._controller_transport._state), "http_transport", broken)
    health = await client.health_check()
    assert set(statuses(health).values()) == {"unknown"}
    assert {one.get("error") for one in health.values()} == {"the check itself failed: ValueError"}
