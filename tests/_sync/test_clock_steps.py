# Generated from tests/_async/test_clock_steps.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""What ended a wait, the deadline or a timeout, also where the clock moves in steps as that of Windows does."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sekha import SekhaClient, SekhaTimeoutError
from support import facts
from support.clock import SteppingClock, give_clock
from support.facts import MESSAGES
from support.nobody import Unreachable
from support.replies import HANG, answer, chunked, delta
from support.server import FakeServer

from .conftest import MakeClient

CREATE, QUERY, CHAT = "POST /api/v1/conversations", "POST /api/v1/query", "POST /v1/chat/completions"
PASSED = "the deadline of 0.1 s passed"
POSITIONS = pytest.mark.parametrize("position", [0.0, 0.97])
"""Where in a step of 40 ms the call begins: a deadline in 100 ms is then early or late by up to 40 ms."""


def stepping(make: MakeClient, position: float, **options: Any) -> SekhaClient:
    """A client with a deadline, whose clock moves in steps."""
    client = make(**{"deadline": 0.1, "timeout": None, **options})
    give_clock(client, SteppingClock(position=position))
    return client


@pytest.mark.promise("R4")
@POSITIONS
@pytest.mark.parametrize("timeout", [None, 5.0])
def test_a_deadline_is_said_to_have_passed_however_the_clock_moves(
    timeout: float | None, position: float, make: MakeClient, server: FakeServer
) -> None:
    server.on(CREATE, HANG)
    client = stepping(make, position, timeout=timeout)
    with pytest.raises(SekhaTimeoutError) as caught:
        client.controller.create_conversation(messages=MESSAGES)
    error = caught.value
    assert error.message == PASSED
    assert (error.attempts, error.sent, error.may_have_been_applied) == (1, True, True)


@pytest.mark.promise("R4")
@POSITIONS
def test_what_may_be_repeated_is_not_repeated_in_the_rest_of_a_step(
    position: float, make: MakeClient, server: FakeServer
) -> None:
    server.on(QUERY, HANG)
    client = stepping(make, position)
    with pytest.raises(SekhaTimeoutError) as caught:
        client.controller.query("x")
    assert (caught.value.message, caught.value.attempts) == (PASSED, 1)


@pytest.mark.promise("R4")
@POSITIONS
def test_the_deadline_of_a_stream_is_said_to_have_passed(
    position: float, make: MakeClient, bridge: FakeServer
) -> None:
    bridge.on(CHAT, chunked(delta("Once "), end="hang"))
    client = stepping(make, position)
    stream = client.bridge.stream_complete(MESSAGES)
    with pytest.raises(SekhaTimeoutError) as caught:
        stream.get_final_text()
    assert (caught.value.message, caught.value.text) == (PASSED, "Once ")


@pytest.mark.promise("R4")
@POSITIONS
def test_the_deadline_passes_while_connecting(position: float, make: MakeClient) -> None:
    with Unreachable(silent=True) as nobody:
        client = stepping(make, position, controller_url=nobody.url)
        with pytest.raises(SekhaTimeoutError) as caught:
            client.controller.query("x")
    assert (caught.value.message, caught.value.sent) == (PASSED, False)


@pytest.mark.promise("R4")
@POSITIONS
def test_the_deadline_passes_while_waiting_for_a_connection(
    position: float, make: MakeClient, bridge: FakeServer
) -> None:
    bridge.on(CHAT, chunked(delta("Once "), end="hang"))
    client = make(max_connections=1)
    with client.bridge.stream_complete(MESSAGES):
        give_clock(client, SteppingClock(position=position))
        with pytest.raises(SekhaTimeoutError) as caught:
            client.with_options(deadline=0.1).bridge.stream_complete(MESSAGES)
    assert (caught.value.message, caught.value.sent) == (PASSED, False)


@pytest.mark.promise("R4")
@POSITIONS
def test_the_deadline_passes_in_a_client_of_httpx(position: float, make: MakeClient, server: FakeServer) -> None:
    server.on(CREATE, HANG)
    with httpx.Client() as http_client:
        client = stepping(make, position, http_client=http_client)
        with pytest.raises(SekhaTimeoutError) as caught:
            client.controller.create_conversation(messages=MESSAGES)
    assert (caught.value.message, caught.value.may_have_been_applied) == (PASSED, True)


@pytest.mark.promise("R4")
@POSITIONS
def test_the_deadline_passes_in_a_stream_of_httpx(position: float, make: MakeClient, bridge: FakeServer) -> None:
    bridge.on(CHAT, chunked(delta("Once "), end="hang"))
    with httpx.Client() as http_client:
        client = stepping(make, position, http_client=http_client)
        stream = client.bridge.stream_complete(MESSAGES)
        with pytest.raises(SekhaTimeoutError) as caught:
            stream.get_final_text()
    assert caught.value.message == PASSED


@POSITIONS
def test_a_timeout_that_is_shorter_than_the_deadline_stays_a_timeout(
    position: float, make: MakeClient, server: FakeServer
) -> None:
    server.on(CREATE, HANG)
    client = stepping(make, position, timeout=0.5, deadline=2.0)
    with pytest.raises(SekhaTimeoutError, match="timeout while waiting for the response") as caught:
        client.controller.create_conversation(messages=MESSAGES)
    assert (caught.value.attempts, caught.value.may_have_been_applied) == (1, True)


@POSITIONS
def test_a_stream_that_stalls_before_the_deadline_stays_one(
    position: float, make: MakeClient, bridge: FakeServer
) -> None:
    bridge.on(CHAT, chunked(delta("Once "), end="hang"))
    client = stepping(make, position, timeout=0.5, deadline=2.0)
    stream = client.bridge.stream_complete(MESSAGES)
    with pytest.raises(SekhaTimeoutError, match=r"the stream stalled: nothing arrived for 0\.5 s, the timeout"):
        stream.get_final_text()


def test_a_limiter_on_a_clock_with_steps_lets_everybody_through(make: MakeClient, server: FakeServer) -> None:
    server.always(QUERY, answer(facts.hits()))
    client = stepping(make, 0.0, rate_limit_requests=2, rate_limit_window=0.1, deadline=30.0)
    for _ in range(6):
        client.controller.query("x")
    assert len(server.lines) == 6
