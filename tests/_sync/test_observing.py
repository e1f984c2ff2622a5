# Generated from tests/_async/test_observing.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""What the log, hooks and spans are told of a call: each attempt, and nothing that it carries."""

from __future__ import annotations

import logging
import re
import warnings
from typing import Any, Callable

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.trace import SpanKind, StatusCode

import sekha
from sekha import (
    BridgeClient,
    MCPClient,
    MemoryController,
    SekhaClient,
    RequestEvent,
    ResponseEvent,
    RetryEvent,
    SekhaConfig,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaNotFoundError,
    SekhaServerError,
    SekhaTimeoutError,
    SekhaWarning,
)
from support import facts
from support.calls import CALLS, MODELS, Call
from support.clock import FakeClock
from support.facts import BRIDGE_KEY, ID, MCP_KEY, MESSAGES, REST_KEY
from support.replies import DONE, DROP, HANG, after, answer, chunked, cut, delta, empty
from support.server import FakeServer
from support.spans import Spans

from .conftest import MakeClient

QUERY, CHAT, HEALTH = "POST /api/v1/query", "POST /v1/chat/completions", "GET /health"
ONE, PIN = f"GET /api/v1/conversations/{ID}", f"PUT /api/v1/conversations/{ID}/pin"
FOUND = answer(facts.hits(facts.hit()))
TEMPLATE = "/api/v1/conversations/{id}/pin"


class Heard:
    """Hooks that note what they are told."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    @property
    def hooks(self) -> dict[str, Any]:
        return {"on_request": self.all.append, "on_response": self.all.append, "on_retry": self.all.append}


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def debug(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Our records at DEBUG."""
    caplog.set_level(logging.DEBUG, "sekha")
    ours = ("sekha", logging.DEBUG)
    return lambda: [record.getMessage() for record in caplog.records if (record.name, record.levelno) == ours]


def host(server: FakeServer) -> str:
    return server.url.partition("://")[2]


# Hooks


def test_hooks_are_told_of_a_call(make: MakeClient, server: FakeServer, heard: Heard, clock: FakeClock) -> None:
    server.on(PIN, after(lambda: clock.move(0.25), empty()))
    make(**heard.hooks).controller.pin_conversation(ID)
    where = ("controller", "PUT", TEMPLATE, host(server), 1)
    assert heard.all == [RequestEvent(*where), ResponseEvent(*where, status=200, error=None, elapsed=0.25)]


def test_hooks_are_told_of_each_attempt_and_of_the_wait_between(
    make: MakeClient, server: FakeServer, heard: Heard
) -> None:
    server.on(QUERY, empty(503, retry_after="2"), DROP, FOUND)
    make(**heard.hooks).controller.query("secret words")
    told = [(type(event), event.attempt) for event in heard.all]
    assert told == [
        (RequestEvent, 1),
        (ResponseEvent, 1),
        (RetryEvent, 1),
        (RequestEvent, 2),
        (ResponseEvent, 2),
        (RetryEvent, 2),
        (RequestEvent, 3),
        (ResponseEvent, 3),
    ]
    answers = [(event.status, event.error) for event in heard.all if not isinstance(event, RequestEvent)]
    turned_away, dropped = (503, SekhaServerError), (None, SekhaConnectionError)
    assert answers == [turned_away, turned_away, dropped, dropped, (200, None)]
    assert [event.wait for event in heard.all if isinstance(event, RetryEvent)] == [2.0, 1.0]


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        (empty(404), 404, SekhaNotFoundError),
        (empty(500), 500, SekhaServerError),
        (DROP, None, SekhaConnectionError),
        (cut(), 200, SekhaConnectionError),
        (answer([]), 200, SekhaDecodeError),
    ],
)
def test_hooks_are_told_of_an_error(
    reply: Any, status: int | None, error: type[SekhaError], make: MakeClient, server: FakeServer, heard: Heard
) -> None:
    server.on(ONE, reply)
    with pytest.raises(error):
        make(max_retries=0, **heard.hooks).controller.get_conversation(ID)
    _, ended = heard.all
    assert (ended.status, ended.error) == (status, error)


def test_a_deadline_that_ends_an_attempt_is_a_timeout(server: FakeServer, heard: Heard) -> None:
    server.on(HEALTH, HANG)
    with SekhaClient(
        controller_url=server.url, api_key=REST_KEY, deadline=0.2, max_retries=0, **heard.hooks
    ) as client:
        with pytest.raises(SekhaTimeoutError):
            client.controller.health()
    begun, ended = heard.all
    assert (begun.attempt, ended.status, ended.error) == (1, None, SekhaTimeoutError)
    assert ended.elapsed > 0


