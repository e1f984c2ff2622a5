"""Limits: conversations stored at a time, requests in a window, connections."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaError, SekhaServerError
from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import AsyncWakeup
from sekha._concurrency.tasks import AsyncCall, async_gather
from sekha.config._validation import MAX_SECONDS
from support import facts
from support.clock import FakeClock, give_clock
from support.facts import MESSAGES
from support.replies import HANG, after, answer, empty, tool
from support.routes import CREATE, HEALTH, QUERY, STORE
from support.server import FakeServer, eventually

from .conftest import MakeClient

MADE, STORED, FOUND = answer(facts.CREATED, 201), tool(facts.STORED), answer(facts.hits())


def timed(make: MakeClient, **options: Any) -> AsyncSekhaClient:
    """A client on the real clock."""
    client = make(**options)
    give_clock(client, Clock())
    return client


# Conversations at a time


# D52
@pytest.mark.parametrize(
    ("options", "most"), [({}, 4), ({"max_concurrent_writes": 1}, 1), ({"max_concurrent_writes": 9}, 9)]
)
async def test_only_some_conversations_are_stored_at_a_time(
    options: Any, most: int, make: MakeClient, server: FakeServer
) -> None:
    client = make(**options)
    view = client.with_options(max_retries=1)
    server.on(CREATE, MADE)
    server.on(QUERY, FOUND)
    server.on(HEALTH, answer(facts.HEALTHY))
    await client.controller.create_conversation(messages=MESSAGES)  # the first one goes alone
    await client.controller.query("x", filters={"label": "x"})  # asks what the server can do

    def as_many_as_may() -> None:
        eventually(lambda: len(writes(server)) > most)

    # The first wait for each other, and then all for one more that must not come.
    server.on(CREATE, *[after(as_many_as_may, after(0.03, MADE))] * 8)
    server.on(STORE, *[after(as_many_as_may, after(0.03, STORED))] * 4)

    def create(which: AsyncSekhaClient) -> AsyncCall[[], Any]:
        return lambda: which.controller.create_conversation(messages=MESSAGES)

    def store() -> AsyncCall[[], Any]:
        return lambda: client.mcp.memory_store(messages=MESSAGES)

    await async_gather([*[create(client)] * 4, *[store()] * 4, *[create(view)] * 4], 12)
    assert server.most_at_once == most
    assert len(writes(server)) == 13


def writes(server: FakeServer) -> list[str]:
    return [line for line in server.lines if line in (CREATE, STORE)]


async def test_reading_does_not_wait_for_writing(make: MakeClient, server: FakeServer) -> None:
    client, release = make(), threading.Event()
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(CREATE, MADE, *[after(release, MADE)] * 5)
    server.on(QUERY, FOUND)
    await client.controller.create_conversation(messages=MESSAGES)

    async def create() -> Any:
        return await client.controller.create_conversation(messages=MESSAGES)

    async def read() -> Any:
        while server.lines.count(CREATE) < 5:
            await Clock().async_sleep(0.002)
        found = await client.controller.query("x")
        assert server.lines.count(CREATE) == 5
        release.set()
        return found

    answers = await async_gather([create, create, create, create, create, read], 6)
    assert answers[-1]["results"] == []
    assert server.lines.count(CREATE) == 6


async def test_a_place_is_given_back_whatever_happens(make: MakeClient, server: FakeServer) -> None:
    client = make(max_concurrent_writes=1, max_retries=0)
    for reply in (empty(500), empty(422), answer({}), HANG):
        server.on(CREATE, reply)
        view = client.with_options(timeout=0.5) if reply is HANG else client
        with pytest.raises(SekhaError):
            await view.controller.create_conversation(messages=MESSAGES)
    server.on(CREATE, MADE)
    await client.controller.create_conversation(messages=MESSAGES)


# Requests in a window


@pytest.mark.promise("R12")
async def test_no_more_requests_than_a_window_allows(make: MakeClient, server: FakeServer, clock: FakeClock) -> None:
    client = make(rate_limit_requests=3, rate_limit_window=10.0)
    times: list[float] = []
    server.always(QUERY, after(lambda: times.append(clock.now()), FOUND))
    for number in range(10):
        await client.controller.query("x")
        if number < 3:
            clock.move(1.0)
    assert [time - times[0] for time in times] == pytest.approx([0, 1, 2, 10, 11, 12, 20, 21, 22, 30])


@pytest.mark.promise("R12")
async def test_nobody_waits_for_the_limiter_with_its_lock(
    make: MakeClient, server: FakeServer, clock: FakeClock
) -> None:
    client = make(rate_limit_requests=1, rate_limit_window=10.0)
    lock = client._controller_transport._state.rate_limiter.get()._lock._lock
    free: list[bool] = []

    def take() -> None:
        free.append(lock.acquire(timeout=5.0))
        if free[-1]:
            lock.release()

    clock.on_wait = take
    server.always(QUERY, FOUND)

    def query(number: int) -> AsyncCall[[], Any]:
        return lambda: client.controller.query(f"query {number}")

    await async_gather([query(number) for number in range(5)], 5)
    assert len(server.seen) == 5
    assert free
    assert all(free)


@pytest.mark.promise("R12")
async def test_jumps_of_the_wall_clock_change_nothing(
    make: MakeClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = timed(make, rate_limit_requests=1, rate_limit_window=0.2)
    asked: list[float] = []
    arrived: list[float] = []
    server.always(QUERY, after(lambda: arrived.append(Clock().now()), FOUND))
    real = time.time
    for jump in (0.0, 86_400.0, 86_399.0):
        monkeypatch.setattr("time.time", lambda jump=jump: real() + jump)
        asked.append(Clock().now())
        await client.controller.query("x")
    # A token is taken after the call has begun, and before its request arrives.
    assert arrived[1] - asked[0] >= 0.2
    assert arrived[2] - asked[1] >= 0.2
    assert arrived[2] - asked[0] < 60.0


@pytest.mark.promise("R12")
async def test_repetitions_count_too(make: MakeClient, server: FakeServer, clock: FakeClock) -> None:
    client = make(rate_limit_requests=2, rate_limit_window=60.0)
    times: list[float] = []
    server.on(QUERY, *[after(lambda: times.append(clock.now()), empty(502))] * 4)
    with pytest.raises(SekhaServerError):
        await client.controller.query("x")
    assert times[2] - times[0] >= 60.0
    assert times[3] - times[1] >= 60.0


@pytest.mark.promise("R12")
async def test_the_bridge_has_a_limiter_of_its_own(
    make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    client = make(rate_limit_requests=1, rate_limit_window=60.0)
    server.on(QUERY, FOUND)
    bridge.on("GET /api/v1/tasks", answer([]))
    await client.controller.query("x")
    await client.bridge.tasks()
    assert clock.waits == []


# Connections


async def test_many_callers_share_few_connections(make: MakeClient, server: FakeServer) -> None:
    client = make(max_connections=3)
    server.always(QUERY, after(0.005, FOUND))

    def query(number: int) -> AsyncCall[[], Any]:
        return lambda: client.controller.query(f"query {number}")

    await async_gather([query(number) for number in range(60)], 30)
    assert {seen.json["query"] for seen in server.seen} == {f"query {number}" for number in range(60)}
    assert server.most_at_once <= 3


async def test_a_wait_for_others_may_be_longer_than_the_system_waits_at_once(
    make: MakeClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows waits for a lock for 49 days at most, and raises an `OverflowError` for more."""
    asked: list[float] = []
    wait = AsyncWakeup.wait

    async def noted(self: AsyncWakeup, seconds: float) -> bool:
        asked.append(seconds)
        return await wait(self, seconds)

    monkeypatch.setattr(AsyncWakeup, "wait", noted)
    client = timed(make, max_connections=1, max_concurrent_writes=1, timeout=MAX_SECONDS, deadline=MAX_SECONDS)
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(CREATE, *[after(0.05, MADE)] * 2)
    server.on(QUERY, *[after(0.02, FOUND)] * 2)

    async def create() -> None:
        await client.controller.create_conversation(messages=MESSAGES)

    async def query() -> None:
        await client.controller.query("x")

    await async_gather([create, create, query, query], 4)
    assert len(asked) >= 3, "one for the write slot, two for the connection"
    assert max(asked) <= 60
