"""Limits: conversations stored at a time, requests in a window, seconds for a call."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaError, SekhaServerError, SekhaTimeoutError
from sekha._concurrency import AsyncCall, Clock, async_gather
from support import facts
from support.clock import FakeClock, give_clock
from support.facts import ID, MESSAGES
from support.replies import HANG, after, answer, app_error, empty, head, raw, tool
from support.server import FakeServer, eventually

from .conftest import MakeClient

CREATE, STORE, QUERY = "POST /api/v1/conversations", "POST /mcp/tools/memory_store", "POST /api/v1/query"
MADE, STORED, FOUND = answer(facts.CREATED, 201), tool(facts.STORED), answer(facts.hits())


def timed(make: MakeClient, **options: Any) -> AsyncSekhaClient:
    """A client on the real clock."""
    client = make(**options)
    give_clock(client, Clock())
    return client


# Conversations at a time


@pytest.mark.parametrize(
    ("options", "most"), [({}, 4), ({"max_concurrent_writes": 1}, 1), ({"max_concurrent_writes": 9}, 9)]
)
async def test_d52_only_some_conversations_are_stored_at_a_time(
    options: Any, most: int, make: MakeClient, server: FakeServer
) -> None:
    client = make(**options)
    view = client.with_options(max_retries=1)
    server.on(CREATE, *[after(0.3, MADE)] * 8)
    server.on(STORE, *[after(0.3, STORED)] * 4)

    def create(which: AsyncSekhaClient) -> AsyncCall[[], Any]:
        return lambda: which.controller.create_conversation(messages=MESSAGES)

    def store() -> AsyncCall[[], Any]:
        return lambda: client.mcp.memory_store(messages=MESSAGES)

    await async_gather([*[create(client)] * 4, *[store()] * 4, *[create(view)] * 4], 12)
    assert server.most_at_once == most
    assert len(server.seen) == 12


async def test_reading_does_not_wait_for_writing(make: MakeClient, server: FakeServer) -> None:
    client, release = make(), threading.Event()
    server.on(CREATE, *[after(release, MADE)] * 5)
    server.on(QUERY, FOUND)

    async def create() -> Any:
        return await client.controller.create_conversation(messages=MESSAGES)

    async def read() -> Any:
        while server.lines.count(CREATE) < 4:
            await Clock().async_sleep(0.002)
        found = await client.controller.query("x")
        assert server.lines.count(CREATE) == 4
        release.set()
        return found

    answers = await async_gather([create, create, create, create, create, read], 6)
    assert answers[-1]["results"] == []
    assert server.lines.count(CREATE) == 5


async def test_a_place_is_given_back_whatever_happens(make: MakeClient, server: FakeServer) -> None:
    client = make(max_concurrent_writes=1, max_retries=0)
    for reply in (empty(500), empty(422), answer({}), HANG):
        server.on(CREATE, reply)
        view = client.with_options(timeout=0.1) if reply is HANG else client
        with pytest.raises(SekhaError):
            await view.controller.create_conversation(messages=MESSAGES)
    server.on(CREATE, MADE)
    await client.controller.create_conversation(messages=MESSAGES)


async def test_waiting_for_a_place_is_part_of_the_deadline(make: MakeClient, server: FakeServer) -> None:
    client, release = timed(make, max_concurrent_writes=1), threading.Event()
    hasty = client.with_options(deadline=0.1)
    server.on(CREATE, after(release, MADE))

    async def first() -> Any:
        return await client.controller.create_conversation(messages=MESSAGES)

    async def second() -> Any:
        while not server.seen:
            await Clock().async_sleep(0.002)
        try:
            with pytest.raises(SekhaTimeoutError, match=r"0\.1 s") as caught:
                await hasty.controller.create_conversation(messages=MESSAGES)
        finally:
            release.set()
        return caught.value

    made, error = await async_gather([first, second], 2)
    assert made["id"] == ID
    assert (error.sent, error.attempts, error.may_have_been_applied) == (False, 0, False)
    assert len(server.seen) == 1


# Requests in a window


async def test_no_more_requests_than_the_window_allows(make: MakeClient, server: FakeServer, clock: FakeClock) -> None:
    client = make(rate_limit_requests=3, rate_limit_window=10.0)
    times: list[float] = []
    server.always(QUERY, after(lambda: times.append(clock.now()), FOUND))
    for number in range(10):
        await client.controller.query("x")
        if number < 3:
            clock.move(1.0)
    assert [time - times[0] for time in times] == pytest.approx([0, 1, 2, 10, 11, 12, 20, 21, 22, 30])


async def test_repetitions_count_too(make: MakeClient, server: FakeServer, clock: FakeClock) -> None:
    client = make(rate_limit_requests=2, rate_limit_window=60.0)
    times: list[float] = []
    server.on(QUERY, *[after(lambda: times.append(clock.now()), empty(502))] * 4)
    with pytest.raises(SekhaServerError):
        await client.controller.query("x")
    assert times[2] - times[0] >= 60.0
    assert times[3] - times[1] >= 60.0


async def test_waiting_for_the_limiter_is_part_of_the_deadline(
    make: MakeClient, server: FakeServer, clock: FakeClock
) -> None:
    client = make(rate_limit_requests=1, rate_limit_window=60.0, deadline=5.0)
    server.on(QUERY, FOUND)
    await client.controller.query("x")
    before = clock.now()
    with pytest.raises(SekhaTimeoutError) as caught:
        await client.controller.create_conversation(messages=MESSAGES)
    assert clock.now() - before == pytest.approx(5.0)
    assert (caught.value.sent, caught.value.attempts, caught.value.may_have_been_applied) == (False, 0, False)
    assert len(server.seen) == 1
    clock.move(60.0)
    server.on(QUERY, FOUND)
    await client.controller.query("x")  # whoever gave up has left the queue


async def test_the_bridge_has_a_limiter_of_its_own(
    make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    client = make(rate_limit_requests=1, rate_limit_window=60.0)
    server.on(QUERY, FOUND)
    bridge.on("GET /api/v1/tasks", answer([]))
    await client.controller.query("x")
    await client.bridge.tasks()
    assert clock.waits == []


# Seconds


SLOW: list[Any] = [
    pytest.param(HANG, id="never an answer"),
    pytest.param(raw(head(content_length="99") + b"\r\n", end="hang"), id="never a body"),
    pytest.param(
        raw(head(content_length="9999") + b"\r\n", *(step for _ in range(2000) for step in (b" ", 0.005))),
        id="drop by drop",
    ),
]


@pytest.mark.parametrize("reply", SLOW)
async def test_a_deadline_is_kept(reply: Any, make: MakeClient, server: FakeServer) -> None:
    client = timed(make, deadline=0.15, timeout=None)
    for line, call, writes in (
        (QUERY, lambda: client.controller.query("x"), False),
        (CREATE, lambda: client.controller.create_conversation(messages=MESSAGES), True),
    ):
        server.on(line, reply)
        started = Clock().now()
        with pytest.raises(SekhaTimeoutError) as caught:
            await call()
        assert Clock().now() - started < 1.5
        assert (caught.value.sent, caught.value.may_have_been_applied) == (True, writes)
        eventually(lambda: server.open_connections == 0)


async def test_a_deadline_holds_for_all_attempts(make: MakeClient, server: FakeServer, clock: FakeClock) -> None:
    client = make(deadline=4.0, max_retries=9)
    server.on(QUERY, *[after(lambda: clock.move(0.5), app_error("locked", 500))] * 3)
    with pytest.raises(SekhaServerError) as caught:
        await client.controller.query("x")
    # 0.5 s each, and waits of 0.5 and 1.0 s: the third wait, of 2.0 s, would end too late.
    assert (caught.value.attempts, clock.waits) == (3, [0.5, 1.0])
    assert caught.value.elapsed == pytest.approx(3.0)


async def test_the_deadline_of_a_view_begins_with_its_call(
    make: MakeClient, server: FakeServer, clock: FakeClock
) -> None:
    view = make().with_options(deadline=5.0)
    server.always(QUERY, FOUND)
    for _ in range(3):
        clock.move(100.0)
        await view.controller.query("x")
    assert len(server.seen) == 3


async def test_without_a_timeout_a_slow_answer_is_waited_for(make: MakeClient, server: FakeServer) -> None:
    client = timed(make, timeout=None)
    server.on(QUERY, after(0.1, FOUND))
    await client.controller.query("x")
    server.on(QUERY, after(0.3, FOUND), FOUND)
    with pytest.raises(SekhaTimeoutError, match="waiting for the answer"):
        await client.with_options(timeout=0.1, max_retries=0).controller.query("x")
    await client.controller.query("x")


async def test_many_callers_share_few_connections(make: MakeClient, server: FakeServer) -> None:
    client = make(max_connections=3)
    server.always(QUERY, after(0.005, FOUND))

    def query(number: int) -> AsyncCall[[], Any]:
        return lambda: client.controller.query(f"query {number}")

    await async_gather([query(number) for number in range(60)], 30)
    assert {seen.json["query"] for seen in server.seen} == {f"query {number}" for number in range(60)}
    assert server.most_at_once == 3
