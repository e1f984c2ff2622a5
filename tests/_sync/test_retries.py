# Generated from tests/_async/test_retries.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""R2: how often a request is on the wire, fault by fault, by section 4 of the decisions."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sekha import (
    SekhaClient,
    SekhaConnectionError,
    SekhaError,
    SekhaNotFoundError,
    SekhaRateLimitError,
    SekhaTimeoutError,
)
from sekha._concurrency.clock import Clock
from sekha._concurrency.tasks import gather
from support import facts
from support.attempts import CASES, FAULTS, MISFITS, TURNED_AWAY, UNKNOWN, UNREACHABLE, documented
from support.calls import BY_NAME, CALLS, MODELS, Call
from support.clock import FakeClock
from support.facts import ID
from support.nobody import Unreachable
from support.replies import DROP, after, answer, app_error, empty, raw
from support.server import FakeServer, eventually

from .conftest import MakeClient

QUERY, CREATE = "POST /api/v1/query", "POST /api/v1/conversations"
SEARCH = "POST /mcp/tools/memory_search"
FOUND = answer(facts.hits(facts.hit()))

# Pure code decides which attempts follow which fault: unit/transport/test_retry.py has the whole table. On the wire
# stands every fault with a call of each class, and some faults with every sample.
OF_EACH_CLASS = ("controller.query", "controller.create_conversation", "controller.summarize")
WITH_EVERY_SAMPLE = ("503 with Retry-After", "500", "closed", "422", "no JSON")
SLOW = "no answer"
ON_THE_WIRE = [
    pytest.param(call, fault, id=f"{call.name}-{fault}", marks=[pytest.mark.slow] if fault == SLOW else [])
    for call, fault in CASES
    if call.name in OF_EACH_CLASS or fault in WITH_EVERY_SAMPLE
]
of_each_service = pytest.mark.parametrize(
    "call",
    [BY_NAME[name] for name in ("controller.query", "mcp.memory_store", "bridge.stream_complete")],
    ids=lambda call: call.name,
)


