"""OpenTelemetry: each operation is one span by the conventions for generative AI, with its attempts as children."""

from __future__ import annotations

import gc
import inspect
import json
import logging
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from sekha import (
    AsyncMemoryController,
    AsyncSekhaClient,
    SekhaError,
    SekhaServerError,
    SekhaStreamError,
    SekhaTimeoutError,
    SekhaValidationError,
    SekhaWarning,
)
from sekha._concurrency.clock import Clock
from sekha._concurrency.tasks import async_gather
from sekha._transport import conventions, operations
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Scope
from support import facts
from support.calls import CALLS, MODELS, Call
from support.facts import BRIDGE_KEY, ID, MCP_KEY, MESSAGES, REST_KEY
from support.replies import DONE, DROP, HANG, answer, chunked, delta, empty
from support.server import FakeServer
from support.spans import Spans

from .conftest import MakeClient

QUERY, CHAT, HEALTH = "POST /api/v1/query", "POST /v1/chat/completions", "GET /health"
CREATE, PIN, EMBED = "POST /api/v1/conversations", f"PUT /api/v1/conversations/{ID}/pin", "POST /embed"
FOUND = answer(facts.hits(facts.hit()))
ANSWER = chunked(delta("Hi "), delta("there", "stop"), DONE)
CAPTURE = conventions.CONTENT_VARIABLE

OPERATIONS = {
    "controller.query": "search_memory",
    "controller.full_text_search": "search_memory",
    "controller.assemble_context": "search_memory",
    "controller.create_conversation": "create_memory",
    "controller.replace_conversation": "update_memory",
    "controller.update_label": "update_memory",
    "controller.update_folder": "update_memory",
    "controller.pin_conversation": "update_memory",
    "controller.archive_conversation": "update_memory",
    "controller.prune_execute": "update_memory",
    "controller.delete_conversation": "delete_memory",
    "controller.delete_conversations": "delete_memory",
    "mcp.memory_search": "search_memory",
    "mcp.memory_store": "create_memory",
    "mcp.memory_update": "update_memory",
    "bridge.complete": "chat llama3",
    "bridge.stream_complete": "chat llama3",
    "bridge.embed": "embeddings nomic",
}
"""The span of each method; all others have only those of their requests."""


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def error_of(span: ReadableSpan) -> Any:
    assert (span.status.status_code is StatusCode.ERROR) == ("error.type" in said(span))
    return said(span).get("error.type")


def on_server(server: FakeServer, **more: Any) -> dict[str, Any]:
    return {
        "gen_ai.provider.name": "sekha",
        "server.address": "127.0.0.1",
        "server.port": int(server.url.rpartition(":")[2]),
        **more,
    }


def on_store(server: FakeServer, **more: Any) -> dict[str, Any]:
    return on_server(server, **{"gen_ai.memory.store.id": server.url}, **more)


# What a span says


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_each_method_has_the_span_of_its_operation(
    call: Call, make: MakeClient, server: FakeServer, bridge: FakeServer, spans: Spans
) -> None:
    asked = call.script(server, bridge)
    with spans.tracer.start_as_current_span("mine") as mine:
        result = await call.on(make())
    if hasattr(result, "get_final_text"):
        await result.get_final_text()
    expected = OPERATIONS.get(call.name)
    assert spans.names == ([expected] if expected else [])
    parent = spans.operations[0].get_span_context() if expected else mine.get_span_context()
    assert [span.parent for span in spans.attempts] == [parent] * len(asked.seen)
    for span in spans.operations:
        assert span.parent == mine.get_span_context()
        assert span.kind is SpanKind.CLIENT
        assert error_of(span) is None
        assert said(span)["gen_ai.operation.name"] == str(expected).partition(" ")[0]
        assert said(span).get("gen_ai.memory.store.id") == (None if call.service == MODELS else server.url)


def test_the_table_knows_all_methods() -> None:
    assert {call.name for call in CALLS} >= set(OPERATIONS)


