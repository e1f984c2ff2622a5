# Generated from tests/_async/test_retries.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""How often a request is on the wire: fault by fault, by section 4 of the decisions."""

from __future__ import annotations

from typing import Any

import pytest

from sekha import (
    SekhaClient,
    SekhaAPIError,
    SekhaAuthError,
    SekhaConflictError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaTimeoutError,
    SekhaValidationError,
)
from support import facts
from support.calls import BY_NAME, CALLS, MODELS, Call
from support.clock import FakeClock
from support.facts import ID, MESSAGES
from support.replies import DROP, HANG, RESET, answer, app_error, body, cut, empty, raw, text
from support.server import FakeServer, Reply, eventually

from .conftest import MakeClient

ALL = 99
QUERY, CREATE = "POST /api/v1/query", "POST /api/v1/conversations"
FOUND = answer(facts.hits(facts.hit()))

TURNED_AWAY: dict[str, tuple[Reply, type[SekhaError]]] = {
    "429": (text("Rate limit exceeded. Please try again later.", 429), SekhaRateLimitError),
    "503 with Retry-After": (empty(503, retry_after="2"), SekhaServerError),
}
UNKNOWN: dict[str, tuple[Reply, type[SekhaError]]] = {
    "500": (app_error("Database error: locked", 500), SekhaServerError),
    "500 of the bridge": (app_error("Embedding error: LLM Bridge error: down", 500), SekhaServerError),
    "502": (body(b"<html>Bad Gateway</html>", 502, "text/html"), SekhaServerError),
    "503": (empty(503), SekhaServerError),
    "504": (empty(504), SekhaServerError),
    "closed": (DROP, SekhaConnectionError),
    "reset": (RESET, SekhaConnectionError),
    "cut": (cut(), SekhaConnectionError),
    "no answer": (HANG, SekhaTimeoutError),
}
REFUSED: dict[str, tuple[Reply, type[SekhaError]]] = {
    "400": (text("Failed to parse the request body as JSON: EOF", 400), SekhaValidationError),
    "401": (answer({"error": "Invalid API key"}, 401), SekhaAuthError),
    "403": (empty(403), SekhaPermissionError),
    "404": (app_error("Conversation not found", 404), SekhaNotFoundError),
    "409": (empty(409), SekhaConflictError),
    "413": (text("Failed to buffer the request body: length limit exceeded", 413), SekhaValidationError),
    "418": (empty(418), SekhaAPIError),
    "422": (text("Failed to deserialize the JSON body", 422), SekhaValidationError),
    "302": (empty(302, location="http://127.0.0.1:9/"), SekhaAPIError),
}
MISFITS: dict[str, tuple[Reply, type[SekhaError]]] = {
    "no JSON": (body(b"OK"), SekhaDecodeError),
    "empty": (empty(200), SekhaDecodeError),
    "another shape": (answer({"unexpected": True}), SekhaDecodeError),
}
FAULTS = {**TURNED_AWAY, **UNKNOWN, **REFUSED, **MISFITS}
SAMPLES = (
    "controller.query",
    "controller.create_conversation",
    "controller.summarize",
    "mcp.memory_store",
    "bridge.embed",
    "bridge.complete",
    "bridge.stream_complete",
    "bridge.summarize",
)
CASES = [
    pytest.param(BY_NAME[name], fault, id=f"{name}-{fault}")
    for name in SAMPLES
    for fault in FAULTS
    if not ("stream" in name and (fault in MISFITS or fault == "cut"))  # faults of the stream, not of its head
    if fault != "no answer" or name.startswith("controller.")  # slow: once for each class of call
]


def repetitions(call: Call, fault: str) -> int:
    """How many repetitions section 4 allows."""
    if fault in TURNED_AWAY:
        return ALL
    if fault not in UNKNOWN or (call.service == MODELS and fault.startswith("500")):
        return 0
    costly = 0 if fault == "500 of the bridge" else 1
    return {"SAFE": ALL, "UNSAFE": 0, "COSTLY": costly}[call.repeat]


