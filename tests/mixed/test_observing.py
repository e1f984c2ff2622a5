"""Hooks and spans where the flavours differ or a process of its own is needed."""

from __future__ import annotations

import asyncio
import functools
from typing import Any, List, Type

import anyio
import pytest
import trio

from local.conftest import output
from sekha import AsyncSekhaClient, RequestEvent, ResponseEvent, SekhaClient, SekhaConfig, SekhaConfigError
from support import facts
from support.replies import HANG, answer
from support.server import FakeServer
from support.spans import Spans

HEALTH, QUERY = "GET /health", "POST /api/v1/query"


class Awaited:
    """Looks like a hook, and has to be awaited."""

    async def __call__(self, event: object) -> None:
        """Do nothing."""

    async def method(self, event: object) -> None:
        """Do nothing."""


@pytest.mark.parametrize("make", [SekhaClient, AsyncSekhaClient, SekhaConfig])
@pytest.mark.parametrize("hook", [Awaited(), Awaited().method, functools.partial(Awaited.method, Awaited())])
def test_a_hook_that_must_be_awaited_is_refused(make: Any, hook: Any) -> None:
    with pytest.raises(SekhaConfigError, match="on_retry: expected a plain function"):
        make(controller_url="http://x", api_key="k", on_retry=hook)


@pytest.fixture
def waiting(server: FakeServer) -> FakeServer:
    """A server that never answers the first query, and then does."""
    server.on(QUERY, HANG, answer(facts.hits()))
    return server


async def test_a_cancelled_attempt_is_told(waiting: FakeServer, spans: Spans) -> None:
    told: List[Any] = []
    async with AsyncSekhaClient(
        controller_url=waiting.url, api_key="k", on_request=told.append, on_response=told.append
    ) as client:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.controller.query, "x")
                while not waiting.seen:  # noqa: ASYNC110 - it happens in a thread
                    await anyio.sleep(0.002)
                scope.cancel()
        await client.controller.query("x")
    cancelled: Type[BaseException] = anyio.get_cancelled_exc_class() if told else BaseException
    assert [type(event) for event in told] == [RequestEvent, ResponseEvent] * 2
    assert (told[1].status, told[1].error) == (None, cancelled)
    assert cancelled in (asyncio.CancelledError, trio.Cancelled)
    first, second = spans.attributes
    assert first["error.type"] == f"{cancelled.__module__}.{cancelled.__qualname__}"
    assert second["http.response.status_code"] == 200


# Processes


@pytest.mark.promise("E6")
def test_opentelemetry_is_loaded_by_the_first_client_and_no_call(server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    code = """if True:
        import sys

        def loaded():
            return {name for name in sys.modules if name.startswith("opentelemetry")}

        import sekha
        print(len(loaded()))
        untraced = sekha.SekhaClient(controller_url=sys.argv[1], api_key="k", tracing=False)
        print(len(loaded()))
        with sekha.SekhaClient(controller_url=sys.argv[1], api_key="k") as client:
            before = loaded()
            client.controller.health()
            print("opentelemetry.trace" in before, loaded() - before)
        """
    assert output(code, server.url) == "0\n0\nTrue set()\n"


def test_without_opentelemetry_all_else_works(server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    code = """if True:
        import sys
        sys.modules["opentelemetry"] = None
        import sekha
        with sekha.SekhaClient(controller_url=sys.argv[1], api_key="k", on_response=print) as client:
            client.controller.health()
        """
    assert "status=200" in output(code, server.url)


def test_a_provider_may_be_set_up_after_the_client(server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY), answer(facts.HEALTHY))
    code = """if True:
        import sys
        import sekha
        with sekha.SekhaClient(controller_url=sys.argv[1], api_key="k") as client:
            client.controller.health()
            from opentelemetry import trace
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import SimpleSpanProcessor
            from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
            exporter = InMemorySpanExporter()
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            trace.set_tracer_provider(provider)
            client.controller.health()
        print([span.name for span in exporter.get_finished_spans()])
        """
    assert output(code, server.url) == "['GET /health']\n"
    assert ["traceparent" in seen.headers for seen in server.seen] == [False, True]


@pytest.mark.promise("E5")
def test_nobodys_loggers_are_reconfigured(server: FakeServer) -> None:
    server.always(HEALTH, answer(facts.HEALTHY))
    code = """if True:
        import asyncio, logging, sys

        def state():
            loggers = {name: one for name, one in logging.Logger.manager.loggerDict.items()
                       if isinstance(one, logging.Logger)}
            return {name: (one.level, tuple(one.handlers), tuple(one.filters), one.propagate, one.disabled)
                    for name, one in {"root": logging.getLogger(), **loggers}.items()}

        other = logging.getLogger("other")
        other.setLevel(logging.ERROR)
        before = state()
        import sekha
        options = {"controller_url": sys.argv[1], "api_key": "k"}

        async def call():
            async with sekha.AsyncSekhaClient(**options) as client:
                await client.controller.health()

        with sekha.SekhaClient(**options) as client:
            client.controller.health()
        asyncio.run(call())
        after = state()
        print("other" in before, [name for name in before if after[name] != before[name]])
        print(after["sekha"], logging.root.manager.disable, logging.getLoggerClass().__name__)
        """
    assert output(code, server.url) == "True []\n(0, (), (), True, False) 0 Logger\n"
