"""Gates of users: what they are asked, and what becomes of their answers and errors."""

from __future__ import annotations

import logging
import threading
from typing import Any, Optional

import pytest

from sekha import SekhaConfigError, SekhaError, SekhaTimeoutError, SekhaValidationError, WaitEvent
from sekha._concurrency.tasks import async_gather
from support import facts
from support.clock import FakeClock
from support.facts import MESSAGES
from support.replies import answer, empty
from support.routes import CREATE, HEALTH, QUERY
from support.server import FakeServer

from .conftest import MakeClient

MADE, OLD, FOUND = (
    answer(facts.CREATED, 201),
    answer(facts.HEALTHY),
    answer({"results": [], "total": 0, "page": 1, "page_size": 10}),
)


class CountingGate:
    """A gate with a number of places that notes what it is asked."""

    def __init__(self, places: int = 1) -> None:
        self.semaphore = threading.Semaphore(places)
        self.asked: list[Optional[float]] = []
        self.held = 0
        self.most = 0
        self.released = 0

    def acquire(self, deadline: Optional[float]) -> Any:
        self.asked.append(deadline)
        if not self.semaphore.acquire(timeout=deadline):
            return None
        self.held += 1
        self.most = max(self.most, self.held)
        return self.release

    def release(self) -> None:
        self.held -= 1
        self.released += 1
        self.semaphore.release()


async def test_a_write_asks_the_gate_and_gives_back(make: MakeClient, server: FakeServer) -> None:
    gate = CountingGate()
    client = make(write_gate=gate)
    server.on(CREATE, MADE, empty(422), MADE)
    server.on(QUERY, FOUND)
    await client.controller.create_conversation(messages=MESSAGES)
    with pytest.raises(SekhaValidationError):
        await client.controller.create_conversation(messages=MESSAGES)
    await client.with_options(deadline=5.0).controller.create_conversation(messages=MESSAGES)
    await client.controller.query("tea")
    assert (gate.asked, gate.held, gate.released) == ([0.0, 0.0, 0.0], 0, 3)


async def test_writes_wait_for_the_gate(make: MakeClient, server: FakeServer) -> None:
    gate, waits = CountingGate(), list[WaitEvent]()
    client = make(write_gate=gate, on_wait=waits.append)
    server.always(HEALTH, OLD)
    server.always(CREATE, MADE)

    async def create() -> None:
        await client.controller.create_conversation(messages=MESSAGES)

    await async_gather([create] * 8, 8)
    assert (gate.most, gate.held, gate.released) == (1, 0, 8)
    assert {(wait.reason, wait.seconds) for wait in waits} == {("write_slot", None)}


async def test_a_deadline_ends_the_wait(make: MakeClient, server: FakeServer) -> None:
    gate = CountingGate(0)
    client = make(write_gate=gate, deadline=0.2)
    server.always(HEALTH, OLD)
    with pytest.raises(SekhaTimeoutError) as caught:
        await client.controller.create_conversation(messages=MESSAGES)
    assert (caught.value.sent, caught.value.may_have_been_applied) == (False, False)


class Raising:
    def acquire(self, deadline: Optional[float]) -> Any:
        raise OSError("the lock server is away")


class Odd:
    def acquire(self, deadline: Optional[float]) -> Any:
        return True


@pytest.mark.parametrize("setting", ["write_gate", "rate_limiter"])
async def test_an_error_of_a_gate_is_that_of_the_call(setting: str, make: MakeClient, server: FakeServer) -> None:
    client = make(**{setting: Raising()})
    with pytest.raises(SekhaError) as caught:
        await client.controller.create_conversation(messages=MESSAGES)
    assert caught.value.message == f"{setting}: Raising raised OSError: the lock server is away"
    assert isinstance(caught.value.__cause__, OSError)
    assert (caught.value.sent, caught.value.attempts) == (False, 0)


@pytest.mark.parametrize("setting", ["write_gate", "rate_limiter"])
async def test_a_gate_that_returns_something_else_is_refused(
    setting: str, make: MakeClient, server: FakeServer
) -> None:
    client = make(**{setting: Odd()})
    with pytest.raises(SekhaConfigError, match=rf"^{setting}: acquire\(\) of Odd must return a function .* not bool"):
        await client.controller.create_conversation(messages=MESSAGES)


class Nameless(CountingGate):
    def release(self) -> None:
        super().release()
        raise OSError


async def test_a_failure_without_words_is_logged_by_its_class(
    make: MakeClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(write_gate=Nameless())
    server.on(CREATE, MADE)
    with caplog.at_level(logging.WARNING):
        await client.controller.create_conversation(messages=MESSAGES)
    assert [record.getMessage() for record in caplog.records] == ["write_gate: release failed: OSError"]


class RefusingToRelease(CountingGate):
    def release(self) -> None:
        super().release()
        raise OSError("the lock server is away")


async def test_a_release_that_fails_does_not_fail_the_call(
    make: MakeClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(write_gate=RefusingToRelease())
    server.on(CREATE, MADE, MADE)
    for _ in range(2):
        assert (await client.controller.create_conversation(messages=MESSAGES))["id"] == facts.ID
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == ["write_gate: release failed: the lock server is away"]


class NeverWaiting:
    """It lets the fifth question through."""

    def __init__(self) -> None:
        self.asked = 0

    def acquire(self, deadline: Optional[float]) -> Any:
        self.asked += 1
        return (lambda: None) if self.asked >= 5 else None


async def test_a_gate_that_cannot_wait_is_asked_again(make: MakeClient, server: FakeServer, clock: FakeClock) -> None:
    gate = NeverWaiting()
    client = make(rate_limiter=gate)
    server.on(QUERY, FOUND)
    await client.controller.query("tea")
    assert gate.asked == 5
    assert clock.waits == [0.02] * 3


async def test_a_rate_limiter_is_asked_before_every_request_to_each_server(
    make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    gate, waits = CountingGate(1), list[WaitEvent]()
    client = make(rate_limiter=gate, max_retries=1, on_wait=waits.append)
    server.on(QUERY, empty(503), FOUND)
    bridge.on("POST /embed", answer(facts.EMBEDDING))
    await client.controller.query("tea")
    await client.bridge.embed("tea")
    assert (gate.asked, gate.released, waits) == ([0.0] * 3, 3, [])


async def test_a_health_check_does_not_wait_for_a_limiter(make: MakeClient, server: FakeServer) -> None:
    gate = CountingGate(0)
    client = make(rate_limiter=gate)
    server.on(HEALTH, OLD)
    server.always("GET /api/v1/conversations?page=1&page_size=1", answer({"conversations": [], "total": 0}))
    await client.controller.health()
    assert set(gate.asked) == {0.0}


async def test_views_share_the_gate(make: MakeClient, server: FakeServer) -> None:
    gate = CountingGate()
    client = make(write_gate=gate)
    server.on(CREATE, MADE, MADE)
    await client.in_folder("/a").controller.create_conversation(messages=MESSAGES)
    await client.with_options(max_retries=0).controller.create_conversation(messages=MESSAGES)
    assert gate.released == 2
