# Generated from tests/_async/test_errors.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Errors: what they say and hold, that no key is ever shown, and redirects."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from typing import Any

import httpx
import pytest

from sekha import (
    SekhaClient,
    Stream,
    SekhaAPIError,
    SekhaAuthError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaNotFoundError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaValidationError,
)
from sekha.errors import BODY_LIMIT
from support.calls import CALLS, MODELS, Call
from support.canary import frames_of, texts_of
from support.clock import FakeClock
from support.facts import BRIDGE_KEY, ID, MCP_KEY, MESSAGES, REST_KEY
from support.replies import DROP, after, answer, app_error, body, chunked, delta, empty, event, raw, text
from support.server import FakeServer, Reply

from .conftest import MakeClient

KEYS = (REST_KEY, MCP_KEY, BRIDGE_KEY)
QUERY, CHAT = "POST /api/v1/query", "POST /v1/chat/completions"


# What they say


@pytest.mark.promise("E2")
def test_an_error_tells_what_was_asked_and_answered(
    make: MakeClient, server: FakeServer, clock: FakeClock
) -> None:
    locked = app_error("Database error: locked", 500)
    server.on(f"GET /api/v1/conversations/{ID}", *[after(lambda: clock.move(0.25), locked)] * 2)
    with pytest.raises(SekhaServerError) as caught:
        make(max_retries=1).controller.get_conversation(ID)
    error = caught.value
    assert error.message == "Database error: locked"
    assert (error.status_code, error.code, error.retry_after) == (500, 500, None)
    assert (error.method, error.path) == ("GET", "/api/v1/conversations/{id}")
    assert (error.attempts, error.elapsed, error.sent) == (2, 1.0, True)
    assert json.loads(error.body or "") == {"error": "Database error: locked", "code": 500}
    assert str(error) == ("Database error: locked (status 500, GET /api/v1/conversations/{id}, 2 attempts in 1.00 s)")


@pytest.mark.promise("E1")
def test_an_error_survives_pickle_and_copy(client: SekhaClient, server: FakeServer) -> None:
    server.on("POST /api/v1/conversations", DROP)
    server.on(QUERY, text("no", 422))
    with pytest.raises(SekhaConnectionError) as cut:
        client.controller.create_conversation(messages=MESSAGES)
    with pytest.raises(SekhaValidationError) as refused:
        client.controller.query("x")
    with pytest.raises(SekhaValidationError) as unsent:
        client.controller.query("")
    for error in (cut.value, refused.value, unsent.value):
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(other) is type(error)
            assert vars(other) == vars(error)
            assert str(other) == str(error)


BODIES: list[Any] = [
    ("JSON of the controller", app_error("It is so", 400), "It is so", 400),
    ("detail", answer({"detail": "It is so"}, 400), "It is so", None),
    (
        "details",
        answer({"detail": [{"loc": ["body", "text"], "msg": "Field required"}, {"msg": "and more"}]}, 422),
        "body.text: Field required; and more",
        None,
    ),
    ("nested", answer({"error": {"message": "It is so", "code": "x1"}}, 400), "It is so", "x1"),
    ("text", text("It is so", 400), "It is so", None),
    ("nothing", empty(400), "Bad Request", None),
    ("HTML", body(b"<html><h1>It  is\nso</h1>", 502, "text/html"), "an HTML page instead of JSON", None),
    ("cut JSON", body(b'{"error": "It is', 400), '{"error": "It is', None),
    ("bytes", body(b"\xff\xfe It is so", 400), "It is so", None),
    ("a list", answer(["It is so"], 400), "It is so", None),
    ("a number", answer(5, 400), "5", None),
    ("null", answer(None, 400), "", None),
]


# D37, D39
@pytest.mark.promise("C7")
@pytest.mark.parametrize(("reply", "words", "code"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES])
def test_any_body_gives_an_error_with_its_words(
    reply: Reply, words: str, code: Any, make: MakeClient, server: FakeServer
) -> None:
    server.on(QUERY, reply)
    with pytest.raises(SekhaAPIError) as caught:
        make(max_retries=0).controller.query("x")
    assert words in caught.value.message
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


@pytest.mark.promise("C7")
def test_the_body_of_an_error_is_bounded(client: SekhaClient, server: FakeServer) -> None:
    server.on(QUERY, text("x" * 100_000, 422))
    with pytest.raises(SekhaValidationError) as caught:
        client.controller.query("x")
    assert len(caught.value.body or "") == BODY_LIMIT
    assert len(str(caught.value)) < BODY_LIMIT + 200


# Keys


ECHOES: list[Any] = [
    (SekhaAuthError, lambda key: answer({"error": f"Invalid API key: {key}"}, 401)),
    (SekhaNotFoundError, lambda key: text(f"no {key} here, no {key}", 404)),
    (SekhaServerError, lambda key: body(f"<html>{key}</html>".encode(), 502, "text/html")),
    (SekhaRateLimitError, lambda key: answer({"detail": [{"loc": ["header", key], "msg": key}]}, 429)),
    (SekhaDecodeError, lambda key: body(f'{{"{key}": '.encode())),
    (SekhaDecodeError, lambda key: answer({key: key, "results": key, "id": key, "choices": key})),
    (SekhaAPIError, lambda key: empty(302, location=f"http://x.test/?key={key}")),
    (SekhaConnectionError, lambda key: raw(f"HTTP/9.9 {key}\r\n\r\n".encode(), end="close")),
    (SekhaAPIError, lambda key: raw(f"HTTP/1.1 400 {key}\r\nx-{key}: {key}\r\ncontent-length: 0\r\n\r\n".encode())),
    (SekhaAPIError, lambda key: empty(307, location=f"http://{key}.test/{key}/?{key}")),
    (SekhaValidationError, lambda key: text("x" * 1990 + key, 422)),
    (SekhaServerError, lambda key: body(b"<html>" + b"x" * 105 + key.encode(), 502, "text/html")),
    (SekhaDecodeError, lambda key: body(b"x" * (BODY_LIMIT - 9) + key.encode())),
]


