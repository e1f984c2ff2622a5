"""Idle connections: closed when their time is over, by the next call of any client in the process."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest

from sekha import AsyncSekhaClient, SekhaAPIError
from sekha._async import transport
from sekha._async.http import connection, network, pool
from sekha._concurrency.clock import Clock
from sekha._concurrency.tasks import async_gather
from sekha._http import idle_pools, pool_state
from support import facts
from support.certificates import Certificates
from support.clock import FakeClock, give_clock
from support.interrupting import Interruption, held, interrupted_at, interrupted_between
from support.replies import after, answer, empty
from support.server import FakeServer, eventually

from .conftest import MakeClient

LAYERS = (transport, pool, connection, network, idle_pools, pool_state)
HEALTH, COUNT, TASKS = "GET /health", "GET /api/v1/conversations/count", "GET /api/v1/tasks"
WELL = answer(facts.HEALTHY)


async def burst(client: AsyncSekhaClient, server: FakeServer, count: int) -> None:
    """Make calls at the same time, each on a connection of its own."""
    together = threading.Barrier(count)
    server.on(HEALTH, *[after(lambda: together.wait(10), WELL)] * count)
    await async_gather([client.controller.health] * count, count)


async def call(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    """Make a call of another client, to another server."""
    bridge.on(TASKS, answer(["chat"]))
    await client.bridge.tasks()


async def test_after_a_burst_a_call_of_another_client_closes_what_was_idle(
    make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    first, other = make(), make()
    await burst(first, server, 30)
    clock.move(1.9)
    await call(other, bridge)
    assert server.open_connections == 20, "their time is not over"
    clock.move(0.1)
    await call(other, bridge)
    eventually(lambda: server.open_connections == 0)
    assert bridge.open_connections == 1
    await burst(first, server, 30)
    assert server.connections == 60


async def test_each_is_closed_by_the_first_call_after_its_own_time(
    make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    first, second, other = make(), make(), make()
    for client in (first, second):  # idle since 0.0 and since 0.7
        await burst(client, server, 3)
        clock.move(0.7)
    for seconds, left in ((0.5, 6), (0.1, 3), (0.6, 3), (0.1, 0)):
        clock.move(seconds)
        await call(other, bridge)
        eventually(lambda: server.open_connections == left)  # noqa: B023 - called at once


async def test_a_connection_that_is_in_use_is_left_alone(
    make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    client, other = make(), make()

    async def slow() -> None:
        started, done = threading.Event(), threading.Event()
        server.on(HEALTH, after(started.set, after(done, WELL)))

        async def meanwhile() -> None:
            while not started.is_set():
                await Clock().async_sleep(0.002)
            clock.move(60.0)
            await call(other, bridge)
            done.set()

        await async_gather([client.controller.health, meanwhile], 2)

    await burst(client, server, 1)
    await slow()
    assert (server.connections, server.open_connections) == (1, 1)


@pytest.mark.parametrize("outcome", ["a refusal", "a client of its own", "a view"])
async def test_any_call_will_do(
    outcome: str, make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    client, other = make(), make(max_retries=0)
    await burst(client, server, 2)
    clock.move(2.0)
    bridge.on(TASKS, empty(500) if outcome == "a refusal" else answer(["chat"]))
    view = other.with_options(timeout=5.0) if outcome == "a view" else other
    caller = view if outcome != "a client of its own" else make()
    with suppress(SekhaAPIError):
        await caller.bridge.tasks()
    eventually(lambda: server.open_connections == 0)


async def test_with_tls_as_well(make: MakeClient, bridge: FakeServer, clock: FakeClock, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    server = FakeServer(tls=certificates.server())
    client, other = make(controller_url=server.url, verify=certificates.ca), make()
    await burst(client, server, 3)
    clock.move(2.0)
    await call(other, bridge)
    eventually(lambda: server.open_connections == 0)
    server.close()


async def test_clients_with_clocks_of_their_own_do_not_keep_each_other_from_it(
    make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    client, ahead, stopped, other = make(), make(), make(), make()
    for one, seconds in ((ahead, 1e9), (stopped, 0.0)):
        its_own = FakeClock()
        its_own.move(seconds)
        give_clock(one, its_own)
        await burst(one, server, 1)
    await burst(client, server, 3)
    clock.move(2.0)
    await call(ahead, bridge)
    await call(other, bridge)
    eventually(lambda: server.open_connections == 2)


@pytest.mark.promise("R5")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # what is interrupted before anybody has it is collected
@pytest.mark.parametrize("between", [False, True], ids=["before a line", "in a line"])
async def test_wherever_the_call_is_interrupted_nothing_is_lost(
    between: bool, make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    server.always(COUNT, answer({"count": 1}))
    bridge.always(TASKS, answer(["chat"]))
    client, other = make(max_connections=2, timeout=5.0), make(max_retries=0, timeout=5.0)
    interrupted = interrupted_between if between else interrupted_at
    number, there_was_one = 0, True
    while there_was_one:
        number += 1
        await burst(client, server, 2)
        clock.move(2.0)
        with interrupted(number, Interruption(), *LAYERS) as happened:
            with suppress(Interruption):
                await other.bridge.tasks()
        there_was_one = happened()
        await other.bridge.tasks()
        eventually(lambda: server.open_connections == 0)
        assert (held(client), held(other)) == ([], []), f"interruption {number}"
        assert (await client.controller.count_conversations())["count"] == 1
        clock.move(60.0)
    assert number > 100