@pytest.mark.promise("R2", "W9")
@pytest.mark.parametrize(("call", "fault"), ON_THE_WIRE)
def test_number_of_requests_after_each_fault(
    call: Call, fault: str, make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    reply, cls = FAULTS[fault]
    asked = bridge if call.service == MODELS else server
    (wire,) = call.wires
    for max_retries, expected in documented(call, fault).items():
        if fault == SLOW and max_retries != 1:
            continue
        asked.seen.clear()
        clock.waits.clear()
        client = make(max_retries=max_retries, timeout=0.5 if fault == SLOW else 30.0)
        asked.on(wire.line, *[reply] * expected)
        with pytest.raises(SekhaError) as caught:
            call.on(client)
        error = caught.value
        eventually(lambda: len(asked.seen) >= expected)  # noqa: B023
        assert len(asked.seen) == expected
        assert len({seen.body for seen in asked.seen}) == 1
        assert type(error) is cls
        assert (error.attempts, error.sent) == (expected, True)
        assert f"{error.method} {error.path}" == wire.line
        assert error.may_have_been_applied == (call.writes and fault in {**UNKNOWN, **MISFITS})
        assert ("it may have been applied" in str(error)) == error.may_have_been_applied
        waits = [2.0, 2.0, 2.0] if fault == "503 with Retry-After" else [0.5, 1.0, 2.0]
        assert clock.waits == waits[: expected - 1]
        assert error.elapsed == sum(clock.waits)


@pytest.mark.promise("R2")
@pytest.mark.parametrize("fault", ["refused", pytest.param("connect timeout", marks=pytest.mark.slow)])
@of_each_service
def test_attempts_to_connect(call: Call, fault: str, make: MakeClient, clock: FakeClock) -> None:
    silent = fault == "connect timeout"
    with Unreachable(silent=silent) as nobody:
        for max_retries, expected in documented(call, fault).items():
            clock.waits.clear()
            client = make(
                controller_url=nobody.url,
                bridge_url=nobody.url,
                max_retries=max_retries,
                timeout=0.02 if silent else 30.0,
            )
            with pytest.raises(SekhaConnectionError) as caught:
                call.on(client)
            error = caught.value
            assert type(error) is UNREACHABLE[fault]
            assert (error.attempts, error.sent, error.may_have_been_applied) == (expected, False, False)
            assert clock.waits == [0.5, 1.0, 2.0][: expected - 1]
            assert nobody.url.replace("http://", "") in str(error)
            assert error.__cause__ is not None
    assert nobody.server.seen == []


@pytest.mark.promise("R2")
@of_each_service
def test_attempts_to_get_a_connection_from_the_pool(
    call: Call, make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    client, go_on = make(max_connections=1, timeout=None), threading.Event()
    asked = bridge if call.service == MODELS else server
    asked.on("GET /health", after(go_on, answer(facts.BRIDGE_HEALTHY if asked is bridge else facts.HEALTHY)))

    def hold() -> Any:
        return (client.bridge if asked is bridge else client.controller).health()

    def wait_in_vain() -> None:
        while not asked.seen:
            Clock().sleep(0.002)
        try:
            for max_retries, expected in documented(call, "pool timeout").items():
                clock.waits.clear()
                with pytest.raises(SekhaTimeoutError) as caught:
                    call.on(client.with_options(max_retries=max_retries, timeout=0.02))
                error = caught.value
                assert (error.attempts, error.sent, error.may_have_been_applied) == (expected, False, False)
                assert clock.waits == [0.5, 1.0, 2.0][: expected - 1]
        finally:
            go_on.set()

    gather([hold, wait_in_vain], 2)
    assert asked.lines == ["GET /health"]


@pytest.mark.promise("R1", "R2")
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_every_method_is_repeated_as_its_class_says(
    call: Call, make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    client = make(max_retries=2)
    asked = bridge if call.service == MODELS else server
    *first, last = call.wires
    for wire in first:
        asked.on(wire.line, wire.reply)
    expected = {"YES": 3, "NO": 1, "ONCE": 2}[call.repeat]
    asked.on(last.line, *[DROP] * expected)
    with pytest.raises(SekhaConnectionError) as caught:
        call.on(client)
    assert len(asked.seen) == len(first) + expected
    assert caught.value.attempts == expected
    assert caught.value.may_have_been_applied == call.writes


# D38
def test_the_controllers_429_says_when_to_come_back_and_empties_the_bucket(
    make: MakeClient, server: FakeServer, clock: FakeClock
) -> None:
    client = make(max_retries=0)
    server.on(QUERY, TURNED_AWAY["429"][0], FOUND)
    with pytest.raises(SekhaRateLimitError) as caught:
        client.controller.query("x")
    assert caught.value.retry_after == 60.0
    before = clock.now()
    client.controller.query("x")  # waits for a whole window
    assert 60.0 <= clock.now() - before < 61.0


def test_the_bridges_429_leaves_the_controller_alone(
    make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    client = make(max_retries=0)
    bridge.on("POST /embed", empty(429))
    server.on(QUERY, FOUND)
    with pytest.raises(SekhaRateLimitError) as caught:
        client.bridge.embed("x")
    assert caught.value.retry_after is None
    client.controller.query("x")
    assert clock.waits == []


@pytest.mark.parametrize("earlier", ["closed", "502"])
def test_a_repeated_delete_that_finds_nothing_has_succeeded(
    earlier: str, client: SekhaClient, server: FakeServer
) -> None:
    gone = app_error(facts.NO_CONVERSATION, 404)
    server.on(f"DELETE /api/v1/conversations/{ID}", UNKNOWN[earlier][0], gone)
    client.controller.delete_conversation(ID)


def test_a_delete_that_finds_nothing_at_first_has_not(client: SekhaClient, server: FakeServer) -> None:
    gone = app_error(facts.NO_CONVERSATION, 404)
    server.on(f"DELETE /api/v1/conversations/{ID}", gone, TURNED_AWAY["429"][0], gone)
    for attempts in (1, 2):
        with pytest.raises(SekhaNotFoundError) as caught:
            client.controller.delete_conversation(ID)
        assert caught.value.attempts == attempts


@pytest.mark.promise("R1")
def test_a_write_after_one_of_unknown_outcome_says_so(make: MakeClient, server: FakeServer) -> None:
    server.on(f"PUT /api/v1/conversations/{ID}/pin", DROP, TURNED_AWAY["429"][0])
    with pytest.raises(SekhaRateLimitError) as caught:
        make(max_retries=1).controller.pin_conversation(ID)
    assert caught.value.may_have_been_applied is True


@pytest.mark.parametrize("name", ["controller.query", "controller.create_conversation", "bridge.complete"])
def test_a_connection_that_the_server_closed_meanwhile_is_not_met(
    name: str, client: SekhaClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    call = BY_NAME[name]
    (wire,) = call.wires
    asked = bridge if call.service == MODELS else server
    asked.on(wire.line, raw(*wire.reply.steps, end="close"), wire.reply)
    call.on(client)
    eventually(lambda: asked.open_connections == 0)
    call.on(client)
    assert [seen.connection for seen in asked.seen] == [1, 2]
    assert clock.waits == []


def test_connections_are_used_again(client: SekhaClient, server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    for _ in range(3):
        client.controller.health()
    assert server.connections == 1
