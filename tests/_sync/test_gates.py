# Generated from tests/_async/test_gates.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Gates of users: what they are asked, and what becomes of their answers and errors."""

from __future__ import annotations

import threading
from typing import Any, Optional

import pytest

from sekha import SekhaConfigError, SekhaError, SekhaTimeoutError, SekhaValidationError, WaitEvent
from sekha._concurrency.tasks import gather
from support import facts
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


def test_a_write_asks_the_gate_and_gives_back(make: MakeClient, server: FakeServer) -> None:
    gate = CountingGate()
    client = make(write_gate=gate)
    server.on(CREATE, MADE, empty(422), MADE)
    server.on(QUERY, FOUND)
    client.controller.create_conversation(messages=MESSAGES)
    with pytest.raises(SekhaValidationError):
        client.controller.create_conversation(messages=MESSAGES)
    client.with_options(deadline=5.0).controller.create_conversation(messages=MESSAGES)
    client.controller.query("tea")
    assert (gate.asked, gate.held, gate.released) == ([0.0, 0.0, 0.0], 0, 3)


def test_writes_wait_for_the_gate(make: MakeClient, server: FakeServer) -> None:
    gate, waits = CountingGate(), list[WaitEvent]()
    client = make(write_gate=gate, on_wait=waits.append)
    server.always(HEALTH, OLD)
    server.always(CREATE, MADE)

    def create() -> None:
        client.controller.create_conversation(messages=MESSAGES)

    gather([create] * 8, 8)
    assert (gate.most, gate.held, gate.released) == (1, 0, 8)
    assert {(wait.reason, wait.seconds) for wait in waits} == {("write_slot", None)}


def test_a_deadline_ends_the_wait(make: MakeClient, server: FakeServer) -> None:
    gate = CountingGate(0)
    client = make(write_gate=gate, deadline=0.2)
    server.on(HEALTH, OLD)
    with pytest.raises(SekhaTimeoutError) as caught:
        client.controller.create_conversation(messages=MESSAGES)
    assert (caught.value.sent, caught.value.may_have_been_applied) == (False, False)


class Raising:
    def acquire(self, deadline: Optional[float]) -> Any:
        raise OSError("the lock server is away")


class Odd:
    def acquire(self, deadline: Optional[float]) -> Any:
        return True


@pytest.mark.parametrize("setting", ["write_gate", "rate_limiter"])
def test_an_error_of_a_gate_is_that_of_the_call(setting: str, make: MakeClient, server: FakeServer) -> None:
    client = make(**{setting: Raising()})
    with pytest.raises(SekhaError) as caught:
        client.controller.create_conversation(messages=MESSAGES)
    assert caught.value.message == f"{setting}: Raising raised OSError: the lock server is away"
    assert isinstance(caught.value.__cause__, OSError)
    assert (caught.value.sent, caught.value.attempts) == (False, 0)


@pytest.mark.parametrize("setting", ["write_gate", "rate_limiter"])
def test_a_gate_that_returns_something_else_is_refused(
    setting: str, make: MakeClient, server: FakeServer
) -> None:
    client = make(**{setting: Odd()})
    with pytest.raises(SekhaConfigError, match=rf"^{setting}: acquire\(\) of Odd must return a function .* not bool"):
        client.controller.create_conversation(messages=MESSAGES)
