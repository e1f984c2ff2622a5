"""The first write to a controller goes alone, and the others wait for it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaServerError, SekhaTimeoutError, WaitEvent
from sekha._concurrency.clock import Clock
from sekha._concurrency.tasks import AsyncCall, async_gather
from sekha.local import LocalSekha
from support import facts
from support.clock import give_clock
from support.facts import MESSAGES
from support.replies import HANG, after, answer, empty, tool
from support.routes import CREATE, HEALTH, STORE
from support.server import FakeServer, eventually

from .conftest import MakeClient

MADE, STORED = answer(facts.CREATED, 201), tool(facts.STORED)
OLD, NEW = answer(facts.HEALTHY), answer({**facts.HEALTHY, "parallel_writes": True})


def create(client: AsyncSekhaClient) -> AsyncCall[[], Any]:
    return lambda: client.controller.create_conversation(messages=MESSAGES)


# ---- the first write goes alone ------------------------------------------------------------------------------------


# D65
@pytest.mark.parametrize("gate", ["shared", "process"])
async def test_the_first_write_goes_alone(gate: str, make: MakeClient, server: FakeServer) -> None:
    client, release = make(write_gate=gate), threading.Event()
    at_once: list[int] = []

    def note() -> None:
        at_once.append(len([line for line in server.lines if line != HEALTH]))

    server.on(HEALTH, after(lambda: release.set(), OLD))
    server.on(CREATE, after(release, after(note, MADE)), *[MADE] * 5)
    server.on(STORE, after(release, after(note, STORED)))

    async def store() -> Any:
        return await client.mcp.memory_store(messages=MESSAGES)

    await async_gather([*[create(client)] * 4, store, create(client.with_options(max_retries=1)), create(client)], 7)
    assert at_once[0] == 1, "none of the others was sent before the first was stored"
    assert server.lines.count(HEALTH) == 1


async def test_after_the_first_several_go_at_a_time(make: MakeClient, server: FakeServer) -> None:
    client = make()
    server.on(CREATE, MADE)
    server.always(HEALTH, OLD)  # asked if one of them finds the lock files in use for a moment
    await create(client)()

    def together() -> None:
        eventually(lambda: server.lines.count(CREATE) == 5)

    server.on(CREATE, *[after(together, MADE)] * 4)
    await async_gather([create(client)] * 4, 4)


@pytest.mark.parametrize("failure", [empty(500), empty(422), HANG])
async def test_if_the_first_fails_the_next_one_is_the_first(failure: Any, make: MakeClient, server: FakeServer) -> None:
    client, release = make(max_retries=0, timeout=1.0 if failure is HANG else 30.0), threading.Event()
    give_clock(client, Clock())
    at_once: list[int] = []
    server.on(HEALTH, after(release.set, OLD))
    first = failure if failure is HANG else after(release, failure)
    server.on(CREATE, first, after(lambda: at_once.append(server.lines.count(CREATE)), after(0.05, MADE)), MADE, MADE)

    async def quietly() -> bool:
        try:
            await create(client)()
        except (SekhaServerError, SekhaTimeoutError, ValueError):
            return False
        return True

    stored = await async_gather([quietly] * 4, 4)
    assert stored.count(False) == 1
    assert at_once == [2]


async def test_a_writer_without_company_asks_nothing(make: MakeClient, server: FakeServer) -> None:
    client = make()
    server.on(CREATE, *[MADE] * 3)
    for _ in range(3):
        await create(client)()
    assert server.lines == [CREATE] * 3


@pytest.mark.parametrize("gate", ["shared", "process"])
async def test_nobody_waits_for_a_server_that_takes_parallel_writes(
    gate: str, make: MakeClient, server: FakeServer
) -> None:
    client = make(write_gate=gate)

    def together() -> None:
        eventually(lambda: server.lines.count(CREATE) == 4)

    server.on(HEALTH, NEW)
    server.on(CREATE, *[after(together, MADE)] * 4)
    await async_gather([create(client)] * 4, 4)
    assert server.lines.count(HEALTH) == 1
    assert client._controller_transport._state.write_gate.locks is None


@pytest.mark.parametrize("health", [empty(500), empty(404), answer({"status": "healthy", "parallel_writes": "true"})])
async def test_without_that_word_they_wait(health: Any, make: MakeClient, server: FakeServer) -> None:
    client, release = make(), threading.Event()
    waits: list[int] = []
    server.always(HEALTH, after(release.set, health))
    server.on(
        CREATE, after(release, after(0.05, after(lambda: waits.append(server.lines.count(CREATE)), MADE))), MADE, MADE
    )
    await async_gather([create(client)] * 3, 3)
    assert waits == [1]


@pytest.mark.parametrize("health", [OLD, HANG], ids=["which waits", "which asks the server"])
async def test_a_write_that_waits_for_the_first_ends_at_its_deadline(
    health: Any, make: MakeClient, server: FakeServer
) -> None:
    client, release = make(), threading.Event()
    give_clock(client, Clock())
    server.on(HEALTH, health)
    server.on(CREATE, after(release, MADE))

    async def wait() -> None:
        while not server.seen:
            await Clock().async_sleep(0.002)
        try:
            with pytest.raises(SekhaTimeoutError) as caught:
                await create(client.with_options(deadline=0.7))()
            assert (caught.value.sent, caught.value.may_have_been_applied) == (False, False)
        finally:
            release.set()

    await async_gather([create(client), wait], 2)
    assert server.lines.count(CREATE) == 1


# ---- against the profiles ------------------------------------------------------------------------------------------


def texts(number: int) -> list[Any]:
    words = ("apple", "bridge", "candle", "desert", "engine", "forest", "garden", "harbour", "island", "jacket")
    return [[{"role": "user", "content": f"{word} {other}"}] for word in words for other in words][:number]


@pytest.mark.parametrize("gate", ["shared", "process"])
async def test_no_first_write_loses_its_embedding(gate: str, sekha_0_1: LocalSekha) -> None:
    async with AsyncSekhaClient(**sekha_0_1.options, write_gate=gate) as client:  # type: ignore[arg-type]  # any text

        def store(messages: Any) -> AsyncCall[[], Any]:
            return lambda: client.controller.create_conversation(messages=messages)

        await async_gather([store(messages) for messages in texts(30)], 30)
        found = await client.controller.query("apple", limit=100)
    assert len(found["results"]) == 30


async def test_an_import_loses_no_embedding(sekha_0_1: LocalSekha) -> None:
    waits: list[WaitEvent] = []
    async with AsyncSekhaClient(**sekha_0_1.options, on_wait=waits.append) as client:
        items = [{"messages": messages} for messages in texts(30)]
        report = await client.controller.import_conversations(items, concurrency=8)
        assert report["stored"] == 30
        assert len((await client.controller.query("apple", limit=100))["results"]) == 30
    assert {wait.reason for wait in waits} == {"write_slot"}


async def test_writes_to_the_documented_local_sekha_are_not_held_up(sekha: LocalSekha) -> None:
    async with AsyncSekhaClient(**sekha.options) as client:

        def store(messages: Any) -> AsyncCall[[], Any]:
            return lambda: client.controller.create_conversation(messages=messages)

        await async_gather([store(messages) for messages in texts(30)], 30)
        assert len((await client.controller.query("apple", limit=100))["results"]) == 30
        assert client._controller_transport._state.write_gate.locks is None