def test_of_a_stream_the_head_is_told(make: MakeClient, bridge: FakeServer, heard: Heard) -> None:
    bridge.on(CHAT, chunked(delta("Hi"), delta("", "stop"), DONE))
    stream = make(**heard.hooks).bridge.stream_complete(MESSAGES)
    where = ("bridge", "POST", "/v1/chat/completions", host(bridge), 1)
    assert heard.all == [RequestEvent(*where), ResponseEvent(*where, status=200, error=None, elapsed=0.0)]
    assert stream.get_final_text() == "Hi"
    assert len(heard.all) == 2


def test_a_stream_that_does_not_begin_is_told(make: MakeClient, bridge: FakeServer, heard: Heard) -> None:
    bridge.on(CHAT, empty(503, retry_after="1"), chunked(delta("Hi", "stop"), DONE))
    (make(**heard.hooks).bridge.stream_complete(MESSAGES)).get_final_text()
    assert [type(event) for event in heard.all] == [
        RequestEvent,
        ResponseEvent,
        RetryEvent,
        RequestEvent,
        ResponseEvent,
    ]
    assert [event.status for event in heard.all[1::3]] == [503, 200]


def test_views_and_clients_of_one_service_have_the_hooks(
    make: MakeClient, server: FakeServer, bridge: FakeServer, heard: Heard
) -> None:
    server.always(HEALTH, answer(facts.HEALTHY))
    bridge.always(HEALTH, answer(facts.BRIDGE_HEALTHY))
    server.on("POST /mcp/tools/memory_get_context", answer({"success": True, "data": facts.CONTEXT, "error": None}))
    make(**heard.hooks).with_options(max_retries=0).controller.with_options(timeout=1.0).health()
    with SekhaClient(SekhaConfig(controller_url=server.url, api_key="k", **heard.hooks)) as client:
        client.controller.health()
    with MemoryController(base_url=server.url, api_key="k", **heard.hooks) as controller:
        controller.health()
    with MCPClient(base_url=server.url, api_key="k", **heard.hooks) as mcp:
        mcp.memory_get_context(ID)
    with BridgeClient(base_url=bridge.url, **heard.hooks) as models:
        models.health()
    services = [event.service for event in heard.all if isinstance(event, ResponseEvent)]
    assert services == ["controller", "controller", "controller", "mcp", "bridge"]


@pytest.mark.parametrize("hook", ["on_request", "on_response", "on_retry"])
def test_a_hook_that_raises_is_a_warning_and_no_more(
    hook: str, make: MakeClient, server: FakeServer, heard: Heard
) -> None:
    def bad(event: object) -> None:
        raise ZeroDivisionError("bad hook")

    server.on(QUERY, empty(502), FOUND, empty(502), FOUND)
    client = make(**{**heard.hooks, hook: bad})
    with pytest.warns(SekhaWarning, match=f"{hook} raised ZeroDivisionError") as caught:
        assert (client.controller.query("x"))["results"]
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("default")
        client.controller.query("x")
    assert {warning.filename for warning in caught} == {__file__}
    expected = {"on_request": 4, "on_response": 4, "on_retry": 2}
    expected.pop(hook)
    assert len(heard.all) == sum(expected.values())


def test_a_fault_of_a_hook_is_shown_once_a_place(make: MakeClient, server: FakeServer) -> None:
    def bad(event: object) -> None:
        raise ValueError(f"another text each time: {event!r}")

    server.always(HEALTH, answer(facts.HEALTHY))
    client = make(on_request=bad)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(5):
            client.controller.health()
    assert [str(warning.message) for warning in caught] == ["on_request raised ValueError; the call is not affected"]


