# Generated from tests/_async/test_idle.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Idle connections: closed when their time is over, by the next call of any client in the process."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest

from sekha import SekhaClient, SekhaAPIError
from sekha._sync import transport
from sekha._sync.http import connection, network, pool
from sekha._concurrency.clock import Clock
from sekha._concurrency.tasks import gather
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


def burst(client: SekhaClient, server: FakeServer, count: int) -> None:
    """Make calls at the same time, each on a connection of its own."""
    together = threading.Barrier(count)
    server.on(HEALTH, *[after(lambda: together.wait(10), WELL)] * count)
    gather([client.controller.health] * count, count)


def call(client: SekhaClient, bridge: FakeServer) -> None:
    """Make a call of another client, to another server."""
    bridge.on(TASKS, answer(["chat"]))
    client.bridge.tasks()


def test_after_a_burst_a_call_of_another_client_closes_what_was_idle(
    make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    first, other = make(), make()
    burst(first, server, 30)
    clock.move(1.9)
    call(other, bridge)
    assert server.open_connections == 20, "their time is not over"
    clock.move(0.1)
    call(other, bridge)
    eventually(lambda: server.open_connections == 0)
    assert bridge.open_connections == 1
    burst(first, server, 30)
    assert server.connections == 60


def test_each_is_closed_by_the_first_call_after_its_own_time(
    make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    first, second, other = make(), make(), make()
    for client in (first, second):  # idle since 0.0 and since 0.7
        burst(client, server, 3)
        clock.move(0.7)
    for seconds, left in ((0.5, 6), (0.1, 3), (0.6, 3), (0.1, 0)):
        clock.move(seconds)
        call(other, bridge)
        eventually(lambda: server.open_connections == left)  # noqa: B023 - called at once


def test_a_connection_that_is_in_use_is_left_alone(
    make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    client, other = make(), make()

    def slow() -> None:
        started, done = threading.Event(), threading.Event()
        server.on(HEALTH, after(started.set, after(done, WELL)))

        def meanwhile() -> None:
            while not started.is_set():
                Clock().sleep(0.002)
            clock.move(60.0)
            call(other, bridge)
            done.set()

        gather([client.controller.health, meanwhile], 2)

    burst(client, server, 1)
    slow()
    assert (server.connections, server.open_connections) == (1, 1)


@pytest.mark.parametrize("outcome", ["a refusal", "a client of its own", "a view"])
def test_any_call_will_do(
    outcome: str, make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    client, other = make(), make(max_retries=0)
    burst(client, server, 2)
    clock.move(2.0)
    bridge.on(TASKS, empty(500) if outcome == "a refusal" else answer(["chat"]))
    view = other.with_options(timeout=5.0) if outcome == "a view" else other
    caller = view if outcome != "a client of its own" else make()
    with suppress(SekhaAPIError):
        caller.bridge.tasks()
    eventually(lambda: server.open_connections == 0)


def test_with_tls_as_well(make: MakeClient, bridge: FakeServer, clock: FakeClock, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    server = FakeServer(tls=certificates.server())
    client, other = make(controller_url=server.url, verify=certificates.ca), make()
    burst(client, server, 3)
    clock.move(2.0)
    call(other, bridge)
    eventually(lambda: server.open_connections == 0)
    server.close()


def test_clients_with_clocks_of_their_own_do_not_keep_each_other_from_it(
    make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    client, ahead, stopped, other = make(), make(), make(), make()
    for one, seconds in ((ahead, 1e9), (stopped, 0.0)):
        its_own = FakeClock()
        its_own.move(seconds)
        give_clock(one, its_own)
        burst(one, server, 1)
    burst(client, server, 3)
    clock.move(2.0)
    call(ahead, bridge)
    call(other, bridge)
    eventually(lambda: server.open_connections == 2)


@pytest.mark.promise("R5")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # what is interrupted before anybody has it is collected
@pytest.mark.parametrize("between", [False, True], ids=["before a line", "in a line"])
def test_wherever_the_call_is_interrupted_nothing_is_lost(
    between: bool, make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    server.always(COUNT, answer({"count": 1}))
    bridge.always(TASKS, answer(["chat"]))
    client, other = make(max_connections=2, timeout=5.0), make(max_retries=0, timeout=5.0)
    interrupted = interrupted_between if between else interrupted_at
    number, there_was_one = 0, True
    while there_was_one:
        number += 1
        burst(client, server, 2)
        clock.move(2.0)
        with interrupted(number, Interruption(), *LAYERS) as happened:
            with suppress(Interruption):
                other.bridge.tasks()
        there_was_one = happened()
        other.bridge.tasks()
        eventually(lambda: server.open_connections == 0)
        assert (held(client), held(other)) == ([], []), f"interruption {number}"
        assert (client.controller.count_conversations())["count"] == 1
        clock.move(60.0)
    assert number > 100
