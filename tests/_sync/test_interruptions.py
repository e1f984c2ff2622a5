# Generated from tests/_async/test_interruptions.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Interruptions anywhere, as a signal handler, a soft time limit or gevent raises them: nothing is lost by one."""

from __future__ import annotations

import gc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sekha import SekhaClient
from sekha._sync import body, stream, transport
from sekha._sync.http import connection, pool
from sekha._concurrency import event_loops, primitives, slots
from sekha._concurrency.tasks import Call
from sekha._http import pool_state
from sekha._transport import rate_limit
from support import facts
from support.certificates import Certificates
from support.facts import MESSAGES
from support.interrupting import Interruption, held, interrupted_at, interrupted_between
from support.replies import DONE, answer, chunked, cut, delta, empty
from support.server import FakeServer, eventually

from .conftest import MakeClient

LAYERS = (transport, body, stream, pool, connection, event_loops, primitives, slots, pool_state, rate_limit)
QUERY, CREATE, COUNT = "POST /api/v1/query", "POST /api/v1/conversations", "GET /api/v1/conversations/count"
CHAT = "POST /v1/chat/completions"


class SoftLimit(Exception):
    """As Celery's."""


def read(client: SekhaClient) -> object:
    """A read."""
    return client.controller.query("x")


def write(client: SekhaClient) -> object:
    """A write, which takes a write slot."""
    return client.controller.create_conversation(messages=MESSAGES)


def fail(client: SekhaClient) -> object:
    """A write that fails, once it has all that it takes."""
    try:
        return client.controller.create_conversation(messages=MESSAGES, label="fails")
    except Exception as error:
        return error


def broken(client: SekhaClient) -> object:
    """A read whose answer is cut."""
    try:
        return client.controller.count_conversations()
    except Exception as error:
        return error


def streamed(client: SekhaClient) -> object:
    """A stream that is read to its end."""
    with client.bridge.stream_complete(MESSAGES) as answer:
        return answer.get_final_text()


def left(client: SekhaClient) -> object:
    """A stream that is left after its first words."""
    with client.bridge.stream_complete(MESSAGES) as answer:
        for _ in answer:
            break
    return None


@pytest.mark.promise("R5", "W8")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # what is interrupted before anybody has it is collected
@pytest.mark.filterwarnings("ignore:.* was neither read to its end:ResourceWarning")  # nor a stream
@pytest.mark.parametrize("between", [False, True], ids=["before a line", "in a line"])
@pytest.mark.parametrize("work", [read, write, fail, broken, streamed, left])
def test_wherever_a_call_is_interrupted_nothing_stays_taken(
    work: Call[[SekhaClient], object], between: bool, make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    server.always(QUERY, answer(facts.hits()))
    server.always(CREATE, empty(503) if work is fail else answer(facts.CREATED, 201))
    server.always(COUNT, cut())
    bridge.always(CHAT, chunked(delta("Once "), delta("upon a time."), DONE))
    client = make(max_connections=2, max_concurrent_writes=2, max_retries=0, timeout=5.0, rate_limit_requests=10**9)
    interrupted = interrupted_between if between else interrupted_at
    number, there_was_one = 0, True
    while there_was_one:
        number += 1
        error: Any = (Interruption, SoftLimit, KeyboardInterrupt)[number % 3]("stop")
        found: Any = None
        with interrupted(number, error, *LAYERS) as happened:
            try:
                work(client)
            except BaseException as caught:
                found = caught
        there_was_one = happened()
        assert found is (error if there_was_one else None) or work in (fail, broken)
        assert held(client) == [], f"interruption {number}"
    assert number > 100
    for _ in range(100):
        read(client)
    streamed(client)  # which closes what was abandoned
    bridge_pool: Any = client._bridge_transport._state.http_transport()
    assert not bridge_pool._state.abandoned
    if work is not fail:
        for _ in range(100):
            write(client)
    assert held(client) == []


@pytest.mark.promise("R5", "W8")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # as above
@pytest.mark.parametrize("between", [False, True], ids=["before a line", "in a line"])
def test_wherever_a_handshake_is_interrupted_its_connection_is_closed(
    between: bool, make: MakeClient, tmp_path: Path
) -> None:
    certificates = Certificates(tmp_path)
    server = FakeServer(tls=certificates.server())
    server.always(QUERY, answer(facts.hits(), connection="close"))
    client = make(controller_url=server.url, verify=certificates.ca, max_connections=1, max_retries=0)
    interrupted = interrupted_between if between else interrupted_at
    number, there_was_one = 0, True
    while there_was_one:
        number += 1
        with interrupted(number, Interruption(), pool, connection, pool_state) as happened:
            with suppress(Interruption):
                read(client)
        there_was_one = happened()
        assert held(client) == [], f"interruption {number}"
    assert number > 30
    gc.collect()
    eventually(lambda: server.open_connections == 0)
    server.close()


@pytest.mark.promise("R5", "R12", "W8")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # as above
@pytest.mark.parametrize("between", [False, True], ids=["before a line", "in a line"])
def test_wherever_a_wait_for_the_limiter_is_interrupted_nobody_waits_for_it(
    between: bool, make: MakeClient, server: FakeServer
) -> None:
    server.always(QUERY, answer(facts.hits()))
    client = make(max_retries=0, rate_limit_requests=1, rate_limit_window=1.0)
    read(client)
    interrupted = interrupted_between if between else interrupted_at
    number, there_was_one = 0, True
    while there_was_one:
        number += 1
        with interrupted(number, Interruption(), transport, primitives, rate_limit) as happened:
            with suppress(Interruption):
                read(client)
        there_was_one = happened()
        assert held(client) == [], f"interruption {number}"
        read(client)
    assert number > 30