@pytest.mark.parametrize(("call", "fault"), CASES)
def test_wire_counts(
    call: Call, fault: str, make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    reply, cls = FAULTS[fault]
    asked = bridge if call.service == MODELS else server
    (wire,) = call.wires
    silent = fault == "no answer"
    for max_retries in (1,) if silent else (0, 1, 3) if fault in {**TURNED_AWAY, **UNKNOWN} else (3,):
        asked.seen.clear()
        clock.waits.clear()
        client = make(max_retries=max_retries, timeout=0.25 if silent else 30.0)
        expected = 1 + min(max_retries, repetitions(call, fault))
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


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_every_method_is_repeated_as_its_class_says(
    call: Call, make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    client = make(max_retries=2)
    asked = bridge if call.service == MODELS else server
    *first, last = call.wires
    for wire in first:
        asked.on(wire.line, wire.reply)
    expected = {"SAFE": 3, "UNSAFE": 1, "COSTLY": 2}[call.repeat]
    asked.on(last.line, *[DROP] * expected)
    with pytest.raises(SekhaConnectionError) as caught:
        call.on(client)
    assert len(asked.seen) == len(first) + expected
    assert caught.value.attempts == expected
    assert caught.value.may_have_been_applied == call.writes


@pytest.mark.parametrize("name", SAMPLES)
def test_what_never_left_is_sent_again_whatever_it_is(name: str, make: MakeClient, clock: FakeClock) -> None:
    nobody = FakeServer(listening=False)
    try:
        for max_retries in (0, 1, 3):
            clock.waits.clear()
            client = make(controller_url=nobody.url, bridge_url=nobody.url, max_retries=max_retries)
            with pytest.raises(SekhaConnectionError) as caught:
                BY_NAME[name].on(client)
            error = caught.value
            assert (error.attempts, error.sent, error.may_have_been_applied) == (1 + max_retries, False, False)
            assert len(clock.waits) == max_retries
            assert nobody.url.replace("http://", "") in str(error)
            assert error.__cause__ is not None
    finally:
        nobody.close()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_call_succeeds_once_the_server_is_up(name: str, make: MakeClient, clock: FakeClock) -> None:
    call, late = BY_NAME[name], FakeServer(listening=False)
    try:
        clock.on_wait = lambda: late.listen() if len(clock.waits) == 2 else None
        call.script(late, late)
        client = make(controller_url=late.url, bridge_url=late.url)
        result = call.on(client)
        if "stream" in name:
            result.close()
        assert late.lines == [wire.line for wire in call.wires]
        assert clock.waits == [0.5, 1.0]
        client.close()
    finally:
        late.close()
    late.check()


@pytest.mark.parametrize("fault", ["429", "503 with Retry-After"])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_call_succeeds_after_it_was_turned_away(
    name: str, fault: str, client: SekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    call = BY_NAME[name]
    asked = bridge if call.service == MODELS else server
    asked.on(call.wires[0].line, TURNED_AWAY[fault][0], TURNED_AWAY[fault][0])
    call.script(server, bridge)
    result = call.on(client)
    if "stream" in name:
        assert result.get_final_text() == "Hi"
    assert len(asked.seen) == 3


def test_a_repetition_sends_the_same_bytes_whatever_became_of_the_arguments(
    client: SekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    message = {"role": "user", "content": "before"}
    conversation: dict[str, Any] = {"label": "L", "messages": [message]}

    def change() -> None:
        message["content"] = "after"
        conversation["label"] = "changed"

    clock.on_wait = change
    server.on(CREATE, empty(503, retry_after="1"), answer(facts.CREATED, 201))
    client.controller.create_conversation(conversation)
    first, second = server.seen
    assert first.body == second.body
    assert first.json == {"label": "L", "folder": "/", "messages": [{"role": "user", "content": "before"}]}


def test_waits_grow_up_to_a_limit_and_are_spread(make: MakeClient, server: FakeServer, clock: FakeClock) -> None:
    clock.random = 0.5
    server.always(QUERY, empty(502))
    with pytest.raises(SekhaServerError):
        make(max_retries=7).controller.query("x")
    assert clock.waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("header", "waited"),
    [("0", 0.0), ("7", 7.0), ("0.2", 1.0), ("60", 60.0), ("-5", 0.0), ("soon", 0.5), ("nan", 0.5), ("inf", 0.5)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed_and_rounded_up(
    header: str, waited: float, status: int, client: SekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    server.on(QUERY, empty(status, retry_after=header), FOUND)
    assert (client.controller.query("x"))["total"] == 1
    assert clock.waits == [waited]


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_for_too_long_is_not_waited_for(
    status: int, client: SekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    server.on(CREATE, empty(status, retry_after="61"))
    with pytest.raises(SekhaAPIError) as caught:
        client.controller.create_conversation(messages=MESSAGES)
    assert caught.value.retry_after == 61.0
    assert caught.value.may_have_been_applied is False
    assert clock.waits == []


def test_d38_the_controllers_429_says_when_to_come_back_and_empties_the_bucket(
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


def test_a_write_after_a_maybe_applied_attempt_says_so_in_the_end(make: MakeClient, server: FakeServer) -> None:
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
