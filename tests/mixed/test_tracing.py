"""Spans of operations where the flavours differ: cancellations, coroutines that are closed, interruptions, forks."""

from __future__ import annotations

import asyncio
import contextvars
import os
from typing import Any, List

import anyio
import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from local.conftest import output
from sekha import AsyncSekhaClient, SekhaClient
from support import facts
from support.facts import MESSAGES
from support.replies import DONE, HANG, answer, chunked, delta
from support.server import FakeServer
from support.spans import Spans

QUERY, CHAT = "POST /api/v1/query", "POST /v1/chat/completions"
FOUND = answer(facts.hits(facts.hit()))


def errors(spans: Spans) -> List[Any]:
    return [dict(span.attributes or {}).get("error.type") for span in spans.operations]


def cancelled() -> str:
    cls = anyio.get_cancelled_exc_class()
    return f"{cls.__module__}.{cls.__qualname__}"


async def until(condition: Any) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - it happens in a thread
            await anyio.sleep(0.002)


async def test_a_cancelled_operation_says_so(server: FakeServer, spans: Spans) -> None:
    server.on(QUERY, HANG)
    async with AsyncSekhaClient(controller_url=server.url, api_key="k") as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.controller.query, "x")
            await until(lambda: server.seen)
            tasks.cancel_scope.cancel()
    assert errors(spans) == [cancelled()]
    assert len(spans.children(spans.operations[0])) == 1


@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_stream_whose_read_was_cancelled(goes_on: bool, bridge: FakeServer, spans: Spans) -> None:
    asked = anyio.Event()
    bridge.on(CHAT, chunked(delta("Hi"), 0.3, delta(" there", "stop"), DONE))
    async with AsyncSekhaClient(controller_url="http://x", bridge_url=bridge.url, api_key="k") as client:
        async with await client.bridge.stream_complete(MESSAGES) as stream:
            assert (await stream.__anext__())["choices"]

            async def read() -> None:
                asked.set()
                await stream.__anext__()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await asked.wait()
                tasks.cancel_scope.cancel()
            assert spans.operations == []
            if goes_on:
                assert await stream.get_final_text() == "Hi there"
    assert errors(spans) == [None if goes_on else cancelled()]


def test_a_coroutine_that_is_driven_from_elsewhere_leaves_nothing(server: FakeServer, spans: Spans) -> None:
    """It begins in one context and is closed in another, as some frameworks and the garbage collector do it."""
    client = AsyncSekhaClient(controller_url=server.url, api_key="k")
    before = context.get_current()

    async def main() -> None:
        coroutine = client.controller.query("x")
        here, there = contextvars.copy_context(), contextvars.copy_context()
        here.run(coroutine.send, None)
        assert here.run(context.get_current) == before
        there.run(coroutine.close)
        assert there.run(context.get_current) == before
        await client.aclose()

    asyncio.run(main())
    assert errors(spans) == ["builtins.GeneratorExit"]
    assert context.get_current() == before


def test_an_interrupted_operation_ends(server: FakeServer, spans: Spans) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    with SekhaClient(controller_url=server.url, api_key="k", on_request=interrupted) as client:
        with pytest.raises(KeyboardInterrupt):
            client.controller.query("x")
    assert errors(spans) == ["builtins.KeyboardInterrupt"]
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_what_is_not_sampled_is_not_recorded_and_its_attempts_are_not_either(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    server.on(QUERY, FOUND)
    with SekhaClient(controller_url=server.url, api_key="k") as client:
        client.controller.query("x")
    flags = int(server.only.headers["traceparent"].rpartition("-")[2], 16)
    assert flags & 1 == 0  # the server need not record it either


SETUP = """
import os, sys
import sekha
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))

def names():
    return [span.name for span in exporter.get_finished_spans()]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_leaves_the_span_to_its_parent(bridge: FakeServer) -> None:
    bridge.on(CHAT, chunked(delta("Hi", "stop"), DONE))
    code = """
trace.set_tracer_provider(provider)
with sekha.SekhaClient(controller_url="http://x", bridge_url=sys.argv[1], api_key="k") as client:
    with client.bridge.stream_complete([{"role": "user", "content": "Hello"}]) as stream:
        child = os.fork()
        if child == 0:
            stream.close()
            print("child", names(), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        stream.get_final_text()
print("parent", names())
"""
    assert output(SETUP + code, bridge.url).splitlines() == [
        "child ['POST /v1/chat/completions']",
        "parent ['POST /v1/chat/completions', 'chat']",
    ]


def test_a_provider_that_is_set_up_later_gets_operations(server: FakeServer) -> None:
    server.on(QUERY, FOUND, FOUND)
    code = """
with sekha.SekhaClient(controller_url=sys.argv[1], api_key="k") as client:
    client.controller.query("x")
    trace.set_tracer_provider(provider)
    client.controller.query("x")
print(names())
"""
    assert output(SETUP + code, server.url) == "['POST /api/v1/query', 'search_memory']\n"