async def test_a_search_says_how_much_it_found(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(QUERY, answer(facts.hits(facts.hit(), facts.hit())))
    await make().controller.query("x")
    (span,) = spans.operations
    assert said(span) == on_store(server, **{"gen_ai.operation.name": "search_memory", "gen_ai.memory.record.count": 2})


@pytest.mark.parametrize("given", [{"conversation": {"messages": MESSAGES}}, {"messages": tuple(MESSAGES)}])
async def test_a_store_says_how_much_and_where(
    given: dict[str, Any], make: MakeClient, server: FakeServer, spans: Spans
) -> None:
    server.on(CREATE, answer(facts.CREATED, 201))
    await make().controller.create_conversation(**given)
    (span,) = spans.operations
    assert said(span) == on_store(
        server,
        **{
            "gen_ai.operation.name": "create_memory",
            "gen_ai.memory.record.count": len(MESSAGES),
            "gen_ai.memory.record.id": facts.CREATED["id"],
        },
    )


async def test_a_change_says_of_what(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(PIN, empty())
    await make().controller.pin_conversation(ID)
    (span,) = spans.operations
    assert said(span) == on_store(server, **{"gen_ai.operation.name": "update_memory", "gen_ai.memory.record.id": ID})


async def test_deletions_say_how_many_and_a_dry_run_deletes_nothing(
    make: MakeClient, server: FakeServer, spans: Spans
) -> None:
    listed = "GET /api/v1/conversations"
    server.on(listed, answer(facts.rows(facts.row())), answer(facts.rows(facts.row())))
    server.on(f"DELETE /api/v1/conversations/{ID}", empty(204))
    client = make()
    await client.controller.delete_conversations(folder="/work")
    assert spans.names == []
    await client.controller.delete_conversations(folder="/work", dry_run=False)
    (span,) = spans.operations
    assert (span.name, said(span)["gen_ai.memory.record.count"]) == ("delete_memory", 1)
    assert len(spans.children(span)) == 2


async def test_a_chat_says_what_was_asked_and_no_more_than_is_true(
    make: MakeClient, bridge: FakeServer, spans: Spans
) -> None:
    bridge.on(CHAT, answer(facts.COMPLETION))
    extra = {
        "top_p": 1,
        "stop": ["END"],
        "n": 2,
        "seed": 7,
        "presence_penalty": 0.5,
        "user": "CANARY",
        "temperature": 1,
    }
    await make().bridge.complete(MESSAGES, temperature=0.5, max_tokens=100, extra_body=extra)
    (span,) = spans.operations
    assert span.name == "chat"  # no model was asked for; the one in the answer may be an echo, and usage counts words
    assert said(span) == on_server(
        bridge,
        **{
            "gen_ai.operation.name": "chat",
            "gen_ai.request.temperature": 1.0,
            "gen_ai.request.max_tokens": 100,
            "gen_ai.request.top_p": 1.0,
            "gen_ai.request.presence_penalty": 0.5,
            "gen_ai.request.seed": 7,
            "gen_ai.request.choice.count": 2,
            "gen_ai.request.stop_sequences": ("END",),
            "gen_ai.response.id": "chatcmpl-1a2b3c4d",
            "gen_ai.response.finish_reasons": ("stop",),
        },
    )


async def test_embeddings_of_several_texts_are_one_operation(
    make: MakeClient, bridge: FakeServer, spans: Spans
) -> None:
    bridge.always(EMBED, answer(facts.EMBEDDING))
    await make().bridge.embed(["a", "b", "c"], model="nomic-embed-text")
    (span,) = spans.operations
    assert span.name == "embeddings nomic-embed-text"
    assert said(span) == on_server(
        bridge,
        **{
            "gen_ai.operation.name": "embeddings",
            "gen_ai.request.model": "nomic-embed-text",
            "gen_ai.embeddings.dimension.count": 2,
        },
    )
    assert len(spans.children(span)) == 3  # in other tasks or threads


# One span for all that an operation takes


async def test_a_retry_is_a_second_child(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(QUERY, empty(502), DROP, FOUND)
    await make().controller.query("x")
    (span,) = spans.operations
    assert error_of(span) is None
    assert [said(one).get("http.response.status_code") for one in spans.children(span)] == [502, None, 200]
    times: Any = [(span.start_time, one.start_time, one.end_time, span.end_time) for one in spans.attempts]
    assert [sorted(four) for four in times] == [list(four) for four in times]


async def test_an_operation_that_fails_says_with_what(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(QUERY, empty(502), empty(502))
    with pytest.raises(SekhaServerError):
        await make(max_retries=1).controller.query("x")
    (span,) = spans.operations
    assert error_of(span) == "sekha.errors.SekhaServerError"
    assert "gen_ai.memory.record.count" not in said(span)
    assert span.events == ()  # the message of an error may repeat what was sent
    assert len(spans.children(span)) == 2


async def test_a_refused_argument_is_an_operation_that_fails(make: MakeClient, spans: Spans) -> None:
    with pytest.raises(SekhaValidationError):
        await make().controller.query("")
    (span,) = spans.operations
    assert error_of(span) == "sekha.errors.SekhaValidationError"
    assert spans.attempts == []


async def test_the_deadline_ends_it(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(QUERY, HANG)
    client = make()
    client._use_clock(Clock())
    with pytest.raises(SekhaTimeoutError):
        await client.with_options(deadline=0.2).controller.query("x")
    (span,) = spans.operations
    assert error_of(span) == "sekha.errors.SekhaTimeoutError"


async def test_paging_is_within_it(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    listed = [answer(facts.rows(facts.row(), page_size=1000, total=1))]
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on("GET /api/v1/conversations", *listed)
    server.on(QUERY, FOUND)
    await make().controller.query("x", filters={"min_importance": 3})
    (span,) = spans.operations
    assert len(spans.children(span)) == 3


async def test_operations_of_which_another_one_is_made_have_no_spans(
    make: MakeClient, server: FakeServer, spans: Spans
) -> None:
    server.on("POST /api/v1/search/fts", answer({"results": [], "total": 0}))
    server.on(CREATE, answer(facts.CREATED, 201))
    await make().controller.create_conversation(messages=MESSAGES, skip_existing=True)
    assert spans.names == ["create_memory"]


# Streams


async def test_the_span_of_a_stream_ends_when_it_is_read(make: MakeClient, bridge: FakeServer, spans: Spans) -> None:
    bridge.on(CHAT, ANSWER)
    stream = await make().bridge.stream_complete(MESSAGES, model="llama3")
    assert (spans.names, len(spans.attempts)) == ([], 1)
    assert await stream.get_final_text() == "Hi there"
    (span,) = spans.operations
    assert span.name == "chat llama3"
    first = said(span).pop("gen_ai.response.time_to_first_chunk")
    took: Any = (span.end_time or 0) - (span.start_time or 0)
    assert 0 < first <= took / 1e9
    assert {**said(span), "gen_ai.response.time_to_first_chunk": 0} == on_server(
        bridge,
        **{
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "llama3",
            "gen_ai.request.stream": True,
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.response.time_to_first_chunk": 0,
        },
    )
    assert spans.children(span) == spans.attempts


async def test_a_stream_that_is_cut_says_so(make: MakeClient, bridge: FakeServer, spans: Spans) -> None:
    bridge.on(CHAT, chunked(delta("Hi "), end="close"))
    stream = await make().bridge.stream_complete(MESSAGES)
    with pytest.raises(SekhaStreamError):
        await stream.get_final_text()
    (span,) = spans.operations
    assert error_of(span) == "sekha.errors.SekhaStreamError"


async def test_a_stream_that_does_not_begin(make: MakeClient, bridge: FakeServer, spans: Spans) -> None:
    bridge.on(CHAT, empty(400))
    with pytest.raises(SekhaError):
        await make().bridge.stream_complete(MESSAGES)
    (span,) = spans.operations
    assert error_of(span) is not None


async def test_a_stream_that_is_left_early_is_no_failure(make: MakeClient, bridge: FakeServer, spans: Spans) -> None:
    bridge.on(CHAT, chunked(delta("Hi "), end="hang"))
    async with make().bridge.stream_complete(MESSAGES) as stream:
        async for _ in stream:
            break
        assert spans.names == []
    (span,) = spans.operations
    assert error_of(span) is None
    assert "gen_ai.response.finish_reasons" not in said(span)


async def test_a_stream_that_nobody_reads(make: MakeClient, bridge: FakeServer, spans: Spans) -> None:
    bridge.on(CHAT, ANSWER, ANSWER)
    client = make()
    async with client.bridge.stream_complete(MESSAGES):
        pass
    assert spans.names == ["chat"]
    stream = await client.bridge.stream_complete(MESSAGES)
    with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
        stream.__del__()
    assert spans.names == ["chat", "chat"]
    await stream.aclose()
    assert spans.names == ["chat", "chat"]


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="others free objects some time later")
async def test_a_stream_is_freed_at_once(make: MakeClient, bridge: FakeServer, spans: Spans) -> None:
    """The span refers to nothing of it, or a forgotten stream would keep its connection until the next collection."""
    bridge.on(CHAT, ANSWER)
    stream = await make().bridge.stream_complete(MESSAGES)
    seen = weakref.ref(stream)
    gc.disable()
    try:
        await stream.aclose()
        del stream
        assert seen() is None
    finally:
        gc.enable()


async def test_a_stream_with_memories_has_two_operations(
    make: MakeClient, server: FakeServer, bridge: FakeServer, spans: Spans
) -> None:
    server.on("POST /api/v1/context/assemble", answer([facts.remembered()]))
    bridge.on(CHAT, ANSWER)
    client = make()
    with spans.tracer.start_as_current_span("mine") as mine:
        async with client.stream_with_context("What?", model="m") as stream:
            assert spans.names == ["search_memory"]
            assert await stream.get_final_text() == "Hi there"
    assert spans.names == ["search_memory", "chat m"]
    assert [span.parent for span in spans.operations] == [mine.get_span_context()] * 2  # a workflow has no span


# Parents


async def test_nothing_is_left_in_the_context(
    make: MakeClient, server: FakeServer, bridge: FakeServer, spans: Spans
) -> None:
    server.on(QUERY, FOUND)
    bridge.on(CHAT, ANSWER)
    inside: list[Any] = []
    client = make(on_request=lambda _: inside.append(trace.get_current_span()))
    before = context.get_current()
    with spans.tracer.start_as_current_span("mine") as mine:
        await client.controller.query("x")
        stream = await client.bridge.stream_complete(MESSAGES)
        async for _ in stream:
            assert trace.get_current_span() is mine
    assert inside == [mine, mine]
    assert context.get_current() == before


async def test_baggage_travels_with_the_attempts(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(QUERY, FOUND)
    token = context.attach(baggage.set_baggage("team", "memory"))
    try:
        await make().controller.query("x")
    finally:
        context.detach(token)
    (attempt,) = spans.attempts
    sent = server.only.headers
    assert sent["baggage"] == "team=memory"
    assert sent["traceparent"].split("-")[1:3] == [
        f"{attempt.context.trace_id:032x}",
        f"{attempt.context.span_id:016x}",
    ]


async def test_many_at_once_have_their_own_parents(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.always(QUERY, FOUND)
    client = make()

    def ask(number: int) -> Any:
        async def call() -> int:
            with spans.tracer.start_as_current_span(f"mine {number}") as mine:
                await client.controller.query("x")
                return mine.get_span_context().trace_id

        return call

    traces = await async_gather([ask(number) for number in range(24)], 8)
    assert len(set(traces)) == 24
    assert [spans.names.count("search_memory"), len(spans.attempts)] == [24, 24]
    for span in spans.operations:
        (child,) = spans.children(span)
        assert child.context.trace_id == span.context.trace_id
        assert span.parent is not None
    assert sorted(span.context.trace_id for span in spans.operations) == sorted(traces)


async def test_a_method_is_as_it_was_written() -> None:
    for method in (AsyncMemoryController.query, AsyncMemoryController.create_conversation):
        assert inspect.iscoroutinefunction(method) == inspect.iscoroutinefunction(AsyncMemoryController.health)
        assert next(iter(inspect.signature(method).parameters)) == "self"
        assert (method.__doc__ or "").count("Raises:") == 1
        assert method.__qualname__.partition(".")[2] == method.__name__


# The memory for agents, and imports


async def test_a_memory_that_is_down_is_told_by_its_span(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(QUERY, empty(502))
    server.on(CREATE, empty(503))
    memory = AsyncMemory(make(max_retries=0), Scope("shop", "ann"))
    with pytest.warns(SekhaWarning, match="nothing is recalled"):
        assert await memory.recall("x") == []
    with pytest.warns(SekhaWarning, match="not stored"):
        assert await memory.remember(MESSAGES) is None
    assert spans.names == ["search_memory", "create_memory"]
    assert [error_of(span) for span in spans.operations] == ["sekha.errors.SekhaServerError"] * 2


async def test_tools_and_blocks_are_one_span_each(sekha: LocalSekha, spans: Spans) -> None:
    async with AsyncSekhaClient(**sekha.options) as client:
        memory = AsyncMemory(client, Scope("shop", "ann", "s1"))
        await memory.call_tool("remember", {"text": "Ann likes tea."})
        await memory.in_session("s2").call_tool("search_memory", {"query": "tea"})
        await memory.in_session("s2").block("tea")
    assert spans.names == ["create_memory", "search_memory", "search_memory"]
    assert [said(span)["gen_ai.memory.record.count"] for span in spans.operations] == [1, 1, 1]


async def test_a_sync_has_a_span_for_what_it_changes(sekha: LocalSekha, spans: Spans, tmp_path: Path) -> None:
    folder = tmp_path / "garden"
    (folder / "beds").mkdir(parents=True)
    (folder / "tomatoes.md").write_text("Sow them in March.")
    async with AsyncSekhaClient(**sekha.options) as client:
        await client.controller.sync_notes(folder)
        (folder / "tomatoes.md").rename(folder / "beds" / "tomatoes.md")
        await client.controller.sync_notes(folder)
        (folder / "beans.md").write_text("Sow them in May.")
        await client.controller.sync_notes(folder)
        (folder / "beds" / "tomatoes.md").unlink()
        await client.controller.sync_notes(folder, delete=True)
    assert spans.names == ["create_memory", "update_memory", "create_memory", "delete_memory"]
    assert [error_of(span) for span in spans.operations] == [None] * 4
    ids = [said(span)["gen_ai.memory.record.id"] for span in spans.operations]
    assert ids[0] == ids[1] == ids[3] != ids[2]


async def test_an_import_has_a_span_for_each_conversation(sekha: LocalSekha, spans: Spans) -> None:
    async with AsyncSekhaClient(**sekha.options) as client:
        with spans.tracer.start_as_current_span("mine") as mine:
            report = await client.controller.import_conversations(
                [{"label": str(number), "messages": MESSAGES} for number in range(3)], concurrency=2
            )
    assert report["stored"] == 3
    assert spans.names == ["create_memory"] * 3
    assert [span.parent for span in spans.operations] == [mine.get_span_context()] * 3


async def test_waits_of_an_import_are_within_the_operation(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(CREATE, empty(429), answer(facts.CREATED, 201))
    report = await make(max_retries=0).controller.import_conversations([{"messages": MESSAGES}])
    assert report["stored"] == 1
    (span,) = spans.operations
    assert (span.name, error_of(span), len(spans.children(span))) == ("create_memory", None, 2)


async def test_an_answer_goes_on_without_the_memory(
    make: MakeClient, server: FakeServer, bridge: FakeServer, spans: Spans
) -> None:
    server.on(QUERY, empty(502))
    bridge.on(CHAT, answer(facts.COMPLETION))
    with pytest.warns(SekhaWarning, match="answers without memories"):
        await make(max_retries=0).complete_with_memory("What?", hybrid=False, on_memory_error="ignore")
    assert [(span.name, error_of(span)) for span in spans.operations] == [
        ("search_memory", "sekha.errors.SekhaServerError"),
        ("chat", None),
    ]


# Texts

ON = ["true", "SPAN_ONLY", " span_and_event "]
OFF = ["", "false", "NO_CONTENT", "event_only"]
SECRET = [{"role": "user", "content": f"my key is {REST_KEY}"}]


async def use_texts(client: AsyncSekhaClient, server: FakeServer, bridge: FakeServer) -> None:
    server.on(QUERY, FOUND)
    server.on(CREATE, answer(facts.CREATED, 201))
    bridge.on(CHAT, answer(facts.COMPLETION), ANSWER)
    await client.controller.query(f"CANARY-query {MCP_KEY}")
    await client.controller.create_conversation(messages=SECRET)
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:CANARY"}}]
    await client.bridge.complete([{"role": "user", "content": parts}, {"role": "assistant", "content": BRIDGE_KEY}])
    await (await client.bridge.stream_complete(MESSAGES)).get_final_text()


@pytest.mark.parametrize("value", OFF)
async def test_there_are_no_texts_by_default(
    value: str,
    make: MakeClient,
    server: FakeServer,
    bridge: FakeServer,
    spans: Spans,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CAPTURE, value)
    await use_texts(make(), server, bridge)
    texts = {"gen_ai.memory.query.text", "gen_ai.memory.records", "gen_ai.input.messages", "gen_ai.output.messages"}
    assert len(spans.operations) == 4
    assert [texts & set(said(span)) for span in spans.operations] == [set()] * 4


@pytest.mark.parametrize("value", ON)
async def test_the_variable_allows_them_but_never_keys(
    value: str,
    make: MakeClient,
    server: FakeServer,
    bridge: FakeServer,
    spans: Spans,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CAPTURE, value)
    await use_texts(make(), server, bridge)
    search, create, chat, stream = map(said, spans.operations)
    assert search["gen_ai.memory.query.text"] == "CANARY-query ***"
    assert json.loads(search["gen_ai.memory.records"]) == [
        {
            "content": "Hello Sekha!",
            "id": facts.MESSAGE_ID,
            "score": 0.75,
            "metadata": {
                "label": "Hello Sekha!",
                "folder": "/work",
                "timestamp": facts.hit()["timestamp"][:26] + "+00:00",
                "conversation_id": ID,
            },
        }
    ]
    assert json.loads(create["gen_ai.memory.records"]) == [{"content": "my key is ***", "metadata": {"role": "user"}}]
    assert json.loads(chat["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Look"}, {"type": "image_url"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "***"}]},
    ]
    assert json.loads(chat["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hi there."}], "finish_reason": "stop"}
    ]
    assert json.loads(stream["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "Hi there"}]


async def test_a_value_that_means_nothing_is_logged(
    make: MakeClient, spans: Spans, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(CAPTURE, "perhaps")
    make()
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert CAPTURE in caplog.text
    assert "perhaps" not in caplog.text


# Nothing of it changes a call


async def test_without_tracing_there_are_none(make: MakeClient, server: FakeServer, spans: Spans) -> None:
    server.on(QUERY, FOUND)
    await make(tracing=False).controller.query("x")
    assert spans.finished == []


async def test_without_a_provider_there_are_none_either(make: MakeClient, server: FakeServer) -> None:
    server.on(QUERY, FOUND)
    client = make()
    assert client._controller_transport._start_operation(operations.SEARCH, ((), (), {})) is None
    assert (await client.controller.query("x"))["results"]
    assert "traceparent" not in server.only.headers


class Broken(SpanProcessor):
    """Raises whenever it is given something."""

    def __init__(self, where: str) -> None:
        self.where = where

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if self.where == "start":
            raise OSError("no exporter")

    def on_end(self, span: Any) -> None:
        if self.where == "end":
            raise OSError("no exporter")


@pytest.mark.parametrize("where", ["start", "end"])
async def test_what_telemetry_raises_is_a_warning(
    where: str, make: MakeClient, server: FakeServer, bridge: FakeServer, spans: Spans
) -> None:
    spans.provider.add_span_processor(Broken(where))
    server.on(QUERY, FOUND)
    bridge.on(CHAT, ANSWER)
    client = make()
    with pytest.warns(SekhaWarning, match="OpenTelemetry raised OSError"):
        found = await client.controller.query("x")
    with pytest.warns(SekhaWarning, match="OpenTelemetry raised OSError"):
        text = await (await client.bridge.stream_complete(MESSAGES)).get_final_text()
    assert (len(found["results"]), text) == (1, "Hi there")


async def test_a_result_of_another_shape_changes_nothing(
    make: MakeClient, server: FakeServer, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(result: object) -> Any:
        raise KeyError("results")

    monkeypatch.setattr("sekha._transport.spans.OperationSpan._describe", lambda *_: broken(None))
    server.on(QUERY, FOUND)
    client = make()
    with pytest.warns(SekhaWarning, match="OpenTelemetry raised KeyError"):
        assert (await client.controller.query("x"))["results"]
    assert spans.names == ["search_memory"]  # it has ended all the same