@pytest.mark.promise("S1")
@pytest.mark.logs_may_show_keys
@pytest.mark.parametrize(("cls", "reply"), ECHOES)
@pytest.mark.parametrize("name", ["controller.get_conversation", "mcp.memory_get_context", "bridge.complete"])
def test_a_key_that_the_server_echoes_is_not_shown(
    cls: type[SekhaError],
    reply: Any,
    name: str,
    make: MakeClient,
    server: FakeServer,
    bridge: FakeServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    call = next(call for call in CALLS if call.name == name)
    asked = bridge if call.service == MODELS else server
    key = {"controller": REST_KEY, "mcp": MCP_KEY, "bridge": BRIDGE_KEY}[call.service]
    asked.always(call.wires[0].line, reply(key))
    client = make(max_retries=1)
    with caplog.at_level(logging.DEBUG), pytest.raises(cls) as caught:
        call.on(client)
    assert f"Bearer {key}" in asked.seen[-1].headers["authorization"]
    # By a logger of its own httpcore notes each head as it came, so what a server makes up there is in it.
    records = [record for record in caplog.records if not record.name.startswith("httpcore")]
    shown = "".join(texts_of(caught.value)) + "".join(record.getMessage() + repr(record.__dict__) for record in records)
    assert not any(secret[:8] in shown for secret in KEYS)


@pytest.mark.promise("S1")
@pytest.mark.parametrize("reply", [DROP, empty(500), empty(401), text("no JSON"), answer({}), empty(302)])
@pytest.mark.parametrize("name", ["controller.get_conversation", "mcp.memory_get_context", "bridge.complete"])
def test_no_frame_shows_a_key(
    reply: Reply, name: str, make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    call = next(call for call in CALLS if call.name == name)
    asked = bridge if call.service == MODELS else server
    asked.always(call.wires[0].line, reply)
    with pytest.raises(SekhaError) as caught:
        call.on(make(max_retries=1))
    shown = "".join(texts_of(caught.value)) + frames_of(caught.value)
    assert "transport.py" in shown
    assert not any(key in shown for key in KEYS)


@pytest.mark.promise("S1")
@pytest.mark.parametrize(
    "steps",
    [
        (delta(BRIDGE_KEY), b"data: cut"),
        (event({"error": {"message": f"bad {BRIDGE_KEY}"}}),),
        (event(f"no json {BRIDGE_KEY}"),),
        (event({"choices": BRIDGE_KEY}),),
    ],
)
def test_a_key_that_the_server_echoes_is_not_shown_by_a_stream(
    steps: Any, client: SekhaClient, bridge: FakeServer
) -> None:
    bridge.on(CHAT, chunked(*steps))
    stream = client.bridge.stream_complete(MESSAGES)
    with pytest.raises(SekhaError) as caught:
        stream.get_final_text()
    for error in (caught.value, (failing(stream))):  # it fails in the same way again
        assert BRIDGE_KEY not in "".join(texts_of(error)) + repr(stream)


def failing(stream: Stream) -> BaseException:
    """The error of a stream."""
    with pytest.raises(SekhaError) as caught:
        for _ in stream:
            pass
    return caught.value


@pytest.mark.promise("S1")
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_no_call_logs_a_key(
    call: Call, client: SekhaClient, server: FakeServer, bridge: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    asked = bridge if call.service == MODELS else server
    asked.on(call.wires[0].line, empty(503, retry_after="1"))
    call.script(server, bridge)
    with caplog.at_level(logging.DEBUG):
        if call.method == "health":
            call.on(client)  # a 503 is an answer
        result = call.on(client)
        if hasattr(result, "get_final_text"):
            result.get_final_text()
    assert caplog.records
    shown = caplog.text + repr([record.__dict__ for record in caplog.records])
    assert not any(key in shown for key in KEYS)


@pytest.mark.promise("S1")
def test_no_client_shows_a_key(make: MakeClient) -> None:
    client = make()
    things: list[Any] = [client, client.controller, client.bridge, client.mcp, client.with_options(api_key=REST_KEY)]
    transports = [client._controller_transport, client._bridge_transport]
    things += [client.__dict__, *transports, *(transport.__dict__ for transport in transports)]
    for thing in things:
        shown = repr(thing) + str(thing)
        assert not any(key in shown for key in KEYS)


# Redirects


@pytest.mark.promise("S3")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("lent", [False, True])
def test_redirects_are_not_followed(
    lent: bool, status: int, make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    target = f"{bridge.url}/elsewhere?token=secret"
    server.on(QUERY, empty(status, location=target))
    server.on("POST /api/v1/conversations", empty(status, location="/elsewhere?token=secret#secret"))
    with httpx.Client(follow_redirects=True) as eager:
        client = make(http_client=eager) if lent else make()
        with pytest.raises(SekhaAPIError) as caught:
            client.controller.query("x")
        with pytest.raises(SekhaAPIError) as here:
            client.controller.create_conversation(messages=MESSAGES)
    assert caught.value.status_code == here.value.status_code == status
    assert f"redirected to {bridge.url}/elsewhere; redirects are not followed" in str(caught.value)
    assert "redirected to /elsewhere; redirects are not followed" in str(here.value)
    assert not any("secret" in text for error in (caught.value, here.value) for text in texts_of(error))
    assert (len(server.seen), bridge.connections) == (2, 0)