def test_where_warnings_are_errors_it_is_logged(
    make: MakeClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    def bad(event: object) -> None:
        raise ValueError("bad hook")

    server.on(HEALTH, answer(facts.HEALTHY))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(on_response=bad).controller.health()
    (record,) = [one for one in caplog.records if one.name == "sekha" and one.levelno == logging.WARNING]
    assert "on_response raised ValueError" in record.getMessage()
    assert "test_observing.py" in record.getMessage()


def test_an_interruption_in_a_hook_is_not_swallowed(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    def interrupted(event: object) -> None:
        raise KeyboardInterrupt

    server.on(HEALTH, answer(facts.HEALTHY), answer(facts.HEALTHY))
    client = make(on_response=interrupted)
    with pytest.raises(KeyboardInterrupt):
        client.controller.health()
    with pytest.raises(KeyboardInterrupt):  # and the client is as good as before
        client.controller.health()
    assert len(spans.attempts) == 2


@pytest.mark.parametrize("hook", ["on_request", "on_response", "on_retry"])
@pytest.mark.parametrize("value", ["print", 3, False])
def test_what_is_no_function_is_refused(hook: str, value: Any) -> None:
    for make in (SekhaClient, MemoryController, MCPClient):
        url = "controller_url" if make is SekhaClient else "base_url"
        options: Any = {url: "http://x", "api_key": "k", hook: value}
        with pytest.raises(SekhaConfigError, match=f"{hook}: expected a plain function"):
            make(**options)


# The log


def test_the_log_has_a_record_for_each_attempt(
    client: SekhaClient, server: FakeServer, debug: Callable[[], list[str]]
) -> None:
    server.on(PIN, empty(502), DROP, empty())
    client.controller.pin_conversation(ID)
    assert debug() == [
        f"PUT {TEMPLATE}: attempt 1 got 502 in 0.000 s: SekhaServerError",
        f"PUT {TEMPLATE}: attempt 1 failed with SekhaServerError, retry in 0.50 s",
        f"PUT {TEMPLATE}: attempt 2 got no response in 0.000 s: SekhaConnectionError",
        f"PUT {TEMPLATE}: attempt 2 failed with SekhaConnectionError, retry in 1.00 s",
        f"PUT {TEMPLATE}: attempt 3 got 200 in 0.000 s",
    ]


@pytest.mark.promise("E5")
def test_our_loggers_are_quiet_unless_asked(
    make: MakeClient, server: FakeServer, bridge: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = make()
    caplog.set_level(logging.INFO)
    server.on(QUERY, empty(502), *[FOUND] * 60, empty(400))
    bridge.on(CHAT, *[chunked(delta("Hi", "stop"), DONE)] * 39)
    for _ in range(60):
        client.controller.query("x")
    with pytest.raises(SekhaError):
        client.controller.query("x")
    for _ in range(39):
        (client.bridge.stream_complete(MESSAGES)).get_final_text()
    assert [record for record in caplog.records if record.name.startswith("sekha")] == []


def test_nobody_listens_then_nothing_is_asked(
    make: MakeClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With DEBUG off, one question to the logger is all there is."""
    asked: list[str] = []
    logger = logging.getLogger("sekha")

    def is_enabled_for(level: int) -> bool:
        asked.append("level")
        return False

    monkeypatch.setattr(logger, "isEnabledFor", is_enabled_for)
    monkeypatch.setattr(logger, "debug", lambda *args: asked.append("record"))
    monkeypatch.setattr("sekha._transport.listeners._notify", lambda *args: asked.append("listener"))
    server.on(QUERY, empty(502), FOUND)
    make(tracing=False).controller.query("x")
    assert asked == ["level"]


# Spans


def test_a_span_says_what_the_conventions_ask_for(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(PIN, empty())
    with spans.tracer.start_as_current_span("mine") as mine:
        make().controller.pin_conversation(ID)
    (span,), (operation,) = spans.attempts, spans.operations
    assert span.name == f"PUT {TEMPLATE}"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent == operation.get_span_context()
    assert operation.parent == mine.get_span_context()
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.version == sekha.__version__
    assert spans.attributes == [
        {
            "http.request.method": "PUT",
            "server.address": "127.0.0.1",
            "server.port": int(host(server).partition(":")[2]),
            "url.full": f"{server.url}/api/v1/conversations/{ID}/pin",
            "url.template": TEMPLATE,
            "http.response.status_code": 200,
        }
    ]


def test_each_attempt_has_its_span_and_sends_it(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(QUERY, empty(502), DROP, FOUND)
    make().controller.query("x")
    ended = [(one.get("http.response.status_code"), one.get("error.type")) for one in spans.attributes]
    assert ended == [(502, "502"), (None, "sekha.errors.SekhaConnectionError"), (200, None)]
    assert [one.get("http.request.resend_count") for one in spans.attributes] == [None, 1, 2]
    assert [span.status.status_code for span in spans.attempts] == [
        StatusCode.ERROR,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    for span, seen in zip(spans.attempts, server.seen):
        its: Any = span.get_span_context()
        expected = f"00-{its.trace_id:032x}-{its.span_id:016x}-{its.trace_flags:02x}"
        assert seen.headers["traceparent"] == expected
    assert len({seen.headers["traceparent"] for seen in server.seen}) == 3


def test_a_200_that_does_not_fit_is_an_error_of_its_class(
    make: MakeClient, server: FakeServer, spans: Spans
) -> None:
    server.on(ONE, answer([]))
    with pytest.raises(SekhaDecodeError):
        make().controller.get_conversation(ID)
    (said,) = spans.attributes
    assert (said["http.response.status_code"], said["error.type"]) == (200, "sekha.errors.SekhaDecodeError")


def test_the_span_of_a_stream_ends_with_its_head(make: MakeClient, bridge: FakeServer, spans: Spans) -> None:
    bridge.on(CHAT, chunked(delta("Hi", "stop"), DONE))
    stream = make().bridge.stream_complete(MESSAGES)
    assert [span.name for span in spans.attempts] == ["POST /v1/chat/completions"]
    assert stream.get_final_text() == "Hi"
    assert len(spans.attempts) == 1
    assert "traceparent" in bridge.only.headers


def test_a_prefix_is_part_of_the_template_and_a_query_is_not_shown(server: FakeServer, spans: Spans) -> None:
    server.on("GET /deep/api/v1/conversations", answer(facts.rows(facts.row())))
    with SekhaClient(controller_url=server.url + "/deep/", api_key="k") as client:
        client.controller.list_conversations(page=3)
    assert server.only.query
    (said,) = spans.attributes
    assert said["url.full"] == f"{server.url}/deep/api/v1/conversations"
    assert said["url.template"] == "/deep/api/v1/conversations"


def test_baggage_and_headers_of_the_user_are_sent_too(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    token = context.attach(baggage.set_baggage("team", "memory"))
    try:
        make(headers={"X-Team": "a"}).controller.health()
    finally:
        context.detach(token)
    assert (server.only.headers["baggage"], server.only.headers["x-team"]) == ("team=memory", "a")


def test_tracing_can_be_switched_off(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    with spans.tracer.start_as_current_span("mine"):
        make(tracing=False).controller.health()
    assert spans.finished == []
    assert "traceparent" not in server.only.headers


def test_without_a_provider_nothing_is_sent(make: MakeClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    make().controller.health()
    assert not {"traceparent", "tracestate", "baggage"} & set(server.only.headers)


def test_a_tracer_that_raises_breaks_nothing(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    def broken(*args: object, **options: object) -> None:
        raise OSError("no exporter")

    client = make()
    (listener,) = client._controller_transport._state.instrumentation._listeners
    listener._start_span = broken  # type: ignore[attr-defined]
    server.on(HEALTH, answer(facts.HEALTHY))
    with pytest.warns(SekhaWarning, match="OpenTelemetry raised OSError"):
        client.controller.health()


def test_opentelemetry_that_cannot_be_set_up_breaks_nothing(
    make: MakeClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise ValueError("OTEL_... cannot be used")

    monkeypatch.setattr(trace, "get_tracer", broken)
    server.on(HEALTH, answer(facts.HEALTHY))
    with pytest.warns(SekhaWarning, match="OpenTelemetry raised ValueError"):
        client = make()
    client.controller.health()


# Nothing of what a call carries


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_none_of_the_three_tells_what_a_call_carries(
    call: Call,
    make: MakeClient,
    server: FakeServer,
    bridge: FakeServer,
    heard: Heard,
    spans: Spans,
    debug: Callable[[], list[str]],
) -> None:
    asked = bridge if call.service == MODELS else server
    asked.on(call.wires[0].line, empty(503, retry_after="1"))
    call.script(server, bridge)
    client = make(headers={"X-Note": "CANARY-header"}, **heard.hooks)
    if call.method == "health":
        call.on(client)  # a 503 is an answer
    result = call.on(client)
    if hasattr(result, "get_final_text"):
        result.get_final_text()
    told = "\n".join([*map(repr, heard.all), *debug()])
    requests = server.seen + bridge.seen
    assert len([event for event in heard.all if isinstance(event, ResponseEvent)]) == len(requests)
    assert len(spans.attempts) == len(requests)
    assert re.search(r"attempt[ =]1", told)
    assert ID not in told
    told += repr(spans.attributes) + "".join(span.to_json() for span in spans.finished)
    for secret in (REST_KEY, MCP_KEY, BRIDGE_KEY, "CANARY", "Hello Sekha!", "?"):
        assert secret not in told
    for seen in requests:
        assert not seen.body or seen.body.decode() not in told
        assert not any(f"{key}={value}" in told for key, value in seen.query.items())
